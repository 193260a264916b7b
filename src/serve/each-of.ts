/** The results in order, with at most `parallel` in flight. After a failure nothing more begins. */
export async function eachOf<T, R>(
  list: readonly T[],
  parallel: number,
  make: (one: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const run = async () => {
    while (next < list.length) {
      const i = next++;
      try {
        results[i] = await make(list[i]!);
      } catch (error) {
        next = list.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, list.length) }, run));
  return results;
}

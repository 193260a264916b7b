/** Delta reduction: a list becomes as short, and its numbers as small, as a finding allows. */

/**
 * Drops runs of a list, then makes its numbers 0 or halves them, as long as `shows` holds.
 *
 * @param shows whether a list still shows the finding; it holds for `list`
 * @param isOver whether to stop
 */
export async function minimised(
  list: readonly number[],
  shows: (candidate: number[]) => Promise<boolean>,
  isOver: () => boolean,
): Promise<number[]> {
  let best = [...list];
  const takes = async (candidate: number[]) => {
    if (isOver() || !(await shows(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let isShorter = true; isShorter && !isOver(); ) {
    isShorter = false;
    for (let size = 2 ** Math.floor(Math.log2(best.length + 1)); size >= 1; size = Math.floor(size / 2)) {
      for (let at = best.length - size; at >= 0 && !isOver(); at -= size) {
        isShorter = (await takes([...best.slice(0, at), ...best.slice(at + size)])) || isShorter;
      }
    }
  }
  for (let at = 0; at < best.length && !isOver(); at++) {
    const set = (value: number) => takes(best.map((old, i) => (i === at ? value : old)));
    if (best[at] === 0 || (await set(0))) continue;
    while (best[at]! > 1 && (await set(Math.floor(best[at]! / 2))));
  }
  return best;
}

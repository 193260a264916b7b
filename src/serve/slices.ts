/** Bytes per slice, which take some milliseconds. */
export const SLICE = 2 ** 20;

/** Work that yields after every slice. */
export type Sliced<T> = Generator<undefined, T, undefined>;

/** Runs all slices at once. */
export function runAtOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Runs the slices in separate turns of the event loop. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve));
    const { done, value } = work.next();
    if (done) return value;
  }
}

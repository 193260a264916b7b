/** Bytes that are read at a stretch, which takes some milliseconds. */
export const SLICE = 2 ** 20;

/** Work that stops for others after every slice. */
export type Sliced<T> = Generator<undefined, T, undefined>;

/** Does it at once. */
export function atOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Lets the event loop turn before every slice. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve));
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Bytes per second that a sender must send on average. */
export const BYTES_PER_SECOND = 1024;

/** How far a sender may fall behind that average, and how long it may be silent, in ms. */
export const PATIENCE_MS = 10_000;

/**
 * How far a sender is ahead of the slowest pace. Bytes before the last `PATIENCE_MS` do not count.
 */
export class Pace {
  #end = performance.now() + PATIENCE_MS;

  add(bytes: number): void {
    const ahead = this.#end + (1000 * bytes) / BYTES_PER_SECOND;
    this.#end = Math.min(performance.now() + PATIENCE_MS, ahead);
  }

  /** When the sender becomes too slow, in terms of `performance.now()`. */
  get end(): number {
    return this.#end;
  }
}

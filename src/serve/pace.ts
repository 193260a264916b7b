/** Bytes that a sender has to bring in a second, on average. */
export const BYTES_PER_SECOND = 1024;

/** How far a sender may fall behind that average, and how long it may be silent. */
export const PATIENCE_MS = 10_000;

/** How far ahead of the slowest pace a sender is. What came before the last `PATIENCE_MS` buys no silence. */
export class Pace {
  #end = performance.now() + PATIENCE_MS;

  add(bytes: number): void {
    const ahead = this.#end + (1000 * bytes) / BYTES_PER_SECOND;
    this.#end = Math.min(performance.now() + PATIENCE_MS, ahead);
  }

  /** When the sender is too slow, as `performance.now()` counts. */
  get end(): number {
    return this.#end;
  }
}

import { Problem } from './problem.js';

/** Limits the images that wait or are computed. Requests beyond the limit are refused at once. */
export class Admission {
  #inside = 0;
  /** Running mean of a request's time, in ms. */
  #stay = 0;

  constructor(private readonly limit: number) {}

  get inside(): number {
    return this.#inside;
  }

  /**
   * Admits `visit` with its images.
   *
   * @throws Problem 503 `OVERLOAD`, with `Retry-After`
   */
  async enter<T>(count: number, visit: () => Promise<T>): Promise<T> {
    const start = performance.now();
    this.check(count);
    this.#inside += count;
    try {
      return await visit();
    } finally {
      this.#inside -= count;
      this.#stay += (performance.now() - start - this.#stay) / 16;
    }
  }

  /** @throws Problem 503 `OVERLOAD` without room for `count` images */
  check(count: number): void {
    if (this.#inside + count <= this.limit) return;
    const seconds = Math.min(60, Math.max(1, Math.ceil(this.#stay / 1000)));
    const message = `service: expected at most ${this.limit} images at a time, found more`;
    throw new Problem(503, 'OVERLOAD', message, { 'retry-after': String(seconds) });
  }
}

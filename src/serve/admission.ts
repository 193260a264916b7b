import { Problem } from './problem.js';

/** How many images may be inside at a time, waiting or computed. Whoever comes when it is full is sent away at once. */
export class Admission {
  #inside = 0;
  /** Running mean of how long a request stays, ms. */
  #stay = 0;

  constructor(private readonly limit: number) {}

  get inside(): number {
    return this.#inside;
  }

  /**
   * Lets `visit` in with its images.
   *
   * @throws Problem 503 `OVERLOAD`, with when to come again
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

  /** @throws Problem 503 `OVERLOAD` where there is no room for `count` images */
  check(count: number): void {
    if (this.#inside + count <= this.limit) return;
    const seconds = Math.min(60, Math.max(1, Math.ceil(this.#stay / 1000)));
    const message = `service: expected at most ${this.limit} images at a time, found more`;
    throw new Problem(503, 'OVERLOAD', message, { 'retry-after': String(seconds) });
  }
}

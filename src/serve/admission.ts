import { Problem } from './problem.js';

/** How many images may be inside at a time, on their way in or waiting. Whoever comes when it is full is sent away at once. */
export class Admission {
  #inside = 0;
  /** Running mean of how long a request stays, ms. */
  #stay = 0;

  constructor(private readonly limit: number) {}

  get inside(): number {
    return this.#inside;
  }

  /**
   * Lets `visit` in as one image; more it takes with `claim`.
   *
   * @throws Problem 503 `OVERLOAD`, with when to come again
   */
  async enter<T>(visit: (claim: (more: number) => void) => Promise<T>): Promise<T> {
    const start = performance.now();
    let count = 0;
    const claim = (more: number) => {
      this.#check(more);
      this.#inside += more;
      count += more;
    };
    claim(1);
    try {
      return await visit(claim);
    } finally {
      this.#inside -= count;
      this.#stay += (performance.now() - start - this.#stay) / 16;
    }
  }

  #check(more: number): void {
    if (this.#inside + more <= this.limit) return;
    const seconds = Math.min(60, Math.max(1, Math.ceil(this.#stay / 1000)));
    const message = `service: expected at most ${this.limit} images at a time, found more`;
    throw new Problem(503, 'OVERLOAD', message, { 'retry-after': String(seconds) });
  }
}

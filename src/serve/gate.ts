/** Lets a number of callers through at the same time, in the order of arrival. */
export class Gate {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(places: number) {
    this.#free = places;
  }

  /** @throws what `run` throws; the reason of `signal` if it aborts before a place is free */
  async pass<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#place(signal);
    try {
      return await run();
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#free++;
      else next();
    }
  }

  #place(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = () => {
        settle();
        resolve();
      };
      const leave = () => {
        settle();
        reject(signal.reason);
      };
      const settle = () => {
        this.#waiting.delete(take);
        signal.removeEventListener('abort', leave);
      };
      signal.addEventListener('abort', leave);
      this.#waiting.add(take);
    });
  }
}

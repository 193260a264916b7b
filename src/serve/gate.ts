import { MemoryBudget } from '../platform/memory-budget.js';

/** Lets a number of callers through at the same time, in the order of arrival. */
export class Gate {
  readonly #places: MemoryBudget;

  constructor(places: number) {
    this.#places = new MemoryBudget(places);
  }

  /** @throws what `run` throws; the reason of `signal` if it aborts before a place is free */
  async pass<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    const leave = await this.#places.enter(1, signal);
    try {
      return await run();
    } finally {
      leave();
    }
  }
}

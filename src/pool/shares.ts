import type { MemoryBudget, Share } from '../platform/memory-budget.js';
import type { MemoryMessage } from './messages.js';

/**
 * The parts of a budget that a thread's images hold or wait for. Kept outside of the thread, so
 * that they are returned however it ends.
 */
export class Shares {
  readonly #shares = new Map<number, Share>();
  #hasEnded = false;

  /** @param grant tells the thread that the image of a task has its share */
  constructor(
    private readonly budget: MemoryBudget,
    private readonly grant: (id: number) => void,
  ) {}

  take(message: MemoryMessage): void {
    const { id } = message;
    if ('needs' in message) {
      if (!this.#hasEnded)
        this.#shares.set(
          id,
          this.budget.ask(message.needs, () => this.grant(id)),
        );
    } else {
      this.#shares.get(id)?.give();
      this.#shares.delete(id);
    }
  }

  /** Called when the thread has ended. */
  giveAll(): void {
    this.#hasEnded = true;
    for (const share of this.#shares.values()) share.give();
    this.#shares.clear();
  }
}

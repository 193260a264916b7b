import type { MemoryBudget } from '../platform/memory-budget.js';
import { TURN_WORDS, Turn } from '../runtime/turn.js';
import type { Seat, Task } from './messages.js';
import { INTERRUPTED, Thread } from './thread.js';

/** A worker of a pool. One whose thread ends, takes too long or retires gets another in the same lane. */
export class Seated {
  /** That it has at the moment. */
  images = 0;
  #hasEnded = false;
  #thread: Promise<Thread>;
  #starts = 0;
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * TURN_WORDS));

  private constructor(
    private readonly seat: Seat,
    private readonly budget: MemoryBudget,
  ) {
    this.#thread = this.#start();
  }

  /** @throws RuntimeError `POOL` where the worker does not start */
  static async start(seat: Seat, budget: MemoryBudget): Promise<Seated> {
    const seated = new Seated(seat, budget);
    await seated.#thread;
    return seated;
  }

  /**
   * The result of a task.
   *
   * @throws what the task throws; ImageError `IMAGE_SOURCE` for a task that cannot be copied; RuntimeError `POOL` if the worker ends,
   *   `POOL_LIMIT` after `limitMs`
   */
  async run(task: Task, limitMs?: number): Promise<unknown> {
    for (;;) {
      const thread = await this.#thread.catch((error: unknown) => {
        this.#replace();
        throw error;
      });
      try {
        return await thread.ask(task, limitMs);
      } catch (error) {
        if (error !== INTERRUPTED || this.#hasEnded) throw error;
        await thread.ended;
      }
    }
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    const thread = await this.#thread.catch(() => undefined);
    await thread?.end();
  }

  async #start(): Promise<Thread> {
    const owner = ++this.#starts;
    await Turn.take(this.#words, owner);
    const thread = new Thread(this.budget);
    try {
      await thread.ask({ ...this.seat, lane: { ...this.seat.lane, words: this.#words, owner } });
    } catch (error) {
      await thread.end();
      throw error;
    }
    // also where it ends while it has nothing to do
    thread.ended.then(() => this.#replace());
    return thread;
  }

  #replace(): void {
    if (this.#hasEnded) return;
    this.#thread = this.#start();
    this.#thread.catch(() => {}); // whoever runs the next task is told
  }
}

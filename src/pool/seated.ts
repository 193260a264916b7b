import { MAX_IMAGE_BYTES } from '../image/source.js';
import { readBytes } from '../platform/bytes.js';
import type { MemoryBudget } from '../platform/memory-budget.js';
import { TURN_WORDS, Turn } from '../runtime/turn.js';
import type { Seat, Task } from './messages.js';
import { INTERRUPTED, late, Thread } from './thread.js';

/** A worker of a pool. One whose thread ends, takes too long or retires gets another in the same lane. */
export class Seated {
  /** That it has at the moment. */
  images = 0;
  #hasEnded = false;
  #thread: Promise<Thread>;
  /** The last that was made, also where it has not started yet. */
  #newest: Thread | undefined;
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
   * @param stop as `Thread.ask` has it: who aborts it does not wait, while this settles when the worker can have another image
   * @throws what the task throws; ImageError `IMAGE_SOURCE` for a task that cannot be copied; RuntimeError `POOL` if the worker ends,
   *   `POOL_LIMIT` after `limitMs`
   */
  async run(task: Task, stop = new AbortController(), limitMs?: number): Promise<unknown> {
    const sent = await withBytes(task, stop, limitMs);
    for (;;) {
      const thread = await this.#thread.catch((error: unknown) => {
        this.#replace();
        throw error;
      });
      stop.signal.throwIfAborted();
      try {
        return await thread.ask(sent, stop, limitMs);
      } catch (error) {
        if (error !== INTERRUPTED || this.#hasEnded) throw error;
        await thread.ended;
      }
    }
  }

  /** Resolves when its threads are gone. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    await this.#newest?.end();
    await this.#thread.catch(() => {});
  }

  async #start(): Promise<Thread> {
    const owner = ++this.#starts;
    await Turn.take(this.#words, owner);
    if (this.#hasEnded) throw INTERRUPTED;
    const thread = new Thread(this.budget);
    this.#newest = thread;
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

/** The task with the bytes of its path or Blob, which are read here: no thread of a worker has a file open when it ends. */
async function withBytes(task: Task, stop: AbortController, limitMs: number | undefined): Promise<Task> {
  const { image } = task;
  if (typeof image !== 'string' && !(image instanceof Blob)) return task;
  const timer = limitMs === undefined ? undefined : setTimeout(() => stop.abort(late(limitMs)), limitMs);
  try {
    const { bytes, name } = await readBytes(image, { signal: stop.signal, maxBytes: MAX_IMAGE_BYTES });
    return { ...task, image: bytes, options: { ...task.options, name } };
  } finally {
    clearTimeout(timer);
  }
}

import { MAX_IMAGE_BYTES } from '../image/source.js';
import { readBytes } from '../platform/bytes.js';
import type { MemoryBudget } from '../platform/memory-budget.js';
import { TURN_WORDS, Turn } from '../runtime/turn.js';
import type { PoolTask, Seat } from './messages.js';
import { INTERRUPTED, lateError, Thread } from './thread.js';

/**
 * A worker of a pool. If its thread ends, takes too long or retires, it gets another in the same
 * lane.
 */
export class WorkerSlot {
  /** Images it has at the moment. */
  images = 0;
  #hasEnded = false;
  #thread: Promise<Thread>;
  /** The latest thread, even if it has not started yet. */
  #newest: Thread | undefined;
  #starts = 0;
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * TURN_WORDS));

  private constructor(
    private readonly seat: Seat,
    private readonly budget: MemoryBudget,
  ) {
    this.#thread = this.#start();
  }

  /** @throws RuntimeError `POOL` if the worker does not start */
  static async start(seat: Seat, budget: MemoryBudget): Promise<WorkerSlot> {
    const slot = new WorkerSlot(seat, budget);
    await slot.#thread;
    return slot;
  }

  /**
   * The result of a task.
   *
   * @param stop as in `Thread.ask`: the caller does not wait, but this settles only when the worker
   *   is free again
   * @throws what the task throws; ImageError `IMAGE_SOURCE` for a task that cannot be copied;
   *   RuntimeError `POOL` if the worker ends, `POOL_LIMIT` after `limitMs`
   */
  async run(task: PoolTask, stop = new AbortController(), limitMs?: number): Promise<unknown> {
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

  /** Resolves when its threads have ended. */
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
    // even if it ends while it is idle
    thread.ended.then(() => this.#replace());
    return thread;
  }

  #replace(): void {
    if (this.#hasEnded) return;
    this.#thread = this.#start();
    this.#thread.catch(() => {}); // the next task gets the error
  }
}

/** Reads the bytes of a path or Blob here, so that no worker thread ends with an open file. */
async function withBytes(
  task: PoolTask,
  stop: AbortController,
  limitMs: number | undefined,
): Promise<PoolTask> {
  const { image } = task;
  if (typeof image !== 'string' && !(image instanceof Blob)) return task;
  const timer = limitMs === undefined ? undefined : setTimeout(() => stop.abort(lateError(limitMs)), limitMs);
  try {
    const { bytes, name } = await readBytes(image, { signal: stop.signal, maxBytes: MAX_IMAGE_BYTES });
    return { ...task, image: bytes, options: { ...task.options, name } };
  } finally {
    clearTimeout(timer);
  }
}

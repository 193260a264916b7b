import { Worker } from 'node:worker_threads';
import { ImageError, RuntimeError } from '../errors.js';
import { isRaw } from '../image/source.js';
import type { MemoryBudget } from '../platform/memory-budget.js';
import {
  deserializeError,
  type MemoryMessage,
  type Message,
  type PoolTask,
  type TakenSeat,
  type WorkerReply,
} from './messages.js';
import { Shares } from './shares.js';

/** Resolves from the CommonJS build too. */
const WORKER = new URL('../pool/worker.js', import.meta.url);

/**
 * How long a thread may take to stop an image, or to end, before it is terminated. A forward pass
 * stops between its steps; decoding and resizing run to their end.
 */
const GRACE_MS = 1000;

/** The same for a thread that starts: terminated then, it would leave module files open. */
const START_MS = 10_000;

/** The error of a task whose thread ended because of another task. */
export const INTERRUPTED = new Error('interrupted');

interface Pending {
  resolve(result: unknown): void;
  reject(error: unknown): void;
  readonly stop: AbortController;
  readonly limitMs: number | undefined;
  timer?: NodeJS.Timeout | undefined;
}

/**
 * A worker's thread. It answers each message once and in order, and keeps the process alive only
 * while an answer is due or it ends.
 */
export class Thread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #shares: Shares;
  #count = 0;
  #hasStarted = false;
  #isEnding = false;
  #hasEnded = false;
  /** Why it ends. */
  #fault: unknown;
  readonly ended: Promise<void>;

  /**
   * @param budget for which its images wait
   * @throws RuntimeError `POOL` if the system refuses a thread
   */
  constructor(budget: MemoryBudget) {
    let ended = () => {};
    this.ended = new Promise((resolve) => {
      ended = resolve;
    });
    this.#worker = newWorker()
      .on('message', (message: WorkerReply | MemoryMessage) => {
        if ('needs' in message || 'gives' in message) this.#shares.take(message);
        else this.#settle(message);
      })
      .on('error', (cause) => {
        this.#fault ??= unanswered('POOL', String(cause), cause);
      })
      .on('exit', () => {
        this.#hasEnded = true;
        this.#shares.giveAll();
        this.#drop();
        ended();
      });
    this.#shares = new Shares(budget, (granted) => this.#worker.postMessage({ granted }));
  }

  /**
   * @param stop aborted by the caller, which stops the worker; or after `limitMs`, with a
   *   RuntimeError `POOL_LIMIT`
   * @param limitMs counts from when the worker has answered all earlier messages
   * @returns settles when the worker has finished with it
   * @throws what the worker throws; ImageError `IMAGE_SOURCE` for what cannot be copied;
   *   RuntimeError `POOL` if the thread ends, `INTERRUPTED` if it ends because of another message
   */
  ask(message: TakenSeat | PoolTask, stop = new AbortController(), limitMs?: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#hasEnded || this.#fault !== undefined) throw INTERRUPTED;
      const id = this.#count++;
      try {
        this.#question(id, message);
      } catch (cause) {
        throw notCopied(cause);
      }
      this.#pending.set(id, { resolve, reject, stop, limitMs });
      stop.signal.addEventListener('abort', () => this.#stop(id), { once: true });
      this.#worker.ref();
      this.#watch();
    });
  }

  /** Stops the thread. Resolves when it has ended. */
  async end(): Promise<void> {
    if (!this.#isEnding) this.#post({ end: true });
    this.#isEnding = true;
    if (!this.#hasEnded) this.#worker.ref();
    const timer = setTimeout(() => this.#worker.terminate(), this.#hasStarted ? GRACE_MS : START_MS);
    await this.ended;
    clearTimeout(timer);
  }

  #stop(id: number): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    pending.timer = undefined;
    this.#post({ stop: id });
    this.#watch();
  }

  /** Starts the clock of the current message: an image's limit, or the time to stop. */
  #watch(): void {
    const [current] = this.#pending.values();
    if (current === undefined || current.timer !== undefined) return;
    const { stop, limitMs } = current;
    if (stop.signal.aborted) {
      current.timer = setTimeout(() => {
        this.#fault ??= INTERRUPTED;
        this.#worker.terminate();
      }, GRACE_MS);
    } else if (limitMs !== undefined) {
      current.timer = setTimeout(() => stop.abort(lateError(limitMs)), limitMs);
    }
  }

  #settle(answer: WorkerReply): void {
    this.#hasStarted = true;
    const pending = this.#pending.get(answer.id);
    if (pending !== undefined) this.#answered(answer, pending);
    if (answer.retires) this.#retire();
  }

  #answered(answer: WorkerReply, pending: Pending): void {
    clearTimeout(pending.timer);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0 && !this.#isEnding) this.#worker.unref();
    this.#watch();
    if ('error' in answer) pending.reject(deserializeError(answer.error));
    else pending.resolve(answer.result);
  }

  /** Retires the thread to free the memory of its image. Other messages go to its successor. */
  #retire(): void {
    this.#fault ??= INTERRUPTED;
    this.#drop();
    this.end();
  }

  /** The current message is at fault; later ones can have another thread. */
  #drop(): void {
    let error = this.#fault ?? unanswered('POOL', 'its end');
    for (const { timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
      error = INTERRUPTED;
    }
    this.#pending.clear();
  }

  #question(id: number, message: TakenSeat | PoolTask): void {
    if ('image' in message) {
      const [image, transfer] = toSend(message.image);
      this.#post({ id, message: { ...message, image } }, transfer);
    } else {
      this.#post({ id, message });
    }
  }

  #post(message: Message, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}

function newWorker(): Worker {
  try {
    return new Worker(WORKER, { execArgv: [] }); // without the flags of the main script
  } catch (cause) {
    throw unanswered('POOL', String(cause), cause);
  }
}

/** The error of an image that exceeds its limit. */
export function lateError(limitMs: number): RuntimeError {
  return unanswered('POOL_LIMIT', `none after ${limitMs} ms`);
}

function unanswered(code: string, found: string, cause?: unknown): RuntimeError {
  return new RuntimeError(code, `pool: expected an answer of the worker, found ${found}`, { cause });
}

/**
 * Bytes in their own buffer, which can be transferred; copies the members of raw pixels, as getters
 * are lost.
 */
function toSend(image: unknown): [image: unknown, transfer: ArrayBuffer[]] {
  if (image instanceof Uint8Array) {
    const bytes = new Uint8Array(image);
    return [bytes, [bytes.buffer]];
  }
  if (!isRaw(image)) return [image, []];
  const { width, height, data } = image;
  return [{ width, height, data }, []];
}

function notCopied(cause: unknown): ImageError {
  // the engine's message may contain the source of a whole function
  const found = String(cause).slice(0, 200);
  const text = `image: expected one that can be copied to a worker, with its options, found ${found}`;
  return new ImageError('IMAGE_SOURCE', text, { cause });
}

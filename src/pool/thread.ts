import { Worker } from 'node:worker_threads';
import { ImageError, RuntimeError } from '../errors.js';
import { isRaw } from '../image/source.js';
import type { MemoryBudget } from '../platform/memory-budget.js';
import { type Answer, type MemoryMessage, restored, type TakenSeat, type Task } from './messages.js';
import { Shares } from './shares.js';

/** Also from where the CommonJS build lies. */
const WORKER = new URL('../pool/worker.js', import.meta.url);

/** What a task finds whose thread ended because another took too long. */
export const INTERRUPTED = new Error('interrupted');

interface Pending {
  resolve(result: unknown): void;
  reject(error: unknown): void;
  readonly timer: NodeJS.Timeout | undefined;
}

/** A worker's thread, which answers each message once. It keeps the process alive only while it owes an answer. */
export class Thread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #shares: Shares;
  #count = 0;
  /** Why it ends. */
  #fault: unknown;
  #hasEnded = false;
  readonly ended: Promise<void>;

  /** @param budget what its images wait for */
  constructor(budget: MemoryBudget) {
    let ended = () => {};
    this.ended = new Promise((resolve) => {
      ended = resolve;
    });
    this.#worker = new Worker(WORKER, { execArgv: [] }) // flags of the main script are not for it
      .on('message', (message: Answer | MemoryMessage) => {
        if ('needs' in message || 'gives' in message) this.#shares.take(message);
        else this.#settle(message);
      })
      .on('error', (cause) => {
        this.#fault ??= unanswered('POOL', String(cause), cause);
      })
      .on('exit', () => {
        this.#hasEnded = true;
        this.#shares.giveAll();
        for (const id of this.#pending.keys()) {
          this.#take(id)!.reject(this.#fault ?? unanswered('POOL', 'its end'));
        }
        ended();
      });
    this.#shares = new Shares(budget, (granted) => this.#worker.postMessage({ granted }));
  }

  /**
   * @throws what the worker throws; ImageError `IMAGE_SOURCE` for what cannot be copied; RuntimeError `POOL` if the thread ends,
   *   `POOL_LIMIT` after `limitMs`, which ends it, `INTERRUPTED` where another message did
   */
  ask(message: TakenSeat | Task, limitMs?: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#hasEnded || this.#fault !== undefined) throw INTERRUPTED;
      const id = this.#count++;
      try {
        this.#post(id, message);
      } catch (cause) {
        throw notCopied(cause);
      }
      const late = () => {
        this.#take(id)!.reject(unanswered('POOL_LIMIT', `none after ${limitMs} ms`));
        this.#fault = INTERRUPTED;
        this.#worker.terminate();
      };
      const timer = limitMs === undefined ? undefined : setTimeout(late, limitMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#worker.ref();
    });
  }

  async end(): Promise<void> {
    // after an answer that is on its way nothing would keep the process alive until the end
    await this.#worker.removeAllListeners('message').terminate();
  }

  #settle(answer: Answer): void {
    const pending = this.#take(answer.id);
    if ('error' in answer) pending?.reject(restored(answer.error));
    else pending?.resolve(answer.result);
    if (answer.retires) this.#retire();
  }

  /** Its end frees what the answer's image has left; those that it has besides go to its successor. */
  #retire(): void {
    this.#fault ??= INTERRUPTED;
    for (const id of [...this.#pending.keys()]) this.#take(id)!.reject(INTERRUPTED);
    this.#worker.terminate();
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    clearTimeout(pending?.timer);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#worker.unref();
    return pending;
  }

  #post(id: number, message: TakenSeat | Task): void {
    if ('image' in message) {
      const [image, transfer] = toSend(message.image);
      this.#worker.postMessage({ id, message: { ...message, image } }, transfer);
    } else {
      this.#worker.postMessage({ id, message });
    }
  }
}

function unanswered(code: string, found: string, cause?: unknown): RuntimeError {
  return new RuntimeError(code, `pool: expected an answer of the worker, found ${found}`, { cause });
}

/** Bytes in a buffer of their own, which can be handed over; of raw pixels what is read of them, for getters are not copied. */
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
  // the engine's message can have the source of a whole function in it
  const found = String(cause).slice(0, 200);
  const text = `image: expected one that can be copied to a worker, with its options, found ${found}`;
  return new ImageError('IMAGE_SOURCE', text, { cause });
}

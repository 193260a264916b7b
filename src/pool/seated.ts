import { Worker } from 'node:worker_threads';
import { ImageError, RuntimeError } from '../errors.js';
import { isRaw } from '../image/source.js';
import { type Answer, restored, type Seat, type Task } from './messages.js';

/** Also from where the CommonJS build lies. */
const WORKER = new URL('../pool/worker.js', import.meta.url);

/** A worker of a pool, with one task at a time. One that ends or takes too long is replaced by another in the same lane. */
export class Seated {
  #hasEnded = false;
  #worker: Promise<Worker>;

  private constructor(private readonly seat: Seat) {
    this.#worker = this.#start();
  }

  /** @throws RuntimeError `POOL` where the worker does not start */
  static async start(seat: Seat): Promise<Seated> {
    const seated = new Seated(seat);
    await seated.#worker;
    return seated;
  }

  /**
   * The result of a task.
   *
   * @throws what the task throws; ImageError `IMAGE_SOURCE` for a task that cannot be copied; RuntimeError `POOL` if the worker ends,
   *   `POOL_LIMIT` after `limitMs`
   */
  async run(task: Task, limitMs?: number): Promise<unknown> {
    const worker = await this.#worker.catch((error: unknown) => {
      this.#replace();
      throw error;
    });
    try {
      return await answer(worker, task, limitMs);
    } catch (error) {
      if (error instanceof RuntimeError && error.code === 'POOL_LIMIT') await worker.terminate();
      throw error;
    }
  }

  async end(): Promise<void> {
    this.#hasEnded = true;
    const worker = await this.#worker.catch(() => undefined);
    // after an answer that is on its way nothing would keep the process alive until the end
    await worker?.removeAllListeners('message').terminate();
  }

  async #start(): Promise<Worker> {
    const worker = new Worker(WORKER, { execArgv: [] }); // flags of the main script are not for it
    try {
      await answer(worker, this.seat);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    // also one that ends while it has nothing to do
    worker.on('error', () => {}).once('exit', () => this.#replace());
    return worker;
  }

  #replace(): void {
    if (this.#hasEnded) return;
    this.#worker = this.#start();
    this.#worker.catch(() => {}); // whoever runs the next task is told
  }
}

/** What the worker says to a message. It keeps the process alive only meanwhile. */
function answer(worker: Worker, message: Seat | Task, limitMs?: number): Promise<unknown> {
  return new Promise<unknown>((resolve, reject) => {
    const failed = (code: string, found: string, cause?: unknown) => {
      settle();
      const text = `pool: expected an answer of the worker, found ${found}`;
      reject(new RuntimeError(code, text, { cause }));
    };
    const answered = (message: Answer) => {
      settle();
      if ('error' in message) reject(restored(message.error));
      else resolve(message.result);
    };
    const broken = (cause: unknown) => failed('POOL', String(cause), cause);
    const ended = () => failed('POOL', 'its end');
    let timer: NodeJS.Timeout | undefined;
    const settle = () => {
      clearTimeout(timer);
      worker.off('message', answered).off('error', broken).off('exit', ended).unref();
    };
    try {
      post(worker, message);
    } catch (cause) {
      reject(notCopied(cause));
      return;
    }
    if (limitMs !== undefined) {
      timer = setTimeout(() => failed('POOL_LIMIT', `none after ${limitMs} ms`), limitMs);
    }
    worker.on('message', answered).on('error', broken).on('exit', ended).ref();
  });
}

function post(worker: Worker, message: Seat | Task): void {
  if ('image' in message) {
    const [image, transfer] = toSend(message.image);
    worker.postMessage({ ...message, image }, transfer);
  } else {
    worker.postMessage(message);
  }
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

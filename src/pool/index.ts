import { setMaxListeners } from 'node:events';
import { availableParallelism } from 'node:os';
import { readIntegerModel } from '../checkpoint/integer-model.js';
import { shown } from '../checkpoint/shown.js';
import { type ClassifyOptions, type LoadOptions, Model, type ModelInfo } from '../classify.js';
import { ImageError, RuntimeError, UsageError } from '../errors.js';
import { frozen } from '../frozen.js';
import { compileCodecs } from '../image/codecs-node.js';
import { isRaw, type RawPixels } from '../image/source.js';
import { readModel } from '../model-source.js';
import { IntegerRunner } from '../models/integer.js';
import type { ByteSource } from '../platform/bytes.js';
import { MemoryBudget } from '../platform/memory-budget.js';
import { processMemory } from '../platform/process-memory-node.js';
import { checkSignal, type NamedBytes } from '../platform/read-options.js';
import { disposed, type Prediction } from '../predict.js';
import { MAX_THREADS } from '../runtime/threads.js';
import { type Chosen, tierFor } from '../runtime/tier.js';
import type { Seat, Task } from './messages.js';
import { Seated } from './seated.js';

/** That a worker has at a time, so that it need not wait for the next. One with a limit is alone: it would use up its neighbour's. */
const IMAGES_EACH = 2;

/** The longest that a timer waits. */
const MAX_LIMIT_MS = 2 ** 31 - 1;

/** Encoded bytes (JPEG, PNG, WebP), a path, a Blob, or raw pixels. Bytes are copied when a worker takes them: until the answer they are left as they are. */
export type PoolImage = Uint8Array | ArrayBuffer | string | Blob | RawPixels;

export interface PoolOptions extends Omit<LoadOptions, 'threads' | 'tier'> {
  /** Each has a thread of its own. Default: as many as the process may use cores. */
  workers?: number;
  tier?: Exclude<LoadOptions['tier'], 'scalar'>;
  /**
   * Bytes that decoding images may take in all workers at a time: images wait for each other, and one that needs more is refused. Default: what all
   * pools and models of the process share, half of the memory that it may use.
   */
  imageMemory?: number;
}

export interface PoolCallOptions extends Omit<ClassifyOptions, 'top' | 'imageMemory'> {
  /**
   * Milliseconds for the image from when a worker begins with it, who then has no other; reading a path or a Blob may take as long again.
   * Then its worker stops. One that decodes for a second more is terminated, and another takes its place. Default: no limit.
   */
  limitMs?: number;
}

/** As the `info` of a model; `memoryBytes` is what all workers together hold. */
export interface PoolInfo extends Omit<ModelInfo, 'threads'> {
  readonly workers: number;
}

/**
 * Loads an integer checkpoint for several images at a time: workers over one copy of the weights, where `threads` of `load` shares
 * each image. Node, Deno and Bun.
 *
 * ```ts
 * const pool = await createPool('deit_cifar10');
 * const answers = await Promise.all(files.map((file) => pool.classify(file, { top: 1 })));
 * await pool.dispose();
 * ```
 *
 * @throws what `load` throws; UsageError `WORKERS`, `IMAGE_MEMORY`; RuntimeError `TIER` where the engine has no SIMD, `POOL` where a worker does
 *   not start
 */
export async function createPool(source: ByteSource, options: PoolOptions = {}): Promise<Pool> {
  workerCount(options); // before anything is downloaded
  budgetOf(options);
  return createPoolOf(await readModel(source, options), options);
}

/** @internal As `createPool`, of a checkpoint that has been read. @param imageMemoryOf in place of the option, where it depends on the model */
export async function createPoolOf(
  { bytes, name }: NamedBytes,
  options: PoolOptions,
  imageMemoryOf?: (info: PoolInfo) => number,
): Promise<Pool> {
  const workers = workerCount(options);
  const common = { bytes: inSharedMemory(bytes), name };
  const checkpoint = readIntegerModel(common.bytes, { file: name });
  const [{ tier, module }, codecs] = await Promise.all([
    choose(checkpoint.recipe.weightBits, options),
    compileCodecs(),
  ]);
  options.signal?.throwIfAborted();
  // without its tensors it is small: the weights are in the memory, and in the checkpoint for a worker that has to be replaced
  const runner = await IntegerRunner.create(checkpoint, module, 1, { index: 0, count: workers });
  const { memory } = runner;
  const { threads: _, ...infoOfOne } = new Model(checkpoint, bytes.length, tier, 1, runner).info;
  const info: PoolInfo = { ...infoOfOne, workers };
  const budget = imageMemoryOf === undefined ? budgetOf(options) : new MemoryBudget(imageMemoryOf(info));
  const { limit: imageMemory } = budget;
  const seats = Array.from(
    { length: workers },
    (_, index): Seat => ({
      ...common,
      tier,
      module,
      codecs,
      imageMemory,
      lane: { index, count: workers, memory },
    }),
  );
  const seated = await allOrNone(seats, budget);
  const pool = new Pool(info, seated);
  if (options.signal?.aborted) await pool.dispose();
  options.signal?.throwIfAborted();
  return pool;
}

function workerCount({ workers = Math.min(availableParallelism(), MAX_THREADS) }: PoolOptions): number {
  if (Number.isSafeInteger(workers) && workers >= 1 && workers <= MAX_THREADS) return workers;
  throw new UsageError(
    'WORKERS',
    `workers: expected an integer from 1 to ${MAX_THREADS}, found ${shown(workers)}`,
  );
}

/** @throws UsageError `IMAGE_MEMORY` */
function budgetOf({ imageMemory }: PoolOptions): MemoryBudget {
  if (imageMemory === undefined) return processMemory();
  if (Number.isSafeInteger(imageMemory) && imageMemory >= 1) return new MemoryBudget(imageMemory);
  throw new UsageError(
    'IMAGE_MEMORY',
    `imageMemory: expected an integer from 1, found ${shown(imageMemory)}`,
  );
}

function inSharedMemory(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

async function choose(weightBits: number, options: PoolOptions): Promise<Chosen> {
  const { tier } = options;
  if (tier !== undefined && tier !== 'simd' && tier !== 'relaxed') {
    throw new UsageError('TIER', `tier: expected one of relaxed, simd, found ${shown(tier)}`);
  }
  const chosen = await tierFor(weightBits, true, options);
  if (chosen.tier !== 'scalar') return chosen;
  throw new RuntimeError('TIER', 'tier: expected an engine with WebAssembly SIMD, found one without');
}

async function allOrNone(seats: readonly Seat[], budget: MemoryBudget): Promise<Seated[]> {
  const started = await Promise.allSettled(seats.map((seat) => Seated.start(seat, budget)));
  const seated = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = started.find((result) => result.status === 'rejected');
  if (failed === undefined) return seated;
  await Promise.all(seated.map((one) => one.end()));
  throw failed.reason;
}

/** Someone who waits for a worker. */
interface Waiting {
  readonly places: number;
  take(worker: Seated): void;
}

/** Workers with a model each over the same weights. Images wait for them in the order of the calls. */
export class Pool {
  readonly info: PoolInfo;
  readonly #all: readonly Seated[];
  readonly #waiting = new Set<Waiting>();
  /** Of each call that has no answer yet. */
  readonly #calls = new Set<AbortController>();
  #isDisposed = false;

  /** @internal use `createPool` */
  constructor(info: PoolInfo, workers: Seated[]) {
    this.info = frozen(info);
    this.#all = workers;
  }

  /** Images that wait for a worker. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * As `Model.classify`, of one image.
   *
   * @throws what that throws, ImageError `IMAGE_SOURCE` for an image that no other thread can read, UsageError `LIMIT`, and `DISPOSED` also when the pool is disposed meanwhile; RuntimeError `POOL_LIMIT` after `limitMs`,
   *   `POOL` if the worker ends (for want of memory)
   */
  classify(image: PoolImage, options: PoolCallOptions & { top?: number } = {}): Promise<Prediction[]> {
    return this.#run('classify', image, options) as Promise<Prediction[]>;
  }

  /** As `Model.features`, and as `classify`. */
  features(image: PoolImage, options: PoolCallOptions = {}): Promise<Float32Array> {
    return this.#run('features', image, options) as Promise<Float32Array>;
  }

  /** As `Model.codes`, and as `classify`. */
  codes(image: PoolImage, options: PoolCallOptions = {}): Promise<Uint8Array> {
    return this.#run('codes', image, options) as Promise<Uint8Array>;
  }

  /**
   * Ends the workers. Calls that have no answer yet throw UsageError `DISPOSED` at once, as do those that come later.
   *
   * Resolves when all threads are gone: they stop their forward pass, and end when nothing is under way. One that decodes a picture for more than a
   * second after that is terminated.
   */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    for (const stop of this.#calls) stop.abort(disposed());
    await Promise.all(this.#all.map((one) => one.end()));
  }

  async #run(
    call: Task['call'],
    image: PoolImage,
    { signal, limitMs, ...options }: PoolCallOptions,
  ): Promise<unknown> {
    checkSignal(signal);
    if (this.#isDisposed) throw disposed();
    checkLimit(limitMs);
    checkImage(image);
    const stop = new AbortController();
    const aborted = () => stop.abort(signal!.reason);
    if (signal !== undefined) setMaxListeners(0, signal); // one for many calls is no leak
    signal?.addEventListener('abort', aborted);
    this.#calls.add(stop);
    const places = limitMs === undefined ? 1 : IMAGES_EACH;
    try {
      const free = this.#waiting.size === 0 ? this.#free(places) : undefined;
      const worker = free ?? (await this.#turn(places, stop.signal));
      const running = worker.run({ call, image, options }, stop, limitMs).finally(() => {
        worker.images -= places;
        this.#serve();
      });
      return await Promise.race([running, rejectedBy(stop.signal)]);
    } finally {
      this.#calls.delete(stop);
      signal?.removeEventListener('abort', aborted);
    }
  }

  /** The worker with the fewest images, if it has so many places. */
  #free(places: number): Seated | undefined {
    const least = this.#all.reduce((a, b) => (b.images < a.images ? b : a));
    if (least.images + places > IMAGES_EACH) return undefined;
    least.images += places;
    return least;
  }

  /** Workers for those who have waited longest, while there are any. */
  #serve(): void {
    for (const waiting of this.#waiting) {
      const worker = this.#free(waiting.places);
      if (worker === undefined) return;
      waiting.take(worker);
    }
  }

  /** A worker, after those who have waited longer. */
  #turn(places: number, stop: AbortSignal): Promise<Seated> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        places,
        take: (worker) => {
          this.#waiting.delete(waiting);
          resolve(worker);
        },
      };
      stop.addEventListener('abort', () => {
        this.#waiting.delete(waiting);
        reject(stop.reason);
        this.#serve(); // the next may need fewer places
      });
      this.#waiting.add(waiting);
    });
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

/** @throws UsageError `LIMIT` */
function checkLimit(limitMs: number | undefined): void {
  if (limitMs === undefined) return;
  if (typeof limitMs === 'number' && limitMs > 0 && limitMs <= MAX_LIMIT_MS) return;
  throw new UsageError(
    'LIMIT',
    `limitMs: expected a number above 0 and at most ${MAX_LIMIT_MS}, found ${shown(limitMs)}`,
  );
}

/** Of what can be handed to another thread. @throws ImageError `IMAGE_SOURCE` */
function checkImage(image: PoolImage): void {
  const isKnown =
    typeof image === 'string' ||
    image instanceof Uint8Array ||
    image instanceof ArrayBuffer ||
    image instanceof Blob ||
    isRaw(image);
  if (isKnown) return;
  const found = Object.prototype.toString.call(image);
  throw new ImageError('IMAGE_SOURCE', `image: expected bytes, a path, a Blob or raw pixels, found ${found}`);
}

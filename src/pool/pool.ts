import { setMaxListeners } from 'node:events';
import { availableParallelism } from 'node:os';
import { checkDigest } from '../checkpoint/integer/digest.js';
import { readIntegerModel } from '../checkpoint/integer/model.js';
import { narrowestWeights } from '../checkpoint/integer/program.js';
import { ImageError, RuntimeError, UsageError } from '../errors.js';
import { IntegerRunner } from '../forward/integer/runner.js';
import { compileCodecs } from '../image/codecs-node.js';
import { isRaw } from '../image/source.js';
import type { RawPixels } from '../image/types.js';
import { deepFreeze } from '../model/deep-freeze.js';
import { type ClassifyOptions, type LoadOptions, Model, type ModelInfo } from '../model/model.js';
import type { Prediction } from '../model/predict.js';
import { readModel } from '../model/source.js';
import type { ByteSource } from '../platform/bytes.js';
import { LONGEST_TIMER_MS } from '../platform/longest-timer.js';
import { MemoryBudget } from '../platform/memory-budget.js';
import { processMemory } from '../platform/process-memory-node.js';
import { checkSignal, type NamedBytes } from '../platform/read-options.js';
import { rejectOnAbort } from '../platform/reject-on-abort.js';
import { disposedError } from '../runtime/passes.js';
import { MAX_THREADS } from '../runtime/threads.js';
import { type Chosen, tierFor } from '../runtime/tier.js';
import { formatValue } from '../text/format-value.js';
import type { PoolTask, Seat } from './messages.js';
import { WorkerSlot } from './worker-slot.js';

/**
 * Images that a worker holds, so that it never waits for the next one. An image with a limit is
 * alone, since it must not spend the time of another.
 */
const IMAGES_EACH = 2;

/**
 * Encoded bytes (JPEG, PNG, WebP), a path, a Blob, or raw pixels. A worker copies the bytes when it
 * takes the image; do not change them before the answer.
 */
export type PoolImage = Uint8Array | ArrayBuffer | string | Blob | RawPixels;

/** What {@link createPool} takes besides the checkpoint. */
export interface PoolOptions extends Omit<LoadOptions, 'threads' | 'tier'> {
  /** Number of workers, each with its own thread. Default: the cores that the process may use. */
  workers?: number;
  /** Which build of the kernels runs. Default: the fastest that the engine computes correctly. */
  tier?: Exclude<LoadOptions['tier'], 'scalar'>;
  /**
   * Bytes that all workers together may use to decode images. Images wait for each other; one that
   * needs more is refused. Default: half of the memory that the process may use, shared by all
   * pools and models.
   */
  imageMemory?: number;
}

/** What the calls of a {@link Pool} take besides the image. */
export interface PoolCallOptions extends Omit<ClassifyOptions, 'top' | 'imageMemory'> {
  /**
   * Milliseconds for the image, from when a worker starts it. The worker then has no other image.
   * Reading a path or a Blob may take as long again. After that the worker stops; if it still
   * decodes one second later, it is terminated and replaced. Default: no limit.
   */
  limitMs?: number;
}

/** Describes the model of a pool. `memoryBytes` is the memory of all workers together. */
export interface PoolInfo extends Omit<ModelInfo, 'threads'> {
  /** Number of workers. */
  readonly workers: number;
}

/**
 * Loads an integer checkpoint to classify several images at a time. Each worker takes an image;
 * with `threads` of {@link fqvit!load | load}, the threads share each image instead.
 *
 * @example
 * ```ts
 * import { createPool } from 'fqvit/pool';
 *
 * const pool = await createPool('deit_cifar10', { workers: 2 });
 * const photos = ['a.jpg', 'b.jpg', 'photo.jpg'];
 * const answers = await Promise.all(photos.map((photo) => pool.classify(photo, { top: 1 })));
 * console.log(answers.map(([best]) => best.label));
 * await pool.dispose();
 * ```
 *
 * @param source where the checkpoint comes from, as for `load`
 * @throws what `load` throws
 * @throws UsageError `WORKERS`, `IMAGE_MEMORY` for an option
 * @throws RuntimeError `TIER` for an engine without SIMD, `POOL` if a worker does not start
 */
export async function createPool(source: ByteSource, options: PoolOptions = {}): Promise<Pool> {
  workerCount(options); // before anything is downloaded
  budgetOf(options);
  return createPoolOf(await readModel(source, options), options);
}

/**
 * @internal As `createPool`, for a checkpoint that has been read.
 * @param imageMemoryOf replaces the option if it depends on the model
 */
export async function createPoolOf(
  { bytes, name }: NamedBytes,
  options: PoolOptions,
  imageMemoryOf?: (info: PoolInfo) => number,
): Promise<Pool> {
  const workers = workerCount(options);
  const common = { bytes: inSharedMemory(bytes), name };
  const checkpoint = readIntegerModel(common.bytes, { file: name });
  const [{ tier, module }, codecs] = await Promise.all([
    choose(narrowestWeights(checkpoint), options),
    compileCodecs(),
    // `readModel` has compared a SHA-256 that was given
    options.sha256 === undefined ? checkDigest(bytes, checkpoint.sha256, name) : undefined,
  ]);
  options.signal?.throwIfAborted();
  // the weights are in the shared memory; the checkpoint stays for workers that replace others
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
  const slots = await allOrNone(seats, budget);
  const pool = new Pool(info, slots);
  if (options.signal?.aborted) await pool.dispose();
  options.signal?.throwIfAborted();
  return pool;
}

function workerCount({ workers = Math.min(availableParallelism(), MAX_THREADS) }: PoolOptions): number {
  if (Number.isSafeInteger(workers) && workers >= 1 && workers <= MAX_THREADS) return workers;
  throw new UsageError(
    'WORKERS',
    `workers: expected an integer from 1 to ${MAX_THREADS}, found ${formatValue(workers)}`,
  );
}

/** @throws UsageError `IMAGE_MEMORY` */
function budgetOf({ imageMemory }: PoolOptions): MemoryBudget {
  if (imageMemory === undefined) return processMemory();
  if (Number.isSafeInteger(imageMemory) && imageMemory >= 1) return new MemoryBudget(imageMemory);
  throw new UsageError(
    'IMAGE_MEMORY',
    `imageMemory: expected an integer from 1, found ${formatValue(imageMemory)}`,
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
    throw new UsageError('TIER', `tier: expected one of relaxed, simd, found ${formatValue(tier)}`);
  }
  const chosen = await tierFor(weightBits, true, options);
  if (chosen.tier !== 'scalar') return chosen;
  throw new RuntimeError('TIER', 'tier: expected an engine with WebAssembly SIMD, found one without');
}

async function allOrNone(seats: readonly Seat[], budget: MemoryBudget): Promise<WorkerSlot[]> {
  const started = await Promise.allSettled(seats.map((seat) => WorkerSlot.start(seat, budget)));
  const slots = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = started.find((result) => result.status === 'rejected');
  if (failed === undefined) return slots;
  await Promise.all(slots.map((one) => one.end()));
  throw failed.reason;
}

/** A call that waits for a worker. */
interface WaitingCall {
  readonly places: number;
  take(worker: WorkerSlot): void;
}

/**
 * Workers that share one model, from {@link createPool}. Images wait for them in the order of the
 * calls.
 */
export class Pool {
  /** Describes the model. */
  readonly info: PoolInfo;
  readonly #all: readonly WorkerSlot[];
  readonly #waiting = new Set<WaitingCall>();
  /** One per unfinished call. */
  readonly #calls = new Set<AbortController>();
  #isDisposed = false;

  /** @internal use `createPool` */
  constructor(info: PoolInfo, workers: WorkerSlot[]) {
    this.info = deepFreeze(info);
    this.#all = workers;
  }

  /** Number of images that wait for a worker. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Classifies one image, as {@link fqvit!Model.classify | Model.classify} does.
   *
   * @returns the likeliest classes, best first
   * @throws what `Model.classify` throws; `DISPOSED` also if the pool is disposed before the answer
   * @throws ImageError `IMAGE_SOURCE` for an image that cannot be sent to another thread
   * @throws UsageError `LIMIT` for `limitMs`
   * @throws RuntimeError `POOL_LIMIT` after `limitMs`, `POOL` if the worker ends, for example
   *   because it runs out of memory
   */
  classify(image: PoolImage, options: PoolCallOptions & { top?: number } = {}): Promise<Prediction[]> {
    return this.#run('classify', image, options) as Promise<Prediction[]>;
  }

  /**
   * Computes the features of one image, as {@link fqvit!Model.features | Model.features} does.
   *
   * @returns Float32Array `[dim]`
   * @throws what {@link Pool.classify} throws, but not `TOP` and `CLASSES`
   */
  features(image: PoolImage, options: PoolCallOptions = {}): Promise<Float32Array> {
    return this.#run('features', image, options) as Promise<Float32Array>;
  }

  /**
   * Computes the codes of the logits of one image, as {@link fqvit!Model.codes | Model.codes} does.
   *
   * @returns uint8 `[classes]`
   * @throws what {@link Pool.classify} throws, but not `TOP`
   */
  codes(image: PoolImage, options: PoolCallOptions = {}): Promise<Uint8Array> {
    return this.#run('codes', image, options) as Promise<Uint8Array>;
  }

  /**
   * Ends the workers. Unfinished and later calls throw UsageError `DISPOSED` at once.
   *
   * Resolves when all threads have ended. They stop their forward pass first; a thread that still
   * decodes an image one second later is terminated.
   */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    for (const stop of this.#calls) stop.abort(disposedError());
    await Promise.all(this.#all.map((one) => one.end()));
  }

  async #run(
    call: PoolTask['call'],
    image: PoolImage,
    { signal, limitMs, ...options }: PoolCallOptions,
  ): Promise<unknown> {
    checkSignal(signal);
    if (this.#isDisposed) throw disposedError();
    checkLimit(limitMs);
    checkImage(image);
    const stop = new AbortController();
    const aborted = () => stop.abort(signal!.reason);
    if (signal !== undefined) setMaxListeners(0, signal); // one signal for many calls is not a leak
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
      return await Promise.race([running, rejectOnAbort(stop.signal)]);
    } finally {
      this.#calls.delete(stop);
      signal?.removeEventListener('abort', aborted);
    }
  }

  /** Finds the worker with the fewest images; undefined if it has fewer free places. */
  #free(places: number): WorkerSlot | undefined {
    const least = this.#all.reduce((a, b) => (b.images < a.images ? b : a));
    if (least.images + places > IMAGES_EACH) return undefined;
    least.images += places;
    return least;
  }

  /** Gives free workers to the calls that have waited longest. */
  #serve(): void {
    for (const waiting of this.#waiting) {
      const worker = this.#free(waiting.places);
      if (worker === undefined) return;
      waiting.take(worker);
    }
  }

  /** Waits for a worker, after earlier calls. */
  #turn(places: number, stop: AbortSignal): Promise<WorkerSlot> {
    return new Promise((resolve, reject) => {
      const waiting: WaitingCall = {
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

/** @throws UsageError `LIMIT` */
function checkLimit(limitMs: number | undefined): void {
  if (limitMs === undefined) return;
  if (typeof limitMs === 'number' && limitMs > 0 && limitMs <= LONGEST_TIMER_MS) return;
  throw new UsageError(
    'LIMIT',
    `limitMs: expected a number above 0 and at most ${LONGEST_TIMER_MS}, found ${formatValue(limitMs)}`,
  );
}

/** Checks that the image can be sent to another thread. @throws ImageError `IMAGE_SOURCE` */
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

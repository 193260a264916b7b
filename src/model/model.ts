import type { Description } from '../checkpoint/integer/description.js';
import { checkDigest } from '../checkpoint/integer/digest.js';
import { readIntegerModel, type StoredModel } from '../checkpoint/integer/model.js';
import { narrowestWeights } from '../checkpoint/integer/program.js';
import { UsageError } from '../errors.js';
import { IntegerRunner } from '../forward/integer/runner.js';
import { type SeenPart, seenPart } from '../image/resize/preprocess.js';
import { type ImageSource, readPixels } from '../image/source.js';
import type { Outputs } from '../networks/network.js';
import type { ByteSource } from '../platform/bytes.js';
import type { WasmBinary } from '../platform/compile.js';
import { checkSignal } from '../platform/read-options.js';
import type { Tier } from '../runtime/kernels.js';
import { disposedError } from '../runtime/passes.js';
import { availableThreads, MAX_THREADS } from '../runtime/threads.js';
import { tierFor } from '../runtime/tier.js';
import { formatValue } from '../text/format-value.js';
import { ATTENTION_METHODS, type AttentionMethod, attentionMap } from './attention-map.js';
import { deepFreeze } from './deep-freeze.js';
import { checkClasses, checkPixels, checkTop, type Prediction, predictEach } from './predict.js';
import { readModel } from './source.js';

const TIERS: readonly Tier[] = ['relaxed', 'simd', 'scalar'];

/** What {@link load} takes besides the checkpoint. */
export interface LoadOptions {
  /**
   * Which build of the kernels runs; all give the same bits. Default: the fastest that the engine
   * computes correctly, found by a probe of a few milliseconds; `simd` if `wasm` is given.
   */
  tier?: Tier;
  /**
   * Threads that share each image, including the calling one. Default 1. Platforms without workers
   * or shared memory always use 1; `info.threads` has the actual number.
   */
  threads?: number;
  /**
   * A kernel module to use instead of the package's own: compiled, as bytes, a URL, or a Response,
   * which is compiled while it arrives. It must match `tier`, and be its `-threads` version if
   * there are several threads.
   */
  wasm?: WasmBinary | URL;
  /**
   * SHA-256 of the checkpoint, 64 hexadecimal digits. Other bytes are refused. A model from a URL
   * is then cached under its digest, with the Cache API in browsers and isolates, in
   * `~/.cache/fqvit` in Node, Deno and Bun.
   */
  sha256?: string;
  /** `false` caches nothing. Default true, which caches only models with a `sha256`. */
  cache?: boolean;
  /** Cancels the load, which then throws the reason of the signal. */
  signal?: AbortSignal;
  /** Called with the bytes loaded so far and, if known, the total. */
  onProgress?: (loaded: number, total: number | undefined) => void;
  /** Called if the hub does not answer and the cached copy is used instead. */
  onWarning?: (message: string) => void;
}

/** What the calls of a {@link Model} take besides the image. */
export interface ClassifyOptions {
  /** How many classes to return, best first. Default 5. */
  top?: number;
  /** Refuses images with more pixels before they are decoded. Default 100 million. */
  maxPixels?: number;
  /**
   * Refuses images that need more bytes to decode, before they are decoded. Default in Node, Deno
   * and Bun: half of the memory that the process may use, shared by images that are decoded at the
   * same time. Elsewhere there is no default limit.
   */
  imageMemory?: number;
  /** Cancels the call, also while it computes; it then throws the reason of the signal. */
  signal?: AbortSignal;
}

/** What {@link Model.attention} takes besides the image. */
export interface AttentionOptions extends Omit<ClassifyOptions, 'top'> {
  /**
   * `last`, the default: the attention of the last block. `rollout`: that of all blocks in sequence
   * (Abnar and Zuidema, arXiv 2005.00928), which is smoother.
   */
  method?: AttentionMethod;
}

/** How much each patch of the image counts. */
export interface AttentionMap {
  /** Patches per side. */
  readonly side: number;
  /** `[side, side]`, row by row from the top. Each is at least 0; they sum to 1. */
  readonly weights: Float32Array;
}

/** Describes a loaded model. */
export interface ModelInfo extends Omit<Description, 'program' | 'outputs'> {
  /** Multiply-accumulates of an image. */
  readonly macs: number;
  /** Which build of the kernels runs. */
  readonly tier: Tier;
  /** Threads that share each image. */
  readonly threads: number;
  /** Size of the checkpoint, in bytes. */
  readonly bytes: number;
  /** WebAssembly memory that the model holds until `dispose()`, in bytes. */
  readonly memoryBytes: number;
}

/**
 * Loads an integer checkpoint.
 *
 * A string is an existing file, the name of a bundled model (`deit_cifar10`, `swin_cifar10`), an id
 * on the Hugging Face hub or an address, in this order. Browsers and isolates have no files and no
 * bundled models: there a string is an id on the hub or an address, relative to the page.
 *
 * Ids on the hub are `owner/name`, `owner/name@revision` (default `main`) and
 * `hf://owner/name@revision/file.safetensors`, for a repository with several integer checkpoints.
 * Node, Deno and Bun keep downloads in the cache of the hub's own tools, resume interrupted ones,
 * and respect `HF_TOKEN`, `HF_ENDPOINT`, `HF_HUB_CACHE` and `HF_HUB_OFFLINE`. Elsewhere the file
 * comes from huggingface.co each time; it is `model.safetensors` unless the id names another.
 *
 * @example A bundled model
 * ```ts
 * import { load } from 'fqvit';
 *
 * const model = await load('deit_cifar10');
 * const [best] = await model.classify('photo.jpg', { top: 1 });
 * console.log(best);
 * model.dispose();
 * ```
 *
 * @example Your own model, on two threads
 * ```ts
 * import { load } from 'fqvit';
 *
 * const model = await load('m.safetensors', { threads: 2 });
 * console.log(model.info.architecture.name, model.info.tier, model.info.threads);
 * model.dispose();
 * ```
 *
 * @example A model on the Hugging Face hub
 * ```ts no-run
 * import { load } from 'fqvit';
 *
 * const model = await load('owner/name@v1');
 * const narrow = await load('hf://owner/name@v1/w4/model.safetensors');
 * ```
 *
 * @param source where the checkpoint comes from: one of the strings above, a URL, bytes, a Blob, a
 *   Response or a stream
 * @throws CheckpointError for a file that is not a valid integer checkpoint: `MODEL_KIND` (a float
 *   model, for example), `MODEL_VERSION`, `MODEL_DESCRIPTION`, `MODEL_TENSORS`, `MODEL_SHAPE`,
 *   `MODEL_VALUE`, and `CHECKPOINT_…` for a damaged safetensors file
 * @throws HubError for a model on the hub: `HUB_NOT_FOUND`, `HUB_SEVERAL` (name one of the files),
 *   `HUB_GATED`, `HUB_TOKEN`, `HUB_NETWORK`, `HUB_OFFLINE`, `HUB_RATE`, `HUB_HASH`, `HUB_SIZE`,
 *   `HUB_CACHE`, `HUB_ID`, `HUB_ANSWER`, `HUB_ENDPOINT`, `HUB_LIBRARY` (the optional package is
 *   missing)
 * @throws RuntimeError `SOURCE` (cannot be read), `INTEGRITY` (another `sha256`), `MEMORY`,
 *   `WASM_MODULE`, `WASM_MISSING`, `THREADS` (a worker does not start), `TIER` (the engine computes
 *   the requested tier incorrectly)
 * @throws UsageError `TIER`, `THREADS`, `SHA256`, `SIGNAL`, `PROGRESS` for an option
 */
export async function load(source: ByteSource, options: LoadOptions = {}): Promise<Model> {
  const { tier, signal } = options;
  if (tier !== undefined && !TIERS.includes(tier))
    throw new UsageError('TIER', `tier: expected one of ${TIERS.join(', ')}, found ${formatValue(tier)}`);
  const threads = threadCount(options);
  const { bytes, name } = await readModel(source, options);
  const checkpoint = readIntegerModel(bytes, { file: name });
  const isShared = threads > 1;
  // `readModel` has compared a SHA-256 that was given
  const isKnown = options.sha256 !== undefined;
  const intact = isKnown ? Promise.resolve() : checkDigest(bytes, checkpoint.sha256, name);
  intact.catch(() => {}); // it may be found damaged before anyone waits for it
  const chosen = await tierFor(narrowestWeights(checkpoint), isShared, options);
  signal?.throwIfAborted();
  const count = chosen.tier === 'scalar' ? 1 : threads;
  const runner = await IntegerRunner.create(checkpoint, chosen.module, count);
  const model = new Model(checkpoint, bytes.length, chosen.tier, count, runner);
  try {
    // other threads compute the digest meanwhile
    await intact;
    signal?.throwIfAborted();
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

function threadCount({ threads = 1 }: LoadOptions): number {
  if (!Number.isSafeInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new UsageError(
      'THREADS',
      `threads: expected an integer from 1 to ${MAX_THREADS}, found ${formatValue(threads)}`,
    );
  }
  return availableThreads(threads);
}

/**
 * A loaded model, from {@link load}. It holds its memory until `dispose()`.
 *
 * Calls may overlap; their images are computed one after the other. A call pauses every 50 ms, so
 * that timers and events are handled and an abort takes effect. The calls `…OfPixels` do not pause.
 */
export class Model {
  /** Describes the model. */
  readonly info: ModelInfo;
  #runner: IntegerRunner | undefined;

  /** @internal use `load` */
  constructor(checkpoint: StoredModel, bytes: number, tier: Tier, threads: number, runner: IntegerRunner) {
    const { program: _p, outputs: _o, tensors: _t, sha256: _s, ...description } = checkpoint;
    const memoryBytes = runner.memory.buffer.byteLength;
    const macs = runner.steps.reduce((sum, step) => sum + step.macs, 0);
    this.info = deepFreeze({ ...description, macs, tier, threads, bytes, memoryBytes });
    this.#runner = runner;
  }

  /**
   * Classifies an image.
   *
   * @example
   * ```ts
   * import { load } from 'fqvit';
   *
   * const model = await load('deit_cifar10');
   * for (const { label, probability } of await model.classify('photo.jpg', { top: 3 })) {
   *   console.log(label, probability);
   * }
   * const answers = await model.classify(['a.jpg', 'b.jpg']); // a list for each image
   * model.dispose();
   * ```
   *
   * @param image encoded bytes (JPEG, PNG, WebP), a path, URL, Blob or stream, raw pixels
   *   `{ width, height, data }` (RGB or RGBA), an `ImageBitmap` or a `VideoFrame`
   * @returns the likeliest classes, best first; equal logits rank by the lower index
   * @throws ImageError for an image that is damaged, too large or not supported
   * @throws RuntimeError `SOURCE` for an image that cannot be read
   * @throws UsageError `DISPOSED`, `TOP`, `MAX_PIXELS`, `IMAGE_MEMORY`, `SIGNAL`, or `CLASSES` for
   *   a backbone, which has features only
   */
  classify(image: ImageSource, options?: ClassifyOptions): Promise<Prediction[]>;
  /** Classifies several images, one after the other. @returns one list of predictions per image */
  classify(images: readonly ImageSource[], options?: ClassifyOptions): Promise<Prediction[][]>;
  async classify(
    images: ImageSource | readonly ImageSource[],
    options: ClassifyOptions = {},
  ): Promise<Prediction[] | Prediction[][]> {
    const { top = 5 } = options;
    checkTop(top);
    this.#expectClasses();
    return predictEach(images, (image) => this.logits(image, options), this.info, top);
  }

  /**
   * Computes the features of an image, for search and similarity: the vector that the head reads.
   * It is the class token after the last LayerNorm, its mean with the distillation token if the
   * model has one, or the mean of the patches.
   *
   * @example The cosine similarity of two photos
   * ```ts
   * import { load } from 'fqvit';
   *
   * const model = await load('deit_cifar10');
   * const [a, b] = [await model.features('a.jpg'), await model.features('b.jpg')];
   * const dot = (x: Float32Array, y: Float32Array) =>
   *   x.reduce((sum, value, i) => sum + value * y[i], 0);
   * console.log(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)));
   * model.dispose();
   * ```
   *
   * @returns Float32Array `[dim]`
   * @throws what {@link Model.classify} throws, but not `TOP` and `CLASSES`
   */
  async features(image: ImageSource, options: ClassifyOptions = {}): Promise<Float32Array> {
    const pixels = await this.#pixels(image, options);
    return this.#features(await this.#runInSlices(pixels, this.#outputs.features.layer, options.signal));
  }

  /**
   * Computes the features of pixels that are already resized and cropped, without pauses.
   *
   * @param pixels uint8 `[imageSize, imageSize, 3]`, RGB
   * @returns Float32Array `[dim]`
   * @throws UsageError `DISPOSED`, or `PIXELS` for another length
   */
  featuresOfPixels(pixels: Uint8Array): Float32Array {
    return this.#features(this.#run(pixels, this.#outputs.features.layer));
  }

  /**
   * Shows where a DeiT or ViT looks: the attention of the class token, or of all patches if the
   * head reads their mean, averaged over the heads and computed from integer codes. The map covers
   * the square that the model sees: {@link Model.seenPart}.
   *
   * @example
   * ```ts
   * import { load } from 'fqvit';
   *
   * const model = await load('deit_cifar10');
   * const { side, weights } = await model.attention('photo.jpg', { method: 'rollout' });
   * const most = weights.indexOf(Math.max(...weights));
   * console.log(`row ${Math.floor(most / side)}, column ${most % side} of ${side}`);
   * model.dispose();
   * ```
   *
   * @throws UsageError `ATTENTION` for a Swin, which has no class token, and for an unknown method
   * @throws what {@link Model.classify} throws, but not `TOP` and `CLASSES`
   */
  async attention(image: ImageSource, options: AttentionOptions = {}): Promise<AttentionMap> {
    const { method = 'last' } = options;
    if (!ATTENTION_METHODS.includes(method)) {
      throw new UsageError(
        'ATTENTION',
        `method: expected one of ${ATTENTION_METHODS.join(', ')}, found ${formatValue(method)}`,
      );
    }
    if (this.#outputs.attention === undefined) {
      throw new UsageError('ATTENTION', 'model: expected a DeiT or ViT, found a Swin: it has no class token');
    }
    const pixels = await this.#pixels(image, options);
    const runner = this.#running();
    const pass = () => attentionMap(runner, pixels, method);
    const weights = await runner.inSlices(pass, options.signal);
    return { side: Math.sqrt(weights.length), weights };
  }

  /**
   * Computes which part of an image the model sees, and so where an attention map belongs.
   *
   * @param width of the upright image, in pixels
   * @param height of the upright image, in pixels
   * @returns a rectangle, in pixels of the image
   * @throws UsageError `SIZE` for a width or height below 1
   */
  seenPart(width: number, height: number): SeenPart {
    if (!(width >= 1 && height >= 1 && Number.isFinite(width * height))) {
      const found = `${formatValue(width)}×${formatValue(height)}`;
      throw new UsageError('SIZE', `picture: expected a width and a height of at least 1, found ${found}`);
    }
    return seenPart(width, height, this.info.preprocessing);
  }

  /**
   * Computes the logits of an image: scale · (code - zero point), the only dequantisation.
   *
   * @returns Float32Array `[classes]`
   * @throws what {@link Model.classify} throws, but not `TOP`
   */
  async logits(image: ImageSource, options: ClassifyOptions = {}): Promise<Float32Array> {
    return this.#logits(await this.codes(image, options));
  }

  /**
   * Computes the codes of the logits, which are the same in every engine and tier.
   *
   * @returns uint8 `[classes]`
   * @throws what {@link Model.classify} throws, but not `TOP`
   */
  async codes(image: ImageSource, options: ClassifyOptions = {}): Promise<Uint8Array> {
    this.#expectClasses();
    return this.#runInSlices(await this.#pixels(image, options), this.#outputs.logits!, options.signal);
  }

  /**
   * Computes the codes of pixels that are already resized and cropped, without pauses.
   *
   * @example
   * ```ts
   * import { load } from 'fqvit';
   *
   * const model = await load('deit_cifar10');
   * const { imageSize } = model.info.preprocessing;
   * const codes = model.codesOfPixels(new Uint8Array(imageSize * imageSize * 3).fill(128));
   * console.log(codes);
   * model.dispose();
   * ```
   *
   * @param pixels uint8 `[imageSize, imageSize, 3]`, RGB
   * @returns uint8 `[classes]`
   * @throws UsageError `DISPOSED`, `PIXELS` for another length, or `CLASSES` for a backbone
   */
  codesOfPixels(pixels: Uint8Array): Uint8Array {
    this.#expectClasses();
    return this.#run(pixels, this.#outputs.logits!);
  }

  /**
   * Computes the logits of pixels that are already resized and cropped, without pauses.
   *
   * @param pixels uint8 `[imageSize, imageSize, 3]`, RGB
   * @returns Float32Array `[classes]`
   * @throws UsageError `DISPOSED`, `PIXELS` for another length, or `CLASSES` for a backbone
   */
  logitsOfPixels(pixels: Uint8Array): Float32Array {
    return this.#logits(this.codesOfPixels(pixels));
  }

  /** @internal As `logitsOfPixels`, with pauses. */
  async logitsInSlices(pixels: Uint8Array, signal?: AbortSignal): Promise<Float32Array> {
    return this.#logits(await this.#runInSlices(pixels, this.#outputs.logits!, signal));
  }

  /** Frees the memory. Unfinished and later calls throw UsageError `DISPOSED`. */
  dispose(): void {
    this.#runner?.dispose();
    this.#runner = undefined;
  }

  async #pixels(image: ImageSource, options: ClassifyOptions): Promise<Uint8Array> {
    this.#running();
    checkSignal(options.signal);
    const pixels = await readPixels(image, this.info.preprocessing, options);
    options.signal?.throwIfAborted();
    return pixels;
  }

  #run(pixels: Uint8Array, output: string): Uint8Array {
    const runner = this.#running();
    checkPixels(pixels, this.info.preprocessing.imageSize);
    return runner.run(pixels, output);
  }

  #runInSlices(pixels: Uint8Array, output: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#running().runInSlices(pixels, output, signal);
  }

  get #outputs(): Outputs {
    return this.#running().description.outputs;
  }

  #features(codes: Uint8Array): Float32Array {
    const { layer, tokens } = this.#outputs.features;
    return meanOfTokens(this.#dequantise(codes, layer), tokens);
  }

  #logits(codes: Uint8Array): Float32Array {
    return this.#dequantise(codes, this.#outputs.logits!);
  }

  #expectClasses(): void {
    checkClasses(this.#running().description.architecture.classes);
  }

  #dequantise(codes: Uint8Array, name: string): Float32Array {
    const { scale, zeroPoint } = this.#running().description.program.activations.get(name)!;
    return Float32Array.from(codes, (code) => scale! * (code - zeroPoint));
  }

  #running(): IntegerRunner {
    if (this.#runner === undefined) throw disposedError();
    return this.#runner;
  }
}

/** What the head reads of one token or of two side by side, as one. */
function meanOfTokens(values: Float32Array, tokens: number): Float32Array {
  const dim = values.length / tokens;
  const mean = new Float32Array(dim);
  values.forEach((value, i) => {
    mean[i % dim]! += value / tokens;
  });
  return mean;
}

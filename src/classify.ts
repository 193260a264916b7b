import { type Architecture, featuresName, pooledTokens } from './checkpoint/architecture.js';
import type { Description } from './checkpoint/integer-description.js';
import { type IntegerModel, readIntegerModel } from './checkpoint/integer-model.js';
import { shown } from './checkpoint/shown.js';
import { UsageError } from './errors.js';
import { frozen } from './frozen.js';
import { type SeenPart, seenPart } from './image/preprocess.js';
import { type ImageSource, readPixels } from './image/source.js';
import { readModel } from './model-source.js';
import { ATTENTION_METHODS, type AttentionMethod, attentionMap } from './models/attention-map.js';
import { IntegerRunner } from './models/integer.js';
import type { ByteSource } from './platform/bytes.js';
import type { WasmBinary } from './platform/compile.js';
import { checkSignal } from './platform/read-options.js';
import { checkClasses, checkPixels, checkTop, disposed, type Prediction, predictEach } from './predict.js';
import type { Tier } from './runtime/kernels.js';
import { availableThreads, MAX_THREADS } from './runtime/threads.js';
import { tierFor } from './runtime/tier.js';

const TIERS: readonly Tier[] = ['relaxed', 'simd', 'scalar'];

export interface LoadOptions {
  /**
   * Which build of the kernels runs; all give the same bits. By default the fastest that the engine computes rightly, found by a
   * probe of some milliseconds, or `simd` where `wasm` is given.
   */
  tier?: Tier;
  /**
   * Threads that share each image, the calling one included; default 1. Where the platform has no workers or no shared memory
   * there is 1 (`info.threads` says how many there are).
   */
  threads?: number;
  /**
   * A kernel module of that tier (`-threads` where there are several) instead of the package's own: compiled, as bytes, a URL, or
   * an answer of `fetch`. What is fetched is compiled while it arrives.
   */
  wasm?: WasmBinary | URL;
  /**
   * SHA-256 of the checkpoint, 64 hexadecimal digits: anything else is refused. What a URL gives is then kept under it, by the Cache API in
   * browsers and isolates, in `~/.cache/fqvit` in Node, Deno and Bun, and comes from there the next time.
   */
  sha256?: string;
  /** `false` keeps nothing. Default true; without `sha256` nothing is kept either. */
  cache?: boolean;
  signal?: AbortSignal;
  /** Bytes loaded so far, and in all where that is known. */
  onProgress?: (loaded: number, total: number | undefined) => void;
  /** Called where the hub does not answer and the copy in the cache is taken. */
  onWarning?: (message: string) => void;
}

export interface ClassifyOptions {
  /** How many classes to return, best first. Default 5. */
  top?: number;
  /** Images with more pixels are refused before they are decoded. Default 100 million. */
  maxPixels?: number;
  /**
   * Images that take more bytes to decode are refused before they are decoded. Default: in Node, Deno and Bun half of the memory that the
   * process may use, where images also wait for each other; elsewhere no limit.
   */
  imageMemory?: number;
  signal?: AbortSignal;
}

export interface AttentionOptions extends Omit<ClassifyOptions, 'top'> {
  /**
   * `last`, the default: the attention of the last block. `rollout`: that of all blocks one after the other (arXiv 2005.00928), smoother
   * and nearer to what the features are made of.
   */
  method?: AttentionMethod;
}

/** How much every patch of what the model sees counts. */
export interface AttentionMap {
  /** Patches of a side. */
  readonly side: number;
  /** `[side, side]`, row by row from the top; at least 0, their sum 1. */
  readonly weights: Float32Array;
}

/** What a checkpoint says of itself, and what it takes to run it. */
export interface ModelInfo extends Omit<Description, 'quantizers' | 'steps'> {
  readonly tier: Tier;
  /** Threads that share each image. */
  readonly threads: number;
  /** Size of the checkpoint. */
  readonly bytes: number;
  /** WebAssembly memory that the model holds until `dispose()`. */
  readonly memoryBytes: number;
}

/**
 * Loads an integer checkpoint.
 *
 * ```ts
 * const model = await load('deit_tiny.safetensors');                 // a path, URL, bytes, Blob or Response
 * const [best] = await model.classify('photo.jpg', { top: 1 });     // { index, label, probability }
 * model.dispose();
 *
 * await load('deit_cifar10');                                        // or 'swin_cifar10': they come with the package
 * await load('owner/name@v1');                                       // a model on the Hugging Face hub, the branch main if none is named
 * await load('hf://owner/name@v1/w4/model.safetensors');             // where it has several files: one of them
 * ```
 *
 * A file of such a name comes first. In Node, Deno and Bun models of the hub stay in the cache of its own tools, an interrupted
 * download goes on, and the variables `HF_TOKEN`, `HF_ENDPOINT`, `HF_HUB_CACHE` and `HF_HUB_OFFLINE` count. Elsewhere there are
 * no files and no bundled models, and a model of the hub is fetched from huggingface.co each time: `model.safetensors` unless a
 * file is named.
 *
 * @throws CheckpointError for a file that is no sound integer checkpoint (`readIntegerModel`)
 * @throws HubError for a model on the hub: `HUB_NOT_FOUND`, `HUB_SEVERAL` (files, and none is named), `HUB_GATED`, `HUB_TOKEN`,
 *   `HUB_NETWORK`, `HUB_OFFLINE`, `HUB_RATE`, `HUB_HASH`, `HUB_SIZE`, `HUB_CACHE`, `HUB_ID`, `HUB_ANSWER`, `HUB_ENDPOINT`,
 *   `HUB_LIBRARY` (the optional package is missing)
 * @throws RuntimeError `MEMORY`, `WASM_MODULE`, `WASM_MISSING`, `SOURCE` (cannot be read), `INTEGRITY` (another `sha256`), `THREADS` (a worker does not start),
 *   `TIER` (the engine computes the tier that was asked for wrongly)
 * @throws UsageError `TIER`, `THREADS`, `SHA256`, `SIGNAL`, `PROGRESS`
 */
export async function load(source: ByteSource, options: LoadOptions = {}): Promise<Model> {
  const { tier, signal } = options;
  if (tier !== undefined && !TIERS.includes(tier))
    throw new UsageError('TIER', `tier: expected one of ${TIERS.join(', ')}, found ${shown(tier)}`);
  const threads = threadCount(options);
  const { bytes, name } = await readModel(source, options);
  const checkpoint = readIntegerModel(bytes, { file: name });
  const isShared = threads > 1;
  const chosen = await tierFor(checkpoint.recipe.weightBits, isShared, options);
  signal?.throwIfAborted();
  const count = chosen.tier === 'scalar' ? 1 : threads;
  const runner = await IntegerRunner.create(checkpoint, chosen.module, count);
  const model = new Model(checkpoint, bytes.length, chosen.tier, count, runner);
  if (signal?.aborted) model.dispose();
  signal?.throwIfAborted();
  return model;
}

function threadCount({ threads = 1 }: LoadOptions): number {
  if (!Number.isSafeInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new UsageError(
      'THREADS',
      `threads: expected an integer from 1 to ${MAX_THREADS}, found ${shown(threads)}`,
    );
  }
  return availableThreads(threads);
}

/**
 * A loaded model. It owns its memory until `dispose()`. Calls may overlap: their images are computed one after the other. Where an image
 * takes long, timers and signals are handled meanwhile, and an abort ends it; the calls `…OfPixels` compute it in one piece.
 */
export class Model {
  readonly info: ModelInfo;
  #runner: IntegerRunner | undefined;

  /** @internal use `load` */
  constructor(checkpoint: IntegerModel, bytes: number, tier: Tier, threads: number, runner: IntegerRunner) {
    const { quantizers: _q, steps: _s, tensors: _t, ...description } = checkpoint;
    const memoryBytes = runner.memory.buffer.byteLength;
    this.info = frozen({ ...description, tier, threads, bytes, memoryBytes });
    this.#runner = runner;
  }

  /**
   * The likeliest classes of an image, best first; equal logits rank by the lowest index.
   *
   * @param image encoded bytes (JPEG, PNG, WebP), a path, URL, Blob or stream, raw pixels `{ width, height, data }` (RGB or RGBA), or
   *   an `ImageBitmap` or `VideoFrame` (`ImageSource` says more)
   * @throws ImageError for an image that is damaged, too large or not supported
   * @throws UsageError `DISPOSED`, `TOP`, `MAX_PIXELS`, `SIGNAL`
   */
  classify(image: ImageSource, options?: ClassifyOptions): Promise<Prediction[]>;
  /** Several images, one list of predictions each, in order. */
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
   * What the head reads, for search and similarity: Float32Array `[dim]`, the class token behind the last LayerNorm (the mean of it and the
   * distillation token where there is one), or the mean of the patches. A backbone without a head has nothing else.
   */
  async features(image: ImageSource, options: ClassifyOptions = {}): Promise<Float32Array> {
    const pixels = await this.#pixels(image, options);
    return this.#features(await this.#runInSlices(pixels, this.#featuresName, options.signal));
  }

  /** As `features`, of pixels that are already resized and cropped. */
  featuresOfPixels(pixels: Uint8Array): Float32Array {
    return this.#features(this.#run(pixels, this.#featuresName));
  }

  /**
   * Where a DeiT or ViT looks, from the integer codes of its attention: that of the class token, or where the head reads the mean of the
   * patches, of them all; the mean over the heads. The map covers the square that the model sees (`seenPart`).
   *
   * @throws UsageError `ATTENTION` for a Swin, whose windows see a part each, and for an unknown method
   */
  async attention(image: ImageSource, options: AttentionOptions = {}): Promise<AttentionMap> {
    const { method = 'last' } = options;
    if (!ATTENTION_METHODS.includes(method)) {
      throw new UsageError(
        'ATTENTION',
        `method: expected one of ${ATTENTION_METHODS.join(', ')}, found ${shown(method)}`,
      );
    }
    const { architecture } = this.#running().description;
    if (architecture.family === 'swin') {
      throw new UsageError('ATTENTION', 'model: expected a DeiT or ViT, found a Swin: it has no class token');
    }
    const pixels = await this.#pixels(image, options);
    const runner = this.#running();
    const pass = () => attentionMap(runner, architecture, pixels, method);
    const weights = await runner.inSlices(pass, options.signal);
    return { side: architecture.imageSize / architecture.patchSize, weights };
  }

  /**
   * The part of an upright picture of this size that the model sees, in its pixels: where an attention map belongs.
   *
   * @throws UsageError `SIZE`
   */
  seenPart(width: number, height: number): SeenPart {
    if (!(width >= 1 && height >= 1 && Number.isFinite(width * height))) {
      const found = `${shown(width)}×${shown(height)}`;
      throw new UsageError('SIZE', `picture: expected a width and a height of at least 1, found ${found}`);
    }
    return seenPart(width, height, this.info.preprocessing);
  }

  /** The logits of an image, Float32Array `[classes]`: scale · (code - zero point), the one dequantisation. */
  async logits(image: ImageSource, options: ClassifyOptions = {}): Promise<Float32Array> {
    return this.#dequantise(await this.codes(image, options), 'logits');
  }

  /** The integers behind the logits, uint8 `[classes]`: equal to the bit on every engine and tier. */
  async codes(image: ImageSource, options: ClassifyOptions = {}): Promise<Uint8Array> {
    this.#expectClasses();
    return this.#runInSlices(await this.#pixels(image, options), 'logits', options.signal);
  }

  /** As `codes`, of pixels that are already resized and cropped: uint8 `[imageSize, imageSize, 3]`. */
  codesOfPixels(pixels: Uint8Array): Uint8Array {
    this.#expectClasses();
    return this.#run(pixels, 'logits');
  }

  /** As `logits`, of pixels that are already resized and cropped. */
  logitsOfPixels(pixels: Uint8Array): Float32Array {
    return this.#dequantise(this.codesOfPixels(pixels), 'logits');
  }

  /** @internal As `logits`, of pixels that are already resized and cropped. */
  async logitsInSlices(pixels: Uint8Array, signal?: AbortSignal): Promise<Float32Array> {
    return this.#dequantise(await this.#runInSlices(pixels, 'logits', signal), 'logits');
  }

  /** Gives the memory back; calls that have no answer yet and those after it throw UsageError `DISPOSED`. */
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

  get #featuresName(): string {
    return featuresName(this.info.architecture);
  }

  #features(codes: Uint8Array): Float32Array {
    return meanOfTokens(this.#dequantise(codes, this.#featuresName), this.info.architecture);
  }

  #expectClasses(): void {
    checkClasses(this.#running().description.architecture.classes);
  }

  #dequantise(codes: Uint8Array, name: string): Float32Array {
    const { scale, zeroPoint } = this.#running().description.quantizers.get(name)!;
    return Float32Array.from(codes, (code) => scale * (code - zeroPoint));
  }

  #running(): IntegerRunner {
    if (this.#runner === undefined) throw disposed();
    return this.#runner;
  }
}

/** What the head reads of one token or of two side by side, as one. */
function meanOfTokens(values: Float32Array, architecture: Architecture): Float32Array {
  const tokens = Math.max(1, pooledTokens(architecture));
  const dim = values.length / tokens;
  const mean = new Float32Array(dim);
  values.forEach((value, i) => {
    mean[i % dim]! += value / tokens;
  });
  return mean;
}

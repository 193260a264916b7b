import { floatModule } from '#runtime/float-wasm';
import type { Output } from '../architecture/output.js';
import type { FloatArchitecture } from '../checkpoint/float/family.js';
import {
  type FloatModelOptions,
  type FloatPreprocessing,
  readFloatModel,
} from '../checkpoint/float/model.js';
import { FloatRunner } from '../forward/float/runner.js';
import { type ImageSource, readPixels } from '../image/source.js';
import { type ByteSource, readBytes } from '../platform/bytes.js';
import { checkSignal } from '../platform/read-options.js';
import { disposedError } from '../runtime/passes.js';
import { deepFreeze } from './deep-freeze.js';
import type { ClassifyOptions } from './model.js';
import { checkClasses, checkPixels, checkTop, type Prediction, predictEach } from './predict.js';

/** What {@link loadFloat} takes besides the checkpoint. */
export interface FloatLoadOptions extends Omit<FloatModelOptions, 'file'> {
  /** A float kernel module to use instead of the package's own, compiled or as bytes. */
  wasm?: WebAssembly.Module | BufferSource;
  /** Cancels the load, which then throws the reason of the signal. */
  signal?: AbortSignal;
  /** Called with the bytes loaded so far and, if known, the total. */
  onProgress?: (loaded: number, total: number | undefined) => void;
}

/** Describes a loaded float model. */
export interface FloatInfo {
  /** Family and sizes. */
  readonly architecture: FloatArchitecture;
  /** How an image becomes pixels. */
  readonly preprocessing: FloatPreprocessing;
  /** Names of the classes, by index. */
  readonly labels: readonly string[];
  /** The name of the model, if the file holds several. */
  readonly weights?: string;
  /** What the logits mean. Without meaning for a backbone, which has no logits. */
  readonly output: Output;
  /** What the reader guessed or ignored, one sentence each. */
  readonly warnings: readonly string[];
  /** Size of the checkpoint, in bytes. */
  readonly bytes: number;
  /** WebAssembly memory that the model holds until `dispose()`, in bytes. */
  readonly memoryBytes: number;
}

/**
 * Loads a float DeiT, ViT or Swin, to compare an integer model with it.
 *
 * @example
 * ```ts
 * import { loadFloat } from 'fqvit/float';
 *
 * const float = await loadFloat('deit_tiny.safetensors', { arch: 'deit_tiny_patch16_224' });
 * const [best] = await float.classify('photo.jpg', { top: 1 });
 * console.log(best);
 * float.dispose();
 * ```
 *
 * @param source a path, URL, bytes, Blob or Response with a checkpoint in one file: safetensors, a
 *   PyTorch checkpoint or ONNX ({@link fqvit/quantize!readFloatModel | readFloatModel} lists them)
 * @throws CheckpointError for a checkpoint that is damaged or not supported; `readFloatModel` lists
 *   the codes
 * @throws UsageError `MODEL_OPTION` for an option that does not fit the checkpoint
 * @throws QuantizeError `MODEL_SHAPE`, `MODEL_TENSOR` for sizes that do not fit together
 * @throws RuntimeError `SOURCE` for a source that cannot be read, `MEMORY`, `WASM` for a module in
 *   `wasm` that does not fit, `WASM_MODULE`, `WASM_MISSING`
 */
export async function loadFloat(
  source: ByteSource,
  { wasm, signal, onProgress, ...options }: FloatLoadOptions = {},
): Promise<FloatClassifier> {
  const { bytes, name } = await readBytes(source, { signal, onProgress });
  const model = readFloatModel(bytes, { ...options, file: name });
  const runner = await FloatRunner.create(model, { wasm: wasm ?? (await floatModule()) });
  signal?.throwIfAborted();
  return new FloatClassifier(runner, bytes.length);
}

/**
 * A loaded float model, which computes in float32. It has the calls of the integer
 * {@link fqvit!Model | Model}, and they may overlap too. It holds its memory until `dispose()`.
 */
export class FloatClassifier {
  /** Describes the model. */
  readonly info: FloatInfo;
  #runner: FloatRunner | undefined;

  /** @internal use `loadFloat` */
  constructor(runner: FloatRunner, bytes: number) {
    const { tensors: _, ...description } = runner.model;
    this.info = deepFreeze({ ...description, bytes, memoryBytes: runner.memoryBytes });
    this.#runner = runner;
  }

  /**
   * Classifies an image.
   *
   * @returns the likeliest classes, best first; equal logits rank by the lower index
   * @throws ImageError for an image that is damaged, too large or not supported
   * @throws UsageError `DISPOSED`, `TOP`, or `CLASSES` for a backbone, which has no classes
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
    this.#running();
    return predictEach(images, (image) => this.logits(image, options), this.info, top);
  }

  /**
   * Computes the logits of an image.
   *
   * @returns Float32Array `[classes]`
   * @throws ImageError for an image that is damaged, too large or not supported
   * @throws UsageError `DISPOSED`, or `CLASSES` for a backbone
   */
  async logits(image: ImageSource, options: ClassifyOptions = {}): Promise<Float32Array> {
    this.#running();
    checkSignal(options.signal);
    const pixels = await readPixels(image, this.info.preprocessing, options);
    const [logits] = await this.#running().runInSlices([pixels], { signal: options.signal });
    return logits!;
  }

  /**
   * Computes the logits of pixels that are already resized and cropped, without pauses.
   *
   * @param pixels uint8 `[imageSize, imageSize, 3]`, RGB
   * @returns Float32Array `[classes]`
   * @throws UsageError `DISPOSED`, `PIXELS` for another length, or `CLASSES` for a backbone
   */
  logitsOfPixels(pixels: Uint8Array): Float32Array {
    const runner = this.#running();
    checkPixels(pixels, this.info.preprocessing.imageSize);
    return runner.run([pixels])[0]!;
  }

  /** Frees the memory. Later calls throw UsageError `DISPOSED`. */
  dispose(): void {
    this.#runner?.dispose();
    this.#runner = undefined;
  }

  #running(): FloatRunner {
    if (this.#runner === undefined) throw disposedError();
    checkClasses(this.info.architecture.classes);
    return this.#runner;
  }
}

import { floatModule } from '#runtime/float-wasm';
import type { FloatArchitecture } from './checkpoint/float-family.js';
import { type FloatModelOptions, type FloatPreprocessing, readFloatModel } from './checkpoint/float-model.js';
import type { Output } from './checkpoint/output.js';
import type { ClassifyOptions } from './classify.js';
import { frozen } from './frozen.js';
import { type ImageSource, readPixels } from './image/source.js';
import { FloatRunner } from './models/float.js';
import { type ByteSource, readBytes } from './platform/bytes.js';
import { checkSignal } from './platform/read-options.js';
import { checkClasses, checkPixels, checkTop, disposed, type Prediction, predictEach } from './predict.js';

export interface FloatLoadOptions extends Omit<FloatModelOptions, 'file'> {
  /** The float kernel module instead of the package's own. */
  wasm?: WebAssembly.Module | BufferSource;
  signal?: AbortSignal;
  /** Bytes loaded so far, and in all where that is known. */
  onProgress?: (loaded: number, total: number | undefined) => void;
}

/** What a float checkpoint says of itself, and what it takes to run it. */
export interface FloatInfo {
  readonly architecture: FloatArchitecture;
  readonly preprocessing: FloatPreprocessing;
  readonly labels: readonly string[];
  /** Which of several models in the file this is. */
  readonly weights?: string;
  /** What the logits mean; of a backbone, which has none, it says nothing. */
  readonly output: Output;
  /** What was guessed or ignored, a sentence each. */
  readonly warnings: readonly string[];
  /** Size of the checkpoint. */
  readonly bytes: number;
  /** WebAssembly memory that the model holds until `dispose()`. */
  readonly memoryBytes: number;
}

/**
 * Loads a float DeiT, ViT or Swin, to hold an integer model against it.
 *
 * ```ts
 * const float = await loadFloat('deit_tiny.safetensors', { arch: 'deit_tiny_patch16_224' });   // a path, URL, bytes, Blob or Response
 * const [best] = await float.classify('photo.jpg', { top: 1 });
 * float.dispose();
 * ```
 *
 * @param source a checkpoint in one file, as `readFloatModel` of `fqvit/quantize` takes it: safetensors, a PyTorch checkpoint, ONNX
 * @throws CheckpointError and UsageError `MODEL_OPTION` for the checkpoint (`readFloatModel`)
 * @throws QuantizeError `MODEL_SHAPE`, `MODEL_TENSOR` for sizes that do not go together
 * @throws RuntimeError `MEMORY`, `WASM` (a module that is given), `WASM_MODULE`, `WASM_MISSING`, `SOURCE` (cannot be read)
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

/** A loaded float model: the calls of the integer `Model`, in float32, and as there they may overlap. It owns its memory until `dispose()`. */
export class FloatClassifier {
  readonly info: FloatInfo;
  #runner: FloatRunner | undefined;

  /** @internal use `loadFloat` */
  constructor(runner: FloatRunner, bytes: number) {
    const { tensors: _, ...description } = runner.model;
    this.info = frozen({ ...description, bytes, memoryBytes: runner.memoryBytes });
    this.#runner = runner;
  }

  /**
   * The likeliest classes of an image, best first; equal logits rank by the lowest index.
   *
   * @throws ImageError for an image that is damaged, too large or not supported
   * @throws UsageError `DISPOSED`, `TOP`, `CLASSES` (a backbone without a head)
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
    this.#running();
    return predictEach(images, (image) => this.logits(image, options), this.info, top);
  }

  /** The logits of an image, Float32Array `[classes]`. */
  async logits(image: ImageSource, options: ClassifyOptions = {}): Promise<Float32Array> {
    this.#running();
    checkSignal(options.signal);
    const pixels = await readPixels(image, this.info.preprocessing, options);
    const [logits] = await this.#running().runInSlices([pixels], { signal: options.signal });
    return logits!;
  }

  /** As `logits`, of pixels that are already resized and cropped: uint8 `[imageSize, imageSize, 3]`. */
  logitsOfPixels(pixels: Uint8Array): Float32Array {
    const runner = this.#running();
    checkPixels(pixels, this.info.preprocessing.imageSize);
    return runner.run([pixels])[0]!;
  }

  /** Gives the memory back; calls after it throw UsageError `DISPOSED`. */
  dispose(): void {
    this.#runner?.dispose();
    this.#runner = undefined;
  }

  #running(): FloatRunner {
    if (this.#runner === undefined) throw disposed();
    checkClasses(this.info.architecture.classes);
    return this.#runner;
  }
}

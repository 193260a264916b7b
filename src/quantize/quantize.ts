import { floatModule } from '#runtime/float-wasm';
import type { FloatFile } from '../checkpoint/float/container.js';
import { type FloatModel, type FloatModelOptions, readFloatModel } from '../checkpoint/float/model.js';
import { seal } from '../checkpoint/integer/digest.js';
import { type IntegerModel, writeIntegerModel } from '../checkpoint/integer/model.js';
import { type FqvitError, ImageError, QuantizeError, RuntimeError, UsageError } from '../errors.js';
import { type ImageSource, readPixels } from '../image/source.js';
import { FEEDBACK_BITS } from '../layers/linear/feedback.js';
import { sha256 } from '../platform/sha256.js';
import { yieldToEvents } from '../platform/yield-to-events.js';
import { formatValue } from '../text/format-value.js';
import { calibrateBest } from './best.js';
import { type CalibrationProgress, calibrate } from './calibrate.js';
import { checkQuantizable } from './check.js';
import { drawOrder } from './draw.js';
import { integerizeByLayer } from './integerize.js';
import { DEFAULT_IMAGES, DEFAULT_SYNTHETIC, type MethodOptions, methodRecipe } from './recipe.js';
import { syntheticPictures } from './synthetic/pictures.js';

/** What {@link quantize} takes besides the float checkpoint and the images. */
export interface QuantizeOptions extends MethodOptions, FloatModelOptions {
  /**
   * Number of calibration images. Default 1,000 or all if there are fewer; 128 synthetic ones. An
   * explicit number is an error if there are fewer images.
   */
  calibrationImages?: number | undefined;
  /**
   * Picks the images, 0..2^32 - 1. Default 0. `null` takes the first ones in the given order, which
   * synthetic images do not have.
   */
  seed?: number | null | undefined;
  /** Called after each batch of images and each layer. */
  onProgress?: CalibrationProgress | undefined;
  /** Cancels the call, which then throws the reason of the signal. */
  signal?: AbortSignal | undefined;
  /** A float kernel module to use instead of the package's own, compiled or as bytes. */
  wasm?: WebAssembly.Module | BufferSource | undefined;
}

/** What {@link quantize} makes. */
export interface Quantized {
  /** The integer checkpoint, a `.safetensors` file. The same input gives the same bytes. */
  readonly bytes: Uint8Array;
  /** The same, parsed. */
  readonly model: IntegerModel;
  /** What was guessed about the float checkpoint, one sentence each. */
  readonly warnings: readonly string[];
  /** Images that could not be read. Others took their place. */
  readonly skipped: readonly Skipped[];
}

/** A calibration image that could not be read. */
export interface Skipped {
  /** The image, as it was given. */
  readonly image: ImageSource;
  /** Why it could not be read. */
  readonly error: FqvitError;
}

/**
 * Makes an integer checkpoint from a float one. It calibrates each activation on images, then turns
 * weights into codes and scales into integer multipliers and shifts. The method `fq` is that of the
 * paper (FQ-ViT, arXiv 2111.13824): power-of-two factors for LayerNorm, section 3.2, and
 * Log-Int-Softmax, section 3.3.
 *
 * @example
 * ```ts
 * import { readdir, readFile, writeFile } from 'node:fs/promises';
 * import { quantize } from 'fqvit/quantize';
 *
 * const photos = (await readdir('photos')).map((name) => `photos/${name}`);
 * const { bytes, warnings } = await quantize(await readFile('deit_tiny.safetensors'), photos, {
 *   arch: 'deit_tiny_patch16_224',
 *   weightBits: 7,
 *   onProgress: (done, total, phase) => console.log(phase, done, total),
 * });
 * for (const warning of warnings) console.warn(warning);
 * await writeFile('own.safetensors', bytes);
 * ```
 *
 * @param float a float DeiT, ViT or Swin: the bytes of a safetensors file, a PyTorch checkpoint or
 *   an ONNX model, or of all parts of a sharded one ({@link readFloatModel})
 * @param images paths, URLs, bytes or raw pixels; or `'synthetic'`, which draws pictures, and gives
 *   a model that is less close to the float model than one calibrated on photos
 * @throws CheckpointError for the float checkpoint ({@link readFloatModel} lists the codes)
 * @throws QuantizeError `CALIBRATION_IMAGES` for fewer readable images than requested, or none;
 *   `CALIBRATION_NOT_FINITE`, `QUANTIZER_RANGE` for a model that overflows on them
 * @throws UsageError `METHOD`, `CALIBRATION_COUNT`, `SEED`, `IMAGES`, `MODEL_OPTION` for an
 *   argument
 */
export async function quantize(
  float: FloatFile,
  images: readonly ImageSource[] | 'synthetic',
  options: QuantizeOptions = {},
): Promise<Quantized> {
  const { signal, seed = 0 } = options;
  const method = methodRecipe(options);
  const isSynthetic = images === 'synthetic';
  if (!isSynthetic && !Array.isArray(images)) {
    throw new UsageError('IMAGES', `images: expected a list or "synthetic", found ${formatValue(images)}`);
  }
  checkSeed(seed, isSynthetic);
  const wanted = imageCount(isSynthetic ? undefined : images.length, options.calibrationImages);
  const model = readFloatModel(float, options);
  checkQuantizable(model, options.file ?? 'checkpoint');
  const skipped: Skipped[] = [];
  const pixels = isSynthetic
    ? syntheticPictures(model, seed!)
    : readable(seed === null ? images : drawOrder(images, seed), model.preprocessing, skipped, options);
  const { observer, ptf, activationBits, weightBits } = method;
  const run = {
    activationBits,
    moments: weightBits <= FEEDBACK_BITS,
    wasm: options.wasm ?? (await floatModule()),
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
    ...(signal ? { signal } : {}),
  };
  const calibration =
    observer === 'search'
      ? calibrateBest(model, pixels, wanted, run)
      : calibrate(model, pixels, wanted, { ...run, observer, ptf });
  const { quantizers, moments, images: used } = await calibration;
  const recipe = {
    ...method,
    calibrationImages: used,
    ...(isSynthetic ? { calibration: 'synthetic' as const } : {}),
    seed,
    sourceSha256: await sourceSha256(float, options.externalFiles),
    ...(model.weights === undefined ? {} : { weights: model.weights }),
  };
  const integer = await patiently(integerizeByLayer(model, quantizers, recipe, moments), model, options);
  const bytes = await seal(writeIntegerModel(integer));
  return { bytes, model: integer, warnings: model.warnings, skipped };
}

/**
 * Computes the digest by which an integer checkpoint names the float one (`recipe.sourceSha256`):
 * the SHA-256 of the file or, if there are several parts, of the list of their digests, one
 * hexadecimal line each. The external files of an ONNX model are parts, in the order of their
 * names.
 *
 * @example
 * ```ts
 * import { readFile } from 'node:fs/promises';
 * import { sourceSha256 } from 'fqvit/quantize';
 *
 * console.log(await sourceSha256(await readFile('deit_tiny.safetensors'), undefined));
 * ```
 *
 * @param float the file, or the parts of a sharded one
 * @param externalFiles the files with the weights of an ONNX model, by name
 * @returns 64 hexadecimal digits
 */
export async function sourceSha256(
  float: FloatFile,
  externalFiles: FloatModelOptions['externalFiles'],
): Promise<string> {
  const others = [...(externalFiles ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes);
  if (float instanceof Uint8Array && others.length === 0) return sha256(float);
  let list = '';
  for (const part of [float, others].flat()) list += `${await sha256(part)}\n`;
  return sha256(new TextEncoder().encode(list));
}

/** Lets other tasks run before each layer: rounding one with error feedback takes up to seconds. */
async function patiently(
  layers: Generator<void, IntegerModel>,
  model: FloatModel,
  { onProgress, signal }: QuantizeOptions,
): Promise<IntegerModel> {
  const total = [...model.tensors].filter(
    ([name, { shape }]) => name.endsWith('.weight') && shape.length > 1,
  ).length;
  for (let done = 0; ; done++) {
    await yieldToEvents();
    signal?.throwIfAborted();
    const { value, done: isDone } = layers.next();
    onProgress?.(Math.min(done, total), total, 'rounding');
    if (isDone) return value;
  }
}

/** @throws UsageError `SEED` */
function checkSeed(seed: number | null, isNeeded: boolean): void {
  if (seed === null && !isNeeded) return;
  if (Number.isInteger(seed) && seed! >= 0 && seed! < 2 ** 32) return;
  throw new UsageError(
    'SEED',
    `seed: expected an integer from 0 to 2^32 - 1${isNeeded ? '' : ' or null'}, found ${formatValue(seed)}`,
  );
}

/**
 * @param available undefined for synthetic images, of which there are as many as wanted
 * @throws UsageError `CALIBRATION_COUNT`; QuantizeError `CALIBRATION_IMAGES` for fewer images than
 *   wanted, or none
 */
function imageCount(available: number | undefined, wanted: number | undefined): number {
  if (wanted !== undefined && (!Number.isSafeInteger(wanted) || wanted < 1)) {
    throw new UsageError(
      'CALIBRATION_COUNT',
      `calibrationImages: expected a positive integer, found ${String(wanted)}`,
    );
  }
  if (available === undefined) return wanted ?? DEFAULT_SYNTHETIC;
  if (available < (wanted ?? 1)) throw tooFew(wanted ?? 1, available, []);
  return wanted ?? Math.min(DEFAULT_IMAGES, available);
}

/**
 * Yields the pixels of the images that can be read, and adds the others to `skipped`.
 *
 * @throws QuantizeError `CALIBRATION_IMAGES` if fewer than wanted, or none, can be read
 */
async function* readable(
  images: readonly ImageSource[],
  preprocessing: FloatModel['preprocessing'],
  skipped: Skipped[],
  { signal, calibrationImages: wanted = 1 }: QuantizeOptions,
): AsyncGenerator<Uint8Array> {
  let found = 0;
  for (const image of images) {
    let pixels: Uint8Array;
    try {
      pixels = await readPixels(image, preprocessing, { signal });
    } catch (error) {
      if (!(error instanceof ImageError || (error instanceof RuntimeError && error.code === 'SOURCE')))
        throw error;
      skipped.push({ image, error });
      continue;
    }
    found++;
    yield pixels;
  }
  if (found < wanted) throw tooFew(wanted, found, skipped);
}

function tooFew(wanted: number, found: number, skipped: readonly Skipped[]): QuantizeError {
  const reasons = skipped.slice(0, 10).map(({ error }) => `\n  skipped: ${error.message}`);
  const more = skipped.length > 10 ? `\n  and ${skipped.length - 10} more` : '';
  return new QuantizeError(
    'CALIBRATION_IMAGES',
    `calibration: expected ${wanted} readable ${wanted === 1 ? 'image' : 'images'}, found ${found}${reasons.join('')}${more}`,
  );
}

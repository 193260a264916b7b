import { floatModule } from '#runtime/float-wasm';
import {
  type FloatFile,
  type FloatModel,
  type FloatModelOptions,
  readFloatModel,
} from '../checkpoint/float-model.js';
import { checkQuantizable } from '../checkpoint/integer-description.js';
import { type IntegerModel, writeIntegerModel } from '../checkpoint/integer-model.js';
import { shown } from '../checkpoint/shown.js';
import { type FqvitError, ImageError, QuantizeError, RuntimeError, UsageError } from '../errors.js';
import { type ImageSource, readPixels } from '../image/source.js';
import { breathe } from '../platform/breathe.js';
import { sha256 } from '../platform/sha256.js';
import { calibrateBest } from './best.js';
import { type CalibrationProgress, calibrate } from './calibrate.js';
import { drawOrder } from './draw.js';
import { FEEDBACK_BITS } from './feedback.js';
import { integerizeByLayer } from './integerize.js';
import { DEFAULT_IMAGES, DEFAULT_SYNTHETIC, type MethodOptions, methodRecipe } from './recipe.js';
import { syntheticPictures } from './synthetic/pictures.js';

export {
  type FloatFile,
  type FloatModel,
  type FloatModelOptions,
  readFloatModel,
} from '../checkpoint/float-model.js';
export type { IntegerModel } from '../checkpoint/integer-model.js';
export { parseLabels } from '../labels/parse.js';
export type { Labels } from '../labels/wnids.js';
export type { CalibrationProgress } from './calibrate.js';
export { type EvaluateOptions, evaluate, type LabelledImage } from './evaluate.js';
export {
  type LayerError,
  type LayerErrorsOptions,
  type LayerKind,
  layerErrors,
} from './layer-errors.js';
export type {
  ClassificationReport,
  ClassReport,
  EvaluationReport,
  MultiLabelReport,
  PrecisionReport,
  ValueReport,
} from './measures.js';

export interface QuantizeOptions extends MethodOptions, FloatModelOptions {
  /**
   * Images to calibrate on; an explicit number that is not there is an error. Default 1000 or all that there are, 128 synthetic ones.
   */
  calibrationImages?: number | undefined;
  /** Picks the images, 0..2^32 - 1. Default 0. `null` takes them in the order given; synthetic ones need a seed. */
  seed?: number | null | undefined;
  onProgress?: CalibrationProgress | undefined;
  signal?: AbortSignal | undefined;
  /** The float kernel module instead of the package's own. */
  wasm?: WebAssembly.Module | BufferSource | undefined;
}

export interface Quantized {
  /** The integer checkpoint, a `.safetensors` file. The same input gives the same bytes. */
  readonly bytes: Uint8Array;
  readonly model: IntegerModel;
  /** What was guessed of the float checkpoint, a sentence each. */
  readonly warnings: readonly string[];
  /** Images that could not be read, and why; others took their place. */
  readonly skipped: readonly Skipped[];
}

export interface Skipped {
  readonly image: ImageSource;
  readonly error: FqvitError;
}

/**
 * Makes an integer checkpoint from a float one: calibrates every activation on images, then turns weights into int8 codes
 * and scales into integer multipliers and shifts.
 *
 * ```ts
 * const { bytes } = await quantize(await readFile('deit_tiny.safetensors'), paths, { calibrationImages: 256 });
 * ```
 *
 * @param float a float DeiT, ViT or Swin as `readFloatModel` takes it: safetensors, a PyTorch checkpoint, ONNX
 * @param images paths, URLs, bytes or raw pixels; or `'synthetic'` where there are none: dead leaves (synthetic/dead-leaves.ts), with
 *   which the result is farther from the float model than with photos (docs/accuracy.md)
 * @throws CheckpointError for the float checkpoint; UsageError `METHOD`, `CALIBRATION_COUNT`, `SEED` for options
 * @throws QuantizeError `CALIBRATION_IMAGES` where there are fewer readable images than were asked for, or none;
 *   `CALIBRATION_NOT_FINITE`, `QUANTIZER_RANGE` where the model overflows on them
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
    throw new UsageError('IMAGES', `images: expected a list or "synthetic", found ${shown(images)}`);
  }
  checkSeed(seed, isSynthetic);
  const wanted = imageCount(isSynthetic ? undefined : images.length, options.calibrationImages);
  const model = readFloatModel(float, options);
  const { layerNormEps: _, ...architecture } = model.architecture;
  checkQuantizable({ architecture, preprocessing: model.preprocessing }, options.file ?? 'checkpoint');
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
  return { bytes: writeIntegerModel(integer), model: integer, warnings: model.warnings, skipped };
}

/**
 * SHA-256 of the file, or of the list of those of its parts, one hexadecimal line each. The files beside an ONNX model are parts, in
 * the order of their names.
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

/** Lets others run before every layer: rounding one with error feedback takes up to seconds. */
async function patiently(
  layers: Generator<void, IntegerModel>,
  model: FloatModel,
  { onProgress, signal }: QuantizeOptions,
): Promise<IntegerModel> {
  const total = [...model.tensors].filter(
    ([name, { shape }]) => name.endsWith('.weight') && shape.length > 1,
  ).length;
  for (let done = 0; ; done++) {
    await breathe();
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
    `seed: expected an integer from 0 to 2^32 - 1${isNeeded ? '' : ' or null'}, found ${shown(seed)}`,
  );
}

/**
 * @param available undefined where as many are made as are wanted
 * @throws UsageError `CALIBRATION_COUNT`; QuantizeError `CALIBRATION_IMAGES` where there are fewer than were asked for, or none
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
 * The pixels of the images that can be read; the others are noted in `skipped`.
 *
 * @throws QuantizeError `CALIBRATION_IMAGES` where they end before there are as many as were asked for, or one
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

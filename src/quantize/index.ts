import { type FloatModel, type FloatModelOptions, readFloatModel } from '../checkpoint/float-model.js';
import { type IntegerModel, writeIntegerModel } from '../checkpoint/integer-model.js';
import { type FqvitError, ImageError, QuantizeError, RuntimeError } from '../errors.js';
import { type ImageSource, readPixels } from '../image/source.js';
import { readWasm } from '../runtime/wasm-node.js';
import { calibrate } from './calibrate.js';
import { drawOrder } from './draw.js';
import { integerize } from './integerize.js';
import { type MethodOptions, methodRecipe } from './recipe.js';

export { type FloatModel, type FloatModelOptions, readFloatModel } from '../checkpoint/float-model.js';
export { type EvaluationReport, evaluate } from './evaluate.js';

/** Images that calibrate where the caller does not say: as many as the paper's authors took. */
const DEFAULT_IMAGES = 1000;

export interface QuantizeOptions extends MethodOptions, FloatModelOptions {
  /** Images to calibrate on; an explicit number that is not there is an error. Default 1000 or all that there are. */
  calibrationImages?: number | undefined;
  /** Picks the images. Default 0. `null` takes them in the order given. */
  seed?: number | null | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
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
 * @param float a `.safetensors` file with timm's names
 * @param images paths, URLs, bytes or raw pixels
 * @throws CheckpointError for the float checkpoint, QuantizeError for the calibration, UsageError for options
 */
export async function quantize(
  float: Uint8Array,
  images: readonly ImageSource[],
  options: QuantizeOptions = {},
): Promise<Quantized> {
  const { signal, seed = 0 } = options;
  const method = methodRecipe(options);
  const model = readFloatModel(float, options);
  const order = seed === null ? images : drawOrder(images, seed);
  const wanted = imageCount(images.length, options.calibrationImages);
  const skipped: Skipped[] = [];
  const { quantizers, images: used } = await calibrate(
    model,
    readable(order, model.preprocessing, skipped, options),
    wanted,
    {
      ...method,
      wasm: options.wasm ?? (await readWasm('float')),
      ...(options.onProgress ? { onProgress: options.onProgress } : {}),
      ...(signal ? { signal } : {}),
    },
  );
  if (used < (options.calibrationImages ?? 1)) throw tooFew(options.calibrationImages ?? 1, used, skipped);
  const integer = integerize(model, quantizers, {
    ...method,
    calibrationImages: used,
    seed,
    sourceSha256: await sha256(float),
  });
  return { bytes: writeIntegerModel(integer), model: integer, warnings: model.warnings, skipped };
}

/** @throws QuantizeError `CALIBRATION_IMAGES` where there are fewer than were asked for, or none */
function imageCount(available: number, wanted = Math.min(DEFAULT_IMAGES, available)): number {
  if (!Number.isSafeInteger(wanted) || wanted < 1 || wanted > available) throw tooFew(wanted, available, []);
  return wanted;
}

/** The pixels of the images that can be read; the others are noted in `skipped`. */
async function* readable(
  images: readonly ImageSource[],
  preprocessing: FloatModel['preprocessing'],
  skipped: Skipped[],
  { signal }: { signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  for (const image of images) {
    let pixels: Uint8Array;
    try {
      pixels = await readPixels(image, preprocessing, { signal });
    } catch (error) {
      if (!(error instanceof ImageError || (error instanceof RuntimeError && error.code === 'SOURCE'))) throw error;
      skipped.push({ image, error });
      continue;
    }
    yield pixels;
  }
}

function tooFew(wanted: number, found: number, skipped: readonly Skipped[]): QuantizeError {
  const reasons = skipped.slice(0, 10).map(({ error }) => `\n  skipped: ${error.message}`);
  const more = skipped.length > 10 ? `\n  and ${skipped.length - 10} more` : '';
  return new QuantizeError(
    'CALIBRATION_IMAGES',
    `calibration: expected ${Math.max(wanted, 1)} readable images, found ${found}${reasons.join('')}${more}`,
  );
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes as BufferSource);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

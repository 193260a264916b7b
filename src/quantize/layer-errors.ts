import { floatModule } from '#runtime/float-wasm';
import type { Architecture } from '../architecture/architecture.js';
import type { FloatArchitecture, FloatModel } from '../checkpoint/float/model.js';
import { checkDigest } from '../checkpoint/integer/digest.js';
import { type IntegerModel, readIntegerModel } from '../checkpoint/integer/model.js';
import { narrowestWeights } from '../checkpoint/integer/program.js';
import { CheckpointError, UsageError } from '../errors.js';
import { FloatRunner, type ObserveTensor } from '../forward/float/runner.js';
import { IntegerRunner, type PlanStep } from '../forward/integer/runner.js';
import { type ImageSource, readPixels } from '../image/source.js';
import type { IntegerActivation } from '../layers/integer-activation.js';
import type { IntegerLayer } from '../layers/integer-kinds.js';
import { PIXELS } from '../layers/patches/layer.js';
import { networkOf } from '../networks/index.js';
import { yieldToEvents } from '../platform/yield-to-events.js';
import { chooseTier } from '../runtime/tier.js';
import { formatValue } from '../text/format-value.js';
import { type RealCodes, realCodes } from './real-codes.js';
import { expectSameLayers } from './same-layers.js';

/**
 * What makes an activation. `product`: q·kᵀ, its sum with the position bias, and attention·v.
 * `other`: pixels, tokens, parameters that are codes, and the mean of tokens.
 */
export type LayerKind = 'layernorm' | 'linear' | 'product' | 'softmax' | 'gelu' | 'addition' | 'other';
export const LAYER_KINDS: readonly LayerKind[] = [
  'layernorm',
  'linear',
  'product',
  'softmax',
  'gelu',
  'addition',
  'other',
];

/** How far the codes of one quantiser are from the values of the float model. */
export interface LayerError {
  /** Name of the layer that makes it. */
  readonly name: string;
  /** What makes the activation. */
  readonly kind: LayerKind;
  /** The residual block that it belongs to, if any, such as `blocks.0`. */
  readonly block?: string;
  /** Bits of a code. */
  readonly bits: number;
  /** real = scale · (code - zeroPoint). Absent for attention codes that are logarithms. */
  readonly scale?: number;
  /** The code of zero. */
  readonly zeroPoint?: number;
  /**
   * Whether each channel has its own scale; `scale` is then the smallest if they are powers of two
   * of one another, and the largest otherwise.
   */
  readonly perChannel: boolean;
  /**
   * ‖integer - float‖ / ‖float‖ over all images and elements, including the errors of earlier
   * layers. Infinite if the float model has only zeros there.
   */
  readonly error: number;
  /**
   * The error divided by the largest error of the layer's inputs; above 1, the layer adds error.
   * Absent if the inputs are exact: pixels, parameters.
   */
  readonly growth?: number;
}

/** What {@link layerErrors} takes besides the models and the images. */
export interface LayerErrorsOptions {
  /** Called after each image. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  /** Cancels the call, which then throws the reason of the signal. */
  signal?: AbortSignal | undefined;
}

/** An error below this is float32 rounding. */
export const EXACT = 1e-6;

/**
 * Measures the error of every activation of an integer model against its float model. Each model
 * reads its own activations, so errors add up through the layers as they do in use.
 *
 * @example
 * ```ts
 * import { readFile } from 'node:fs/promises';
 * import { layerErrors, readFloatModel } from 'fqvit/quantize';
 *
 * const float = readFloatModel(await readFile('deit_tiny.safetensors'));
 * const errors = await layerErrors(float, await readFile('m.safetensors'), ['a.jpg', 'b.jpg']);
 * const [worst] = errors.sort((a, b) => b.error - a.error);
 * console.log(worst.name, worst.error);
 * ```
 *
 * @param float the model that the integer one was made from
 * @param integer the bytes of the integer checkpoint
 * @param images paths, URLs, bytes or raw pixels. A dozen is enough, since each has thousands of
 *   elements of every activation
 * @returns one error per activation, in order of execution
 * @throws ImageError for the first image that cannot be read
 * @throws UsageError `FLOAT_MODEL`, `IMAGES` for no images
 * @throws CheckpointError `CHECKPOINT_ARCHITECTURE` for a float model of another shape or an
 *   integer model of other layers, and the codes of a damaged integer checkpoint
 */
export async function layerErrors(
  float: FloatModel,
  integer: Uint8Array,
  images: readonly ImageSource[],
  { onProgress, signal }: LayerErrorsOptions = {},
): Promise<LayerError[]> {
  if (typeof float !== 'object' || float === null || !('architecture' in float)) {
    throw new UsageError(
      'FLOAT_MODEL',
      `float: expected what readFloatModel gives, found ${kindOfValue(float)}`,
    );
  }
  if (!Array.isArray(images) || images.length === 0) {
    const found = Array.isArray(images) ? 'none' : kindOfValue(images);
    throw new UsageError('IMAGES', `images: expected a list of at least one, found ${found}`);
  }
  const model = readIntegerModel(integer);
  await checkDigest(integer, model.sha256, 'checkpoint');
  expectSameShape(float.architecture, model.architecture);
  expectSameLayers(networkOf(float.architecture, true), model.program, (message) => {
    throw new CheckpointError('CHECKPOINT_ARCHITECTURE', `integer model: ${message}`);
  });
  const { module } = await chooseTier(narrowestWeights(model), false);
  const runner = await IntegerRunner.create(model, module);
  const reference = await FloatRunner.create(float, { wasm: await floatModule() });
  try {
    const comparison = new Comparison(model, runner, reference);
    for (const [i, image] of images.entries()) {
      signal?.throwIfAborted();
      await comparison.add(await readPixels(image, model.preprocessing, { signal }), signal);
      onProgress?.(i + 1, images.length);
      await yieldToEvents();
    }
    return comparison.errors();
  } finally {
    reference.dispose();
    runner.dispose();
  }
}

const kindOfValue = (value: unknown) => Object.prototype.toString.call(value);

/** Of one activation, over the images so far. */
interface ErrorSums {
  readonly codes: RealCodes;
  /** Σ (integer - float)² and Σ float². */
  difference: number;
  float: number;
}

class Comparison {
  /** In order of execution. */
  readonly #sums = new Map<string, ErrorSums>();
  readonly #steps: ReadonlyMap<string, PlanStep>;
  readonly #layers: ReadonlyMap<string, IntegerLayer>;

  constructor(
    private readonly model: IntegerModel,
    private readonly runner: IntegerRunner,
    private readonly reference: FloatRunner,
  ) {
    this.#steps = new Map(runner.steps.map((step) => [step.output, step]));
    this.#layers = new Map(model.program.layers.map((layer) => [layer.name, layer]));
  }

  /**
   * Runs both models side by side: the integer one as far as the tensor that the float one shows.
   */
  async add(pixels: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { runner } = this;
    const steps = runner.steps.values();
    runner.write(PIXELS, pixels);
    const observe: ObserveTensor = (name, values) => {
      if (this.#steps.has(name)) runUntil(name, steps, runner);
      this.#compare(name, runner.read(name), values);
    };
    await this.reference.runInSlices([pixels], { observe, signal });
  }

  #compare(name: string, codes: Uint8Array, values: Float32Array): void {
    let sums = this.#sums.get(name);
    if (sums === undefined) {
      sums = { codes: realCodes(this.model, this.reference.network, name), difference: 0, float: 0 };
      this.#sums.set(name, sums);
    }
    const made = this.model.program.activations.get(name)!;
    const layer = this.#layers.get(name)!;
    if (layer.kind === 'patches')
      addPixels(sums, codes, values, this.model.preprocessing.imageSize, layer.patch);
    else addRows(sums, codes, values, rowsOf(made, values.length));
  }

  errors(): LayerError[] {
    return [...this.#sums.keys()].map((name) => this.#error(name));
  }

  #error(name: string): LayerError {
    const { scale, zeroPoint, highest } = this.model.program.activations.get(name)!;
    const { block } = this.reference.network.layers.find((layer) => layer.name === name)!;
    const error = this.#relative(name);
    const read = Math.max(0, ...this.#sources(name).map((source) => this.#relative(source)));
    return {
      name,
      kind: KINDS[this.#layers.get(name)!.kind],
      ...(block === undefined ? {} : { block }),
      bits: Math.log2(highest + 1),
      ...(scale === undefined ? {} : { scale, zeroPoint }),
      perChannel: new Set(this.#sums.get(name)!.codes.scales).size > 1,
      error,
      ...(read > EXACT ? { growth: error / read } : {}),
    };
  }

  #relative(name: string): number {
    const { difference, float } = this.#sums.get(name)!;
    return difference === 0 ? 0 : Math.sqrt(difference / float);
  }

  /**
   * What a layer reads, of that which is compared: fc1 has no float tensor, so a GELU reads what
   * fc1 does.
   */
  #sources(name: string): string[] {
    const { reads } = this.#layers.get(name)!;
    return reads.flatMap((read) => (this.#sums.has(read) ? [read] : this.#sources(read)));
  }
}

function runUntil(name: string, steps: Iterator<PlanStep>, { kernels }: IntegerRunner): void {
  for (let next = steps.next(); !next.done; next = steps.next()) {
    next.value.run(kernels);
    if (next.value.output === name) return;
  }
  throw new Error(`expected a step that makes ${name}, found none`);
}

/**
 * The rows of an activation: which row of the float tensor each one is, and the first column of it
 * that is computed.
 */
interface ComparedRows {
  readonly columns: number;
  readonly floatRow: (row: number) => number;
  readonly firstColumn: (row: number) => number;
}

/**
 * The rows that the integer model computes: where the float model has more, the first ones, of each
 * head in attention.
 */
function rowsOf({ columns, rows, heads, partial }: IntegerActivation, floats: number): ComparedRows {
  const groups = heads === undefined ? 1 : heads.windows * heads.heads;
  const made = rows / groups;
  const all = floats / columns / groups;
  return {
    columns,
    floatRow: (row) => Math.floor(row / made) * all + (row % made),
    firstColumn: (row) => (partial !== undefined && row >= partial.rows ? partial.columns : 0),
  };
}

function addRows(
  sums: ErrorSums,
  codes: Uint8Array,
  values: Float32Array,
  { columns, floatRow, firstColumn }: ComparedRows,
): void {
  const { values: real, scales } = sums.codes;
  const channels = scales.length;
  let difference = 0;
  let float = 0;
  for (let row = 0; row * columns < codes.length; row++) {
    const to = floatRow(row) * columns;
    for (let c = firstColumn(row); c < columns; c++) {
      const expected = values[to + c]!;
      const distance = real[codes[row * columns + c]!]! * scales[channels === 1 ? 0 : c]! - expected;
      difference += distance * distance;
      float += expected * expected;
    }
  }
  sums.difference += difference;
  sums.float += float;
}

/** The rows of the patch embedding's matrix, [3, P, P] each, against [S, S, 3]. */
function addPixels(
  sums: ErrorSums,
  codes: Uint8Array,
  values: Float32Array,
  imageSize: number,
  patchSize: number,
): void {
  const { values: real, scales } = sums.codes;
  const grid = imageSize / patchSize;
  const length = codes.length / grid ** 2;
  values.forEach((expected, i) => {
    const c = i % 3;
    const x = Math.floor(i / 3) % imageSize;
    const y = Math.floor(i / 3 / imageSize);
    const patch = Math.floor(y / patchSize) * grid + Math.floor(x / patchSize);
    const at = (c * patchSize + (y % patchSize)) * patchSize + (x % patchSize);
    const distance = real[codes[patch * length + at]!]! * scales[0]! - expected;
    sums.difference += distance * distance;
    sums.float += expected * expected;
  });
}

const KINDS: Readonly<Record<IntegerLayer['kind'], LayerKind>> = {
  patches: 'other',
  tokens: 'other',
  constant: 'other',
  linear: 'linear',
  scores: 'product',
  bias: 'product',
  softmax: 'softmax',
  context: 'product',
  add: 'addition',
  layernorm: 'layernorm',
  gelu: 'gelu',
  pool: 'other',
};

/** @throws CheckpointError `CHECKPOINT_ARCHITECTURE` */
function expectSameShape(float: FloatArchitecture, integer: Architecture): void {
  const { name: _n, layerNormEps: _e, ...found } = float;
  const { name: _, ...expected } = integer;
  for (const key of Object.keys({ ...expected, ...found })) {
    const [a, b] = [expected, found].map((shape) => (shape as Record<string, unknown>)[key]);
    if (JSON.stringify(a) === JSON.stringify(b)) continue;
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `float model: ${key}: expected ${formatValue(a)}, as the integer model has, found ${formatValue(b)}`,
    );
  }
}

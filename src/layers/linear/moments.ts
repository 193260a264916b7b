import { QuantizeError } from '../../errors.js';
import { type FloatKernels, instantiateFloatKernels } from '../../forward/float/kernels.js';
import type { ObservedTensor } from '../../quantize/observers.js';

/**
 * Mean and covariance of the rows of a tensor, from which error feedback knows the inputs of a
 * linear layer.
 */
export interface Moments {
  readonly mean: Float64Array;
  /** f64 `[C, C]`, valid for j >= i in row i. */
  covariance(): Float64Array;
}

/** Rows of a batch that are sampled: of 16 images of DeiT-T, every fourth token. */
const ROWS = 1024;
/** Rows per call of the kernel. */
const CHUNK = 256;
/**
 * Weight of the class tokens of a DeiT or ViT, which alone reach the logits, relative to all other
 * tokens together. Compared with 0.005, their share in number, 0.2 to 0.4 lowers the divergence of
 * 4-bit weights by a sixth.
 */
export const CLASS_SHARE = 0.3;
const PAGE = 65536;

/** Gathers the moments of the inputs of all linear layers of the blocks while a model runs. */
export class MomentSet {
  readonly #sums = new Map<string, MomentSums>();

  private constructor(
    private readonly pooled: number,
    private readonly kernels: FloatKernels,
    private readonly memory: WebAssembly.Memory,
  ) {}

  /**
   * @param pooled how many first tokens alone reach the logits (`Network.pooled`)
   * @param wasm the float kernel module
   */
  static async create(pooled: number, wasm: BufferSource | WebAssembly.Module): Promise<MomentSet> {
    const memory = new WebAssembly.Memory({ initial: 1 });
    return new MomentSet(pooled, await instantiateFloatKernels(wasm, memory), memory);
  }

  /** Adds a sample of the rows of a batch. */
  observe({ name, values, shape }: ObservedTensor): void {
    const [tokens, width] = shape.slice(-2) as [number, number];
    let sums = this.#sums.get(name);
    if (sums === undefined) {
      sums = new MomentSums(width);
      this.#sums.set(name, sums);
    }
    const { others, classes } = sample(values.length / width, tokens, this.pooled, sums.batches);
    const classWeight = (CLASS_SHARE / (1 - CLASS_SHARE)) * (others.length / classes.length);
    const batch = new Batch(this.kernels, this.memory, sums);
    for (const row of others) batch.add(values.subarray(row * width, (row + 1) * width), 1);
    for (const row of classes) batch.add(values.subarray(row * width, (row + 1) * width), classWeight);
    batch.finish();
  }

  /**
   * By the names of the quantisers before the layers.
   *
   * @throws QuantizeError `CALIBRATION_NOT_FINITE` if the squares of a tensor exceed f32
   */
  moments(): Map<string, Moments> {
    for (const [name, { products }] of this.#sums) {
      if (products.every(Number.isFinite)) continue;
      throw new QuantizeError(
        'CALIBRATION_NOT_FINITE',
        `${name}: expected values of finite squares in the calibration run, as error feedback needs them`,
      );
    }
    return new Map(this.#sums);
  }
}

/** Σ w, Σ w·x and Σ w·x·xᵀ, the last as rows of the upper triangle. */
class MomentSums implements Moments {
  batches = 0;
  weight = 0;
  readonly sum: Float64Array;
  readonly products: Float32Array;

  constructor(readonly width: number) {
    this.sum = new Float64Array(width);
    this.products = new Float32Array((width * (width + 1)) / 2);
  }

  get mean(): Float64Array {
    return this.sum.map((sum) => sum / this.weight);
  }

  covariance(): Float64Array {
    const { width, mean, products, weight } = this;
    const square = new Float64Array(width * width);
    let at = 0;
    for (let i = 0; i < width; i++) {
      for (let j = i; j < width; j++) square[i * width + j] = products[at++]! / weight - mean[i]! * mean[j]!;
    }
    return square;
  }
}

/**
 * Buffers of the kernel for the rows of one batch: x f32 [CHUNK, width], panels, G f32
 * [padded, padded].
 */
class Batch {
  readonly #x: number = PAGE;
  readonly #panels: number;
  readonly #g: number;
  readonly #padded: number;
  #rows = 0;

  constructor(
    private readonly kernels: FloatKernels,
    private readonly memory: WebAssembly.Memory,
    private readonly sums: MomentSums,
  ) {
    this.#padded = 8 * Math.ceil(sums.width / 8);
    this.#panels = this.#x + 4 * CHUNK * this.#padded;
    this.#g = this.#panels + 4 * CHUNK * this.#padded;
    const bytes = this.#g + 4 * this.#padded ** 2;
    const missing = Math.ceil((bytes - memory.buffer.byteLength) / PAGE);
    if (missing > 0) memory.grow(missing);
    this.#products().fill(0);
  }

  add(row: Float32Array, weight: number): void {
    const { width, sum } = this.sums;
    const x = new Float32Array(this.memory.buffer, this.#x + 4 * this.#rows * width, width);
    const root = Math.sqrt(weight);
    for (let i = 0; i < width; i++) {
      x[i] = root * row[i]!;
      sum[i]! += weight * row[i]!;
    }
    this.sums.weight += weight;
    this.#rows++;
    if (this.#rows === CHUNK) this.#multiply();
  }

  finish(): void {
    if (this.#rows > 0) this.#multiply();
    const { width, products } = this.sums;
    const square = this.#products();
    let at = 0;
    for (let i = 0; i < width; i++) {
      for (let j = i; j < width; j++) products[at++]! += square[i * this.#padded + j]!;
    }
    this.sums.batches++;
  }

  #multiply(): void {
    const { width } = this.sums;
    this.kernels.pack_columns(this.#x, width, this.#panels, width, this.#rows);
    this.kernels.moments(this.#panels, this.#rows, width, this.#g);
    this.#rows = 0;
  }

  #products(): Float32Array {
    return new Float32Array(this.memory.buffer, this.#g, this.#padded ** 2);
  }
}

/**
 * The rows of a batch to sample: the class tokens, if any, and about `ROWS` others. The step is
 * coprime to the number of tokens and every batch starts one row later, so that all positions get
 * their turn.
 */
function sample(rows: number, tokens: number, pooled: number, batch: number) {
  let step = Math.ceil(rows / ROWS);
  while (step > 1 && commonDivisor(step, tokens) > 1) step++;
  const others: number[] = [];
  for (let row = batch % step; row < rows; row += step) {
    if (row % tokens >= pooled) others.push(row);
  }
  const classes: number[] = [];
  for (let row = 0; pooled > 0 && row < rows; row++) if (row % tokens < pooled) classes.push(row);
  return { others, classes };
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

import { QuantizeError } from '../../errors.js';
import type { FloatWorkspace } from '../../forward/float/kernels.js';
import { affine, expectObserved, measureRange, unite, type ValueRange } from './range.js';
import type { ObservedTensor, Observer, Quantizer } from './types.js';

/** Factors α = 0..K with the paper's K = 3: channel scales s1 · {1, 2, 4, 8}. */
const LARGEST_FACTOR = 3;

/**
 * `ptf`, Power-of-Two Factor (paper section 3.2, equations 7 and 8), for the inputs of a LayerNorm:
 * one scale s1 and zero point per tensor, one factor α per channel.
 * The range of all batches gives s8 = (max - min) / 255 and z, s1 = s8 / 8; every channel takes the
 * α with the least squared error Σ (x - x')² on the last batch, the first of equals. s1 is then
 * taken as the scale of the least factor in use, as the authors do in their integer LayerNorm.
 */
export class PtfObserver implements Observer {
  #range: ValueRange | undefined;
  #factors: Uint8Array | undefined;

  constructor(private readonly workspace: FloatWorkspace) {}

  observe(tensor: ObservedTensor, last: boolean): void {
    this.#range = unite(this.#range, measureRange(this.workspace, tensor, {}));
    if (last) this.#factors = this.#search(tensor, affine(this.#range));
  }

  quantizer(): Quantizer {
    const factors = expectObserved(this.#factors);
    const { scale, zeroPoint } = affine(expectObserved(this.#range));
    const least = Math.min(...factors);
    return {
      scale: scale / 2 ** (LARGEST_FACTOR - least),
      zeroPoint,
      factors: factors.map((alpha) => alpha - least),
    };
  }

  #search(tensor: ObservedTensor, { scale, zeroPoint }: Quantizer): Uint8Array {
    const channels = tensor.shape.at(-1) ?? 1;
    const factors = new Uint8Array(channels);
    const least = new Float64Array(channels).fill(Number.POSITIVE_INFINITY);
    for (let factor = 0; factor <= LARGEST_FACTOR; factor++) {
      const errors = this.#errors(tensor, channels, scale / 2 ** (LARGEST_FACTOR - factor), zeroPoint);
      errors.forEach((error, c) => {
        if (error >= least[c]!) return;
        least[c] = error;
        factors[c] = factor;
      });
    }
    return factors;
  }

  /** Σ (x - x')² of every channel, a view of the scratch. */
  #errors({ name, values, address }: ObservedTensor, channels: number, scale: number, zeroPoint: number) {
    const { kernels, memory, scratch, scratchBytes } = this.workspace;
    if (8 * channels > scratchBytes) {
      throw new QuantizeError(
        'CALIBRATION_CHANNELS',
        `${name}: ${channels} channels do not fit the scratch memory`,
      );
    }
    const sums = new Float64Array(memory.buffer, scratch, channels).fill(0);
    kernels.squared_error_channels(address, values.length / channels, channels, scale, zeroPoint, scratch);
    return sums;
  }
}

import type { FloatWorkspace } from '../../forward/float/kernels.js';
import { expectObserved, measureRange } from './range.js';
import type { ObservedTensor, Observer, Quantizer } from './types.js';

/** No scale is smaller than this part of the largest, even for a channel that is always 0. */
const LEAST = 2 ** -10;
const ZERO_POINT = 128;

/**
 * One scale per channel, from its largest magnitude over all batches, and one zero point in the
 * middle of the codes. Only for inputs of additions, which have one multiplier per channel anyway.
 */
export class ChannelObserver implements Observer {
  #largest: Float64Array | undefined;

  constructor(private readonly workspace: FloatWorkspace) {}

  observe(tensor: ObservedTensor): void {
    measureRange(this.workspace, tensor, {}); // refuses NaN and infinities
    const { values, shape } = tensor;
    const channels = shape.at(-1) ?? 1;
    this.#largest ??= new Float64Array(channels);
    const largest = this.#largest;
    for (let row = 0; row < values.length; row += channels) {
      for (let c = 0; c < channels; c++) {
        const size = Math.abs(values[row + c]!);
        if (size > largest[c]!) largest[c] = size;
      }
    }
  }

  quantizer(): Quantizer {
    const largest = expectObserved(this.#largest);
    const scale = (Math.max(...largest) || 255 - ZERO_POINT) / (255 - ZERO_POINT);
    const scales = largest.map((size) => Math.max(size / (255 - ZERO_POINT), LEAST * scale));
    return { scale, zeroPoint: ZERO_POINT, scales };
  }
}

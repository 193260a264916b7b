import type { FloatWorkspace } from '../../forward/float/kernels.js';
import { affine, expectObserved, measureRange, unite, type ValueRange } from './range.js';
import type { ObservedTensor, Observer, Quantizer } from './types.js';

/**
 * The mean over the tokens of a stream with power-of-two factors. It keeps the factors, because
 * pooling has one multiplier for all channels. Its scale is the least that holds every channel's
 * range.
 */
export class PooledObserver implements Observer {
  #ranges: ValueRange[] | undefined;

  /** @param stream observes the tensor that is averaged */
  constructor(
    private readonly workspace: FloatWorkspace,
    private readonly stream: Observer,
  ) {}

  observe(tensor: ObservedTensor): void {
    measureRange(this.workspace, tensor, {}); // refuses NaN and infinities
    const { values, shape } = tensor;
    const channels = shape.at(-1)!;
    const ranges = this.#ranges ?? [];
    values.forEach((x, i) => {
      ranges[i % channels] = unite(ranges[i % channels], { min: x, max: x });
    });
    this.#ranges = ranges;
  }

  quantizer(): Quantizer {
    const { factors } = this.stream.quantizer();
    const power = (c: number) => 2 ** (factors?.[c] ?? 0);
    const scaled = expectObserved(this.#ranges).map(({ min, max }, c) => ({
      min: min / power(c),
      max: max / power(c),
    }));
    const all = scaled.reduce((range, channel) => unite(range, channel));
    return { ...affine(all), ...(factors ? { factors } : {}) };
  }
}

import type { FloatWorkspace } from '../../forward/float/kernels.js';
import { affine, expectObserved, measureRange, unite, type ValueRange } from './range.js';
import type { ObservedTensor, Observer, ObserverOptions, Quantizer } from './types.js';

/** Widths of the range that are tried: 100 %, 99 %, … 11 %. */
const CANDIDATES = 90;

/** Elements summed between two comparisons with the best score: hopeless candidates end early. */
const CHUNK = 16384;

/**
 * `omse`: the range of all batches, shrunk by the i %, i = 0..89, that gives the last batch the
 * least squared error. The first of equal candidates wins.
 */
export class OmseObserver implements Observer {
  #range: ValueRange | undefined;
  #best: Quantizer | undefined;

  constructor(
    private readonly workspace: FloatWorkspace,
    private readonly options: ObserverOptions = {},
  ) {}

  observe(tensor: ObservedTensor, last: boolean): void {
    this.#range = unite(this.#range, measureRange(this.workspace, tensor, this.options));
    if (last) this.#best = this.#search(tensor, this.#range);
  }

  quantizer(): Quantizer {
    return expectObserved(this.#best);
  }

  #search(tensor: ObservedTensor, { min, max }: ValueRange): Quantizer {
    let best = affine({ min, max }, this.options);
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < CANDIDATES; i++) {
      const share = Math.fround(1 - i * 0.01);
      const shrunk = { min: Math.fround(min * share), max: Math.fround(max * share) };
      const candidate = affine(shrunk, this.options);
      const error = this.#squaredErrorBelow(tensor, candidate, least);
      if (error < least) {
        least = error;
        best = candidate;
      }
    }
    return best;
  }

  /** The sum of squared errors, or a part of it that reaches `limit`. */
  #squaredErrorBelow(
    { values, address }: ObservedTensor,
    { scale, zeroPoint }: Quantizer,
    limit: number,
  ): number {
    const { highest = 255 } = this.options;
    let sum = 0;
    for (let i = 0; i < values.length && sum < limit; i += CHUNK) {
      const count = Math.min(CHUNK, values.length - i);
      sum += this.workspace.kernels.squared_error(address + 4 * i, count, scale, zeroPoint, highest);
    }
    return sum;
  }
}

import type { FloatWorkspace } from '../../forward/float/kernels.js';
import { affine, expectObserved, measureRange, unite, type ValueRange } from './range.js';
import type { ObservedTensor, Observer, ObserverOptions, Quantizer } from './types.js';

/** `minmax`: the least and the greatest value of all batches. */
export class MinMaxObserver implements Observer {
  #range: ValueRange | undefined;

  constructor(
    private readonly workspace: FloatWorkspace,
    private readonly options: ObserverOptions = {},
  ) {}

  observe(tensor: ObservedTensor): void {
    this.#range = unite(this.#range, measureRange(this.workspace, tensor, this.options));
  }

  quantizer(): Quantizer {
    return affine(expectObserved(this.#range), this.options);
  }
}

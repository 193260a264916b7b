import type { FloatWorkspace } from '../../forward/float/kernels.js';
import { affine, expectObserved, measureRange, moveTowards, type ValueRange } from './range.js';
import type { ObservedTensor, Observer, ObserverOptions, Quantizer } from './types.js';

/** `ema`: the first batch's range, then a moving average m += 0.01 (batch - m) of the two ends. */
export class EmaObserver implements Observer {
  #range: ValueRange | undefined;

  constructor(
    private readonly workspace: FloatWorkspace,
    private readonly options: ObserverOptions = {},
  ) {}

  observe(tensor: ObservedTensor): void {
    this.#range = moveTowards(this.#range, measureRange(this.workspace, tensor, this.options));
  }

  quantizer(): Quantizer {
    return affine(expectObserved(this.#range), this.options);
  }
}

import type { FloatWorkspace } from '../../forward/float/kernels.js';
import { affine, gathered, measureRange, moveTowards, type Range } from './range.js';
import type { ObservedTensor, Observer, ObserverOptions, Quantizer } from './types.js';

/** `ema`: the first batch's range, then a moving average m += 0.01 (batch - m) of the two ends. */
export class EmaObserver implements Observer {
  #range: Range | undefined;

  constructor(
    private readonly workspace: FloatWorkspace,
    private readonly options: ObserverOptions = {},
  ) {}

  observe(tensor: ObservedTensor): void {
    this.#range = moveTowards(this.#range, measureRange(this.workspace, tensor, this.options));
  }

  quantizer(): Quantizer {
    return affine(gathered(this.#range), this.options);
  }
}

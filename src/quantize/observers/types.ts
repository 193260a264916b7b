/**
 * Scale and zero point of an activation: real = scale · (code - zeroPoint). The code is a uint8, or
 * 0..127 in a recipe with 7 bits.
 */
export interface Quantizer {
  /** With `factors` this is s1, the scale of a channel whose factor is 0. */
  scale: number;
  zeroPoint: number;
  /**
   * Power-of-two factors (PTF): channel c has the scale s1 · 2^factors[c]; uint8 [C], values 0..3.
   */
  factors?: Uint8Array;
  /** One scale per channel, f64 [C]; `scale` is then the largest. */
  scales?: Float64Array;
}

/** One batch of the tensor that a quantiser observes. */
export interface ObservedTensor {
  /** The quantiser's name, for messages. */
  readonly name: string;
  /** Row-major view in the workspace's memory. */
  readonly values: Float32Array;
  readonly shape: readonly number[];
  /** Byte address of `values`. */
  readonly address: number;
}

/** Observes the batches of one tensor in order and makes its quantiser. */
export interface Observer {
  /** @param last whether this is the last batch: some observers fit their scale to it */
  observe(tensor: ObservedTensor, last: boolean): void;
  /** @throws QuantizeError `CALIBRATION_EMPTY` if no batch, or no last batch, was observed */
  quantizer(): Quantizer;
}

export interface ObserverOptions {
  /** The tensor is a probability: its least value counts as 0, so the zero point is 0. */
  nonNegative?: boolean;
  /** The highest code. Default 255. */
  highest?: number;
}

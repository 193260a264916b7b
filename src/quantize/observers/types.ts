/**
 * Scale and zero point of an activation: real = scale · (code - zeroPoint), code a uint8, or 0..127
 * where a recipe says 7 bits.
 */
export interface Quantizer {
  /** With `factors` this is s1, the scale of a channel whose factor is 0. */
  scale: number;
  zeroPoint: number;
  /**
   * Power-of-two factors (PTF): channel c has the scale s1 · 2^factors[c]; uint8 [C], values 0..3.
   */
  factors?: Uint8Array;
  /** One scale a channel, f64 [C]; `scale` is then the largest. */
  scales?: Float64Array;
}

/** One batch of the tensor behind a quantiser. */
export interface ObservedTensor {
  /** Of the quantiser, for messages. */
  readonly name: string;
  /** Row-major view in the workspace's memory. */
  readonly values: Float32Array;
  readonly shape: readonly number[];
  /** Byte address of `values`. */
  readonly address: number;
}

/** Sees the batches of one tensor in order and turns them into a quantiser. */
export interface Observer {
  /** @param last whether this is the last batch: some observers fit their scale to it */
  observe(tensor: ObservedTensor, last: boolean): void;
  /**
   * @throws QuantizeError `CALIBRATION_EMPTY` where nothing, or no last batch, has been observed.
   */
  quantizer(): Quantizer;
}

export interface ObserverOptions {
  /** The tensor is a probability: the least value is taken as 0, so the zero point is 0. */
  nonNegative?: boolean;
  /** The highest code; 255 where absent. */
  highest?: number;
}

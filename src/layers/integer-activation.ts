import type { Shape } from './shape.js';

/**
 * The codes of attention probabilities. `log2`: 2^-code, 4 bits (the paper's Log-Int-Softmax);
 * `eighths`: 2^(-code/8), 7 bits; `uniform`: scale · code, 8 bits.
 */
export type AttentionCodes = 'log2' | 'eighths' | 'uniform';

export const ATTENTION_CODES: readonly AttentionCodes[] = ['log2', 'eighths', 'uniform'];

/** Affine: real = scale·(code - zeroPoint). The scale is documentation: no kernel reads it. */
export interface QuantizerScale {
  /** The real distance between two neighbouring codes. */
  readonly scale: number;
  /** The code of zero. */
  readonly zeroPoint: number;
}

/**
 * An activation of an integer network. `codes`: u8, affine. `fine`: u16, affine, from 0 to 4095,
 * the index of a GELU's table. Others: u8 codes of probabilities.
 */
export interface IntegerActivation extends Shape {
  readonly element: 'codes' | 'fine' | AttentionCodes;
  readonly zeroPoint: number;
  /** The highest code. */
  readonly highest: number;
  /** Absent for logarithms. */
  readonly scale?: number;
  /** Name of the tensor with the power-of-two factor of each channel (PTF), if it has them. */
  readonly factors?: string | undefined;
}

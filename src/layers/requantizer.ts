import type { Product } from './integer-kind.js';

/** Largest magnitude of an int32 multiplier. */
const MAX = 0x7fffffff;

/** The multiplier and shifts of one factor for all channels. */
export function productOf(factor: number, bound: number): Product {
  const { multipliers, left, right } = requantizer([factor], bound);
  return { multiplier: multipliers[0]!, left, right };
}

/** Real factors as integers: factor ≈ multiplier · 2^(left - right). */
export interface Requantizer {
  readonly multipliers: Int32Array;
  /** 0..15; above 0 only if a factor reaches 1/2. */
  readonly left: number;
  /** 32..62. */
  readonly right: number;
}

/**
 * Multipliers and shifts of a requantisation (the kernel's equation:
 * assembly/common/requantize.scalar.ts). One pair of shifts serves the layer: the largest factor
 * uses all 31 bits of its multiplier, and a channel whose factor is a thousand times smaller still
 * has 21.
 *
 * @param factors s_in·s_w / s_out of every channel
 * @param bound the largest |accumulator| of the layer, which the left shift keeps in i32. For a
 *   factor too large for that, the multiplier saturates: the largest accumulator is then worth 2^29
 *   codes anyway.
 */
export function requantizer(factors: Float64Array | readonly number[], bound: number): Requantizer {
  let largest = 0;
  for (const factor of factors) largest = Math.max(largest, Math.abs(factor));
  let left = 0;
  while (left < 15 && largest * 2 ** -left >= 0.5 && bound * 2 ** (left + 1) <= MAX) left++;
  const exponent = largest > 0 ? Math.floor(Math.log2(largest * 2 ** -left)) + 1 : 0;
  const right = Math.min(Math.max(31 - exponent, 32), 62);
  const multipliers = Int32Array.from(factors, (factor) => {
    const m = Math.round(Math.abs(factor) * 2 ** (right - left));
    return Math.sign(factor) * Math.min(m, MAX);
  });
  return { multipliers, left, right };
}

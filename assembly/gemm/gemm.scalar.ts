/**
 * Linear layers in integers, the oracle: plain loops over the operands of gemm.simd.ts.
 *
 *   acc[m,n] = bias[n] + Σ_k (a[m,k] - z_a) · w[n,k]
 *   out[m,n] = saturate(requantize(acc, multiplier[n]) + z_out)
 *
 * a: u8 codes [m, k] below 2^aBits, row stride lda bytes. w: panels (layout.ts) of int8 codes from
 * -2^(wBits-1) to 2^(wBits-1) - 1; aBits: 7 or 8, wBits: 4 to 8, which the relaxed tier relies on.
 * bias: i32 [n] at scale s_a·s_w[n]. multiplier: i32 [n] (requantize.scalar.ts). out: row stride
 * ldo elements. n and k are multiples of 8. Range: |a - z_a| <= 255, |w| <= 128, so |Σ| <= 32640·k;
 * with k <= 16384 that is below 2^29.1, and with
 * |bias| <= 2^30 the accumulator stays below 2^30.6.
 */
import { requantize, saturate } from '../common/requantize.scalar';
import { panelIndex } from './layout';

/** Output code (i, j), saturated to 0..high. */
// @ts-ignore: decorator
@inline
function code(
  a: usize, lda: usize, za: i32, w: usize, bias: usize, multiplier: usize, left: i32, right: i32,
  zo: i32, k: i32, i: i32, j: i32, high: i32,
): i32 {
  const row = a + <usize>i * lda;
  let acc = load<i32>(bias + (<usize>j << 2));
  for (let t = 0; t < k; t++) {
    acc += (<i32>load<u8>(row + <usize>t) - za) * <i32>load<i8>(w + panelIndex(j, t, k));
  }
  return saturate(requantize(acc, load<i32>(multiplier + (<usize>j << 2)), left, right) + zo, high);
}

/** Linear layer to u8 codes (patch embedding, qkv, proj, fc2, head). */
export function linear(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const v = code(a, lda, za, w, bias, multiplier, left, right, zo, k, i, j, 255);
      store<u8>(out + <usize>i * ldo + <usize>j, <u8>v);
    }
  }
}

/** Linear layer to fine u16 codes 0..4095, the index of a GELU table (fc1). */
export function linear_fine(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const v = code(a, lda, za, w, bias, multiplier, left, right, zo, k, i, j, 4095);
      store<u16>(out + ((<usize>i * ldo + <usize>j) << 1), <u16>v);
    }
  }
}

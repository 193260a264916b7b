/**
 * Linear layers in integers, the oracle: plain loops over the operands of gemm.simd.ts.
 *
 *   acc[m,n] = bias[n] + Σ_k (a[m,k] - z_a) · w[n,k]
 *   out[m,n] = saturate(requantize(acc, multiplier[n]) + z_out)
 *
 * a: u8 codes [m, k], row stride lda bytes. w: int8 panels (layout.ts). bias: i32 [n] at scale s_a·s_w[n].
 * multiplier: i32 [n] (requantize.scalar.ts). out: row stride ldo elements. n and k are multiples of 8.
 * Range: |a - z_a| <= 255, |w| <= 128, so |Σ| <= 32640·k; with k <= 16384 that is below 2^29.1, and with
 * |bias| <= 2^30 the accumulator stays below 2^30.6.
 */
import { requantize, saturate } from '../common/requantize.scalar';
import { panelIndex } from './layout';

// @ts-ignore: decorator
@inline
function accumulate(a: usize, za: i32, w: usize, bias: usize, n: i32, k: i32): i32 {
  let acc = load<i32>(bias + (<usize>n << 2));
  for (let i = 0; i < k; i++) {
    acc += (<i32>load<u8>(a + <usize>i) - za) * <i32>load<i8>(w + panelIndex(n, i, k));
  }
  return acc;
}

/** Linear layer to u8 codes (patch embedding, qkv, proj, fc2, head). */
export function linear(
  a: usize, lda: usize, za: i32, w: usize, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const acc = accumulate(a + <usize>i * lda, za, w, bias, j, k);
      const v = requantize(acc, load<i32>(multiplier + (<usize>j << 2)), left, right);
      store<u8>(out + <usize>i * ldo + <usize>j, <u8>saturate(v + zo, 255));
    }
  }
}

/** Linear layer to fine u16 codes 0..4095, the index of a GELU table (fc1). */
export function linear_fine(
  a: usize, lda: usize, za: i32, w: usize, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const acc = accumulate(a + <usize>i * lda, za, w, bias, j, k);
      const v = requantize(acc, load<i32>(multiplier + (<usize>j << 2)), left, right);
      store<u16>(out + ((<usize>i * ldo + <usize>j) << 1), <u16>saturate(v + zo, 4095));
    }
  }
}

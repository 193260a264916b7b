/**
 * The two products of attention, the oracle.
 *
 *   scores:  out[i,j] = saturate(requantize(Σ_t (q[i,t] - z)·(k[j,t] - z), multiplier) + z_out)
 *   context: out[i,t] = saturate(requantize(Σ_j P(p[i,j])·(v[j,t] - z), multiplier) + z_out)
 *
 * The multiplier of the scores holds d^-½.
 *
 * q: u8 codes [rows, d]; k, v: [tokens, d]; all inside the qkv tensor, row stride ld bytes.
 * p: attention codes [rows, tokens], row stride ldp. rows: 1 to tokens. d: a multiple of 8.
 * out: scores [rows, tokens], row stride ldo at least tokens rounded up to 8; the columns from
 * tokens to there are unspecified. context [rows, d]. high: the largest code of a context, 255 or
 * 127.
 *
 * P(code) depends on the kind of code:
 *   log2 (LIS)  -2^(15-code), 0 above 15: attention·V is a sum of shifted V. The sign makes code 0
 *               fit i16, and a negative multiplier undoes it.
 *   uniform     code
 *   eighths     -2^(15-code/8), 0 above 127, as (m·-2^(15-k) + 2^14) >> 15 with k = code >> 3,
 *               m = min(2^15-1, round(2^(15-f/8))), f = code & 7: one rounding multiplication of
 *               i16 gives the same.
 *
 * Ranges: |Σ| of scores <= 255²·d < 2^31 for d <= 33025. Of context: log2 codes stand for ratios
 * rounded by at most 1.5, so Σ 2^(15-code) < 1.6·2^15 and |Σ| < 2^23.7; uniform codes give
 * <= 255²·tokens < 2^31 for 33025 tokens; eighths are ratios rounded by 2^(1/16), so
 * Σ|P| < 1.1·2^15 + tokens / 2 and |Σ| < 2^23.3.
 */
import { requantize, saturate } from '../common/requantize.scalar';
import { Codes } from './codes';

export function scores(
  q: usize, k: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, rows: i32, tokens: i32, d: i32, scratch: usize,
): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < tokens; j++) {
      let acc = 0;
      for (let t = 0; t < d; t++) {
        acc += (<i32>load<u8>(q + <usize>i * ld + <usize>t) - z) * (<i32>load<u8>(k + <usize>j * ld + <usize>t) - z);
      }
      store<u8>(out + <usize>i * ldo + <usize>j, <u8>saturate(requantize(acc, multiplier, left, right) + zo, 255));
    }
  }
}

/** round(2^(15 - f/8)), f = 0..7, at most 2^15 - 1. */
// @ts-ignore: decorator
@inline
function eighth(f: i32): i32 {
  if (f < 4) return f < 2 ? (f == 0 ? 32767 : 30048) : f == 2 ? 27554 : 25268;
  return f < 6 ? (f == 4 ? 23170 : 21247) : f == 6 ? 19484 : 17867;
}

// @ts-ignore: decorator
@inline
function weightOf(code: i32, codes: Codes): i32 {
  if (codes == Codes.Uniform) return code;
  if (codes == Codes.Log2) return code > 15 ? 0 : -(1 << (15 - code));
  return code > 127 ? 0 : (-(eighth(code & 7) << (15 - (code >> 3))) + (1 << 14)) >> 15;
}

// @ts-ignore: decorator
@inline
function context(
  p: usize, ldp: usize, v: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, high: i32, rows: i32, tokens: i32, d: i32, codes: Codes,
): void {
  for (let i = 0; i < rows; i++) {
    for (let t = 0; t < d; t++) {
      let acc = 0;
      for (let j = 0; j < tokens; j++) {
        const code = <i32>load<u8>(p + <usize>i * ldp + <usize>j);
        acc += weightOf(code, codes) * (<i32>load<u8>(v + <usize>j * ld + <usize>t) - z);
      }
      store<u8>(out + <usize>i * ldo + <usize>t, <u8>saturate(requantize(acc, multiplier, left, right) + zo, high));
    }
  }
}

export function context_log2(
  p: usize, ldp: usize, v: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, high: i32, rows: i32, tokens: i32, d: i32, scratch: usize,
): void {
  context(p, ldp, v, ld, z, multiplier, left, right, out, ldo, zo, high, rows, tokens, d, Codes.Log2);
}

export function context_uniform(
  p: usize, ldp: usize, v: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, high: i32, rows: i32, tokens: i32, d: i32, scratch: usize,
): void {
  context(p, ldp, v, ld, z, multiplier, left, right, out, ldo, zo, high, rows, tokens, d, Codes.Uniform);
}

export function context_eighths(
  p: usize, ldp: usize, v: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, high: i32, rows: i32, tokens: i32, d: i32, scratch: usize,
): void {
  context(p, ldp, v, ld, z, multiplier, left, right, out, ldo, zo, high, rows, tokens, d, Codes.Eighths);
}

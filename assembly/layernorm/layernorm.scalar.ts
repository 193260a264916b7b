/**
 * Integer LayerNorm with power-of-two factors (PTF; paper section 3.2), the oracle.
 *
 *   x[c] = (q[c] - z) · 2^α[c]            all channels now share the scale s1, which cancels
 *   V    = C·Σx² - (Σx)² = (C·σ)²                  x̂ = (C·x - Σx) / √V
 *   out  = saturate(round(x̂·γ/s_out + β/s_out) + z_out)
 *
 * in fixed point: t = x̂ in Q24, from a reciprocal root of 31 bits; u = t·gain >> right in Q12;
 * out = (u + bias) >> 12.
 *
 * q: u8 codes. out: u8 [rows, C]. Row r of the input is, for
 *   layernorm          row r of q [rows, C]
 *   layernorm_windows  token r of q [side², C] in window order (window.ts); `lines` lines, starting
 *                      at `first`
 *   layernorm_merge    the C/4 channels of the 2×2 tokens of merged patch `first` + r of
 *                      q [side², C/4], side even; scratch: C bytes
 * power: i16 [C], 2^α in {1,2,4,8}. gain: i32 [C], γ/s_out in Q(right - 12). bias: i32 [C], β/s_out
 * in Q12. right: 1..62. high: the largest code of out, 255 or 127. C <= 4096, a multiple of 8.
 * Ranges: |x| <= 2040, V <= C²·2040² < 2^46, |C·x - Σx| < 2^24, |x̂| <= √C, |t| <= 2^30,
 * |t·gain| < 2^61. A row of equal x has V = 0 and x̂ = 0. The quantiser keeps |u + bias| below
 * 2^31.
 */
import { saturate } from '../common/requantize.scalar';
import { gatherPatch, lineColumn, lineRow, lineToken } from '../window/window';
import { normalisedRoot } from './root';

function normaliseRow(
  q: usize, z: i32, power: usize, gain: usize, bias: usize, right: i32, out: usize, zo: i32, high: i32, c: i32,
): void {
  let sum = 0;
  let squares: i64 = 0;
  for (let i = 0; i < c; i++) {
    const x = (<i32>load<u8>(q + <usize>i) - z) * <i32>load<i16>(power + (<usize>i << 1));
    sum += x;
    squares += <i64>(x * x);
  }
  const v = <u64>(squares * <i64>c - <i64>sum * <i64>sum);
  const even = <i32>clz(v | 1) & ~1;
  const reciprocal = <i64>((((<u64>1) << 62) - 1) / normalisedRoot(v, even));
  const rootShift = 38 - (even >> 1);
  for (let i = 0; i < c; i++) {
    const at = <usize>i << 2;
    const x = (<i32>load<u8>(q + <usize>i) - z) * <i32>load<i16>(power + (<usize>i << 1));
    const t = <i32>((<i64>(x * c - sum) * reciprocal + (<i64>1 << <i64>(rootShift - 1))) >> <i64>rootShift);
    const u = <i32>((<i64>t * <i64>load<i32>(gain + at) + (<i64>1 << <i64>(right - 1))) >> <i64>right);
    const y = (u + load<i32>(bias + at) + 2048) >> 12;
    store<u8>(out + <usize>i, <u8>saturate(min(max(y, -32768), 32767) + zo, high));
  }
}

export function layernorm(
  q: usize, z: i32, power: usize, gain: usize, bias: usize, right: i32, out: usize, zo: i32, high: i32, rows: i32, c: i32,
): void {
  for (let r = 0; r < rows; r++) {
    normaliseRow(q + <usize>(r * c), z, power, gain, bias, right, out + <usize>(r * c), zo, high, c);
  }
}

export function layernorm_windows(
  q: usize, z: i32, power: usize, gain: usize, bias: usize, right: i32, out: usize, zo: i32, high: i32, c: i32,
  side: i32, window: i32, shift: i32, first: i32, lines: i32,
): void {
  for (let line = first; line < first + lines; line++) {
    const y = lineRow(line, side, window, shift), x = lineColumn(line, side, window, shift);
    for (let i = 0; i < window; i++) {
      normaliseRow(q + <usize>(lineToken(y, x, i, side) * c), z, power, gain, bias, right, out, zo, high, c);
      out += <usize>c;
    }
  }
}

export function layernorm_merge(
  q: usize, z: i32, power: usize, gain: usize, bias: usize, right: i32, out: usize, zo: i32, high: i32, c: i32,
  side: i32, first: i32, rows: i32, scratch: usize,
): void {
  for (let r = 0; r < rows; r++) {
    gatherPatch(q, first + r, side, <usize>c >> 2, scratch);
    normaliseRow(scratch, z, power, gain, bias, right, out + <usize>(r * c), zo, high, c);
  }
}

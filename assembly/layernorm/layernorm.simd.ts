/**
 * Integer LayerNorm with power-of-two factors, eight channels at a time (equation and ranges:
 * layernorm.scalar.ts).
 */
import { narrow } from '../common/requantize.simd';
import { gatherPatch, lineColumn, lineRow, lineToken } from '../window/window';
import { normalisedRoot } from './root';

/** (a · b + half) >> 32 of four lanes. */
// @ts-ignore: decorator
@inline
function multiplyHigh(a: v128, b: v128, half: v128): v128 {
  const p0 = i64x2.add(i64x2.extmul_low_i32x4_s(a, b), half);
  const p1 = i64x2.add(i64x2.extmul_high_i32x4_s(a, b), half);
  return i32x4.shuffle(p0, p1, 1, 3, 5, 7);
}

/**
 * (a · b + half) >> right of four lanes, low 32 bits. Few processors can shift 64-bit lanes
 * arithmetically: the words are shifted instead, the high ones alone where `long` says that
 * `right` is at least 32.
 */
// @ts-ignore: decorator
@inline
function multiplyShift(a: v128, b: v128, half: v128, right: i32, long: bool): v128 {
  if (long) return i32x4.shr_s(multiplyHigh(a, b, half), right - 32);
  const p0 = i64x2.add(i64x2.extmul_low_i32x4_s(a, b), half);
  const p1 = i64x2.add(i64x2.extmul_high_i32x4_s(a, b), half);
  const words = i32x4.shuffle(p0, p1, 1, 3, 5, 7);
  return v128.or(i32x4.shr_u(i32x4.shuffle(p0, p1, 0, 2, 4, 6), right), i32x4.shl(words, 32 - right));
}

// @ts-ignore: decorator
@inline
function values(q: usize, zero: v128, power: usize): v128 {
  return i16x8.mul(i16x8.sub(v128.load_ext<u8>(q), zero), v128.load(power));
}

function normaliseRow(
  q: usize, z: i32, power: usize, gain: usize, bias: usize, right: i32, out: usize, zo: i32, high: i32, c: i32,
): void {
  const zero = i16x8.splat(<i16>z), ones = i16x8.splat(1);
  let sums = i32x4.splat(0), squares = i64x2.splat(0);
  for (let i: usize = 0; i < <usize>c; i += 8) {
    const x = values(q + i, zero, power + 2 * i);
    sums = i32x4.add(sums, i32x4.dot_i16x8_s(x, ones));
    const pairs = i32x4.dot_i16x8_s(x, x);
    squares = i64x2.add(squares, i64x2.add(i64x2.extend_low_i32x4_u(pairs), i64x2.extend_high_i32x4_u(pairs)));
  }
  const sum =
    i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
  const total = i64x2.extract_lane(squares, 0) + i64x2.extract_lane(squares, 1);
  const v = <u64>(total * <i64>c - <i64>sum * <i64>sum);
  const even = <i32>clz(v | 1) & ~1;
  const reciprocal = i32x4.splat(<i32>((((<u64>1) << 62) - 1) / normalisedRoot(v, even)));
  const rootShift = 38 - (even >> 1);
  // V < 2^46, so the root's shift is 7 to 29
  if (right < 32) affineRow(q, zero, power, gain, bias, right, out, zo, high, c, sum, reciprocal, rootShift, false, false);
  else if (c >= EXACT) affineRow(q, zero, power, gain, bias, right, out, zo, high, c, sum, reciprocal, rootShift, true, false);
  else affineRow(q, zero, power, gain, bias, right, out, zo, high, c, sum, reciprocal, rootShift, true, true);
}

/**
 * With fewer channels, C·x - Σx can be scaled up by 2^(32 - root's shift), so that the shift
 * becomes 32 and costs nothing: t · 2^32 / reciprocal <= 4·|t| <= √C·2^26 < 2^31.
 */
const EXACT: i32 = 1024;

/** x̂·gain + bias of one row; `scaled`: fewer channels than EXACT. */
// @ts-ignore: decorator
@inline
function affineRow(
  q: usize, zero: v128, power: usize, gain: usize, bias: usize, right: i32, out: usize, zo: i32, high: i32, c: i32,
  sum: i32, reciprocal: v128, rootShift: i32, long: bool, scaled: bool,
): void {
  const most = i8x16.splat(<i8>high), zeroOut = i16x8.splat(<i16>zo), round = i32x4.splat(2048);
  const up = scaled ? 32 - rootShift : 0, channels = i32x4.splat(c << up), sum4 = i32x4.splat(sum << up);
  const rootHalf = i64x2.splat(<i64>1 << <i64>(scaled ? 31 : rootShift - 1)), half = i64x2.splat(<i64>1 << <i64>(right - 1));
  for (let i: usize = 0; i < <usize>c; i += 8) {
    const x = values(q + i, zero, power + 2 * i);
    const g = gain + 4 * i, b = bias + 4 * i;
    const d0 = i32x4.sub(i32x4.mul(i32x4.extend_low_i16x8_s(x), channels), sum4);
    const d1 = i32x4.sub(i32x4.mul(i32x4.extend_high_i16x8_s(x), channels), sum4);
    const t0 = scaled ? multiplyHigh(d0, reciprocal, rootHalf) : multiplyShift(d0, reciprocal, rootHalf, rootShift, false);
    const t1 = scaled ? multiplyHigh(d1, reciprocal, rootHalf) : multiplyShift(d1, reciprocal, rootHalf, rootShift, false);
    const u0 = multiplyShift(t0, v128.load(g), half, right, long);
    const u1 = multiplyShift(t1, v128.load(g, 16), half, right, long);
    const y0 = i32x4.shr_s(i32x4.add(i32x4.add(u0, v128.load(b)), round), 12);
    const y1 = i32x4.shr_s(i32x4.add(i32x4.add(u1, v128.load(b, 16)), round), 12);
    const y = narrow(y0, y1, zeroOut);
    v128.store64_lane(out + i, i8x16.min_u(i8x16.narrow_i16x8_u(y, y), most), 0);
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

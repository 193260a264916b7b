/**
 * Softmax of rows of score codes (equations and ranges: softmax.scalar.ts).
 *
 * log2 codes need no division per element, with T_k = 2, 3, 6, 12, ... 3·2^(k-2):
 *   code >= k  <=>  ratio >= T_k  <=>  Σe/e >= T_k - 1/2  <=>  e·(2T_k - 1) <= 2Σe
 * e falls with d, so each k has a least distance D_k, and a code is the number of k = 1..16 with
 * q <= max - D_k: one comparison for 16 elements. Exact for every row.
 *
 * D_k is looked up: e[d] <= X, X = 2Σe/(2T_k - 1), by the leading five bits of X in a table that
 * says where exponentials with those bits begin. A step or two from there finds it, and the result
 * is always checked.
 *
 * Codes in eighths of an octave are linear in d: 8 of them in a 16-bit multiplication, and the code
 * is the upper byte. If slope·d would exceed 16 bits, it stays at the last multiple that fits,
 * which is already far above code 127.
 *
 * Scores that a mask drops count as 0: they never raise the maximum, each adds e[max] to the sum,
 * which is subtracted again, and their codes are overwritten.
 *
 * scratch: 16-byte aligned, SOFTMAX_SCRATCH bytes, and ld bytes for the masked row.
 */

import { SOFTMAX_SCRATCH } from '../sizes';
import { log2Of } from './logarithm';

// Offsets in scratch: 16 thresholds; the exponentials, reversed; 2T_k - 1 and 2^32 / (2T_k - 1);
// the first exponential of each key.
const THRESHOLDS: usize = 0, TABLE: usize = 32, DIVISORS: usize = 1072, FIRST: usize = 1328;
/** Keys of the look-up: 16 for each number of leading zeros, and 0 has the last. */
const KEYS: i32 = (SOFTMAX_SCRATCH - <i32>FIRST) / 2;

/** The five leading bits of an exponential, as a number that rises when the exponential falls. */
// @ts-ignore: decorator
@inline
function key(x: u32): i32 {
  const zeros = <i32>clz(x);
  return (zeros << 4) + 31 - <i32>((x << zeros) >> 27);
}

/**
 * Lays out what all rows of a call share. The exponentials are reversed, e[d] at
 * TABLE + 4·(255 - d), so that q alone addresses them. A number that no sum reaches precedes e[0],
 * and a 0 follows e[255].
 */
function prepare(scratch: usize, table: usize, log2: bool): void {
  for (let d: usize = 0; d < 256; d++) store<u32>(scratch + TABLE + 4 * (255 - d), load<u32>(table + 4 * d));
  if (!log2) return;
  store<u32>(scratch + TABLE, 0xffffffff, 1024);
  store<u32>(scratch + TABLE - 4, 0);
  let divisor = 3;
  for (let k: usize = 0; k < 16; k++) {
    store<u64>(scratch + DIVISORS + 16 * k, <u64>divisor);
    store<u64>(scratch + DIVISORS + 16 * k, (<u64>1 << 32) / <u64>divisor, 8);
    divisor = k == 0 ? 5 : 2 * divisor + 1;
  }
  let d = 0;
  for (let i = 0; i < KEYS; i++) {
    while (d < 256 && key(load<u32>(table + (<usize>d << 2))) < i) d++;
    store<u16>(scratch + FIRST + (<usize>i << 1), <u16>(4 * d));
  }
}

/** Corrects D_k for the exponential e[d] <= X; p is 4·d. */
function settle(first: usize, p: usize, divisor: u64, twice: u64): usize {
  while (<u64>load<u32>(first - p) * divisor > twice) p += 4;
  while (<u64>load<u32>(first - p, 4) * divisor <= twice) p -= 4;
  return p;
}

/**
 * Writes max - D_k - 128 for the k = 1..16 that a score of the row reaches; the least score is
 * `least`. @returns the address after the last one
 */
function thresholds(scratch: usize, max: i32, least: i32, twice: u64): usize {
  const first = scratch + TABLE + 1020; // of e[0]
  const range = <usize>(max - least) << 2;
  let out = scratch + THRESHOLDS;
  let c = scratch + DIVISORS;
  const end = c + 256;
  do {
    const divisor = load<u64>(c);
    const x = <u32>((twice * load<u64>(c, 8)) >> 32), zeros = clz(x);
    let p = <usize>load<u16>(scratch + (<usize>((zeros << 4) - ((x << zeros) >> 27)) << 1), FIRST + 62);
    p += usize(<u64>load<u32>(first - p) * divisor > twice) << 2;
    const e = first - p;
    if (i32(<u64>load<u32>(e) * divisor > twice) | i32(<u64>load<u32>(e, 4) * divisor <= twice)) p = settle(first, p, divisor, twice);
    if (p > range) break;
    store<u8>(out++, <u8>(max - 128 - <i32>(p >> 2)));
    c += 16;
  } while (c < end);
  return out;
}

/**
 * Largest and least code of a row, max | least << 8. `last`: -1 in the lanes of the last 16 codes
 * that count.
 */
// @ts-ignore: decorator
@inline
function extremes(q: usize, n: usize, last: v128): i32 {
  let most = i8x16.splat(0), rest = i8x16.splat(0);
  let i: usize = 0;
  for (; i + 16 < n; i += 16) {
    const x = v128.load(q + i);
    most = i8x16.max_u(most, x);
    rest = i8x16.max_u(rest, v128.not(x));
  }
  const x = v128.load(q + i);
  most = i8x16.max_u(most, v128.and(x, last));
  rest = i8x16.max_u(rest, v128.andnot(last, x));
  // both at once: most in the low half, 255 - least in the high one
  let v = i8x16.max_u(
    i8x16.shuffle(most, rest, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
    i8x16.shuffle(most, rest, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31),
  );
  v = i8x16.max_u(v, i8x16.shuffle(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15));
  v = i8x16.max_u(v, i8x16.shuffle(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 10, 11, 10, 11, 10, 11, 10, 11));
  v = i8x16.max_u(v, i8x16.shuffle(v, v, 1, 1, 1, 1, 1, 1, 1, 1, 9, 9, 9, 9, 9, 9, 9, 9));
  return <i32>i8x16.extract_lane_u(v, 0) | ((255 - <i32>i8x16.extract_lane_u(v, 8)) << 8);
}

// @ts-ignore: decorator
@inline
function exponential(q: usize, entries: usize): u32 {
  return load<u32>(entries + (<usize>load<u8>(q) << 2));
}

/**
 * Σ e[max - q]; entries = address of e[max]. Four sums, so that loads do not wait for one another.
 */
// @ts-ignore: decorator
@inline
function rowSum(q: usize, n: usize, entries: usize): u32 {
  let s0: u32 = 0, s1: u32 = 0, s2: u32 = 0, s3: u32 = 0;
  const end = q + n;
  for (; q + 4 <= end; q += 4) {
    s0 += load<u32>(entries + (<usize>load<u8>(q) << 2));
    s1 += load<u32>(entries + (<usize>load<u8>(q, 1) << 2));
    s2 += load<u32>(entries + (<usize>load<u8>(q, 2) << 2));
    s3 += load<u32>(entries + (<usize>load<u8>(q, 3) << 2));
  }
  for (; q < end; q++) s0 += exponential(q, entries);
  return s0 + s1 + s2 + s3;
}

/** q & mask of one row to `row`. @returns how many of the n scores are dropped */
// @ts-ignore: decorator
@inline
function maskRow(q: usize, mask: usize, n: usize, row: usize): u32 {
  let kept = 0;
  for (let i: usize = 0; i < n; i += 16) {
    const m = v128.load(mask + i);
    v128.store(row + i, v128.and(v128.load(q + i), m));
    kept += popcnt(i8x16.bitmask(m));
  }
  return <u32>n - <u32>kept;
}

/** -1 in the lanes of the last 16 of n codes that count. */
// @ts-ignore: decorator
@inline
function lastLanes(n: i32): v128 {
  return i8x16.lt_u(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(<i8>(((n - 1) & 15) + 1)));
}

// @ts-ignore: decorator
@inline
function signed(x: v128): v128 {
  return v128.xor(x, i8x16.splat(-128));
}

/** How many thresholds a score reaches as its code; 16 is 255, probability 0. */
// @ts-ignore: decorator
@inline
function asCode(count: v128): v128 {
  return v128.or(count, i8x16.gt_u(count, i8x16.splat(15)));
}

/**
 * The codes of a row of n scores, a multiple of 16: how many thresholds, from `from` to `end`, each
 * score reaches.
 */
function writeCodes(row: usize, out: usize, n: usize, from: usize, end: usize): void {
  const all = i8x16.splat(<i8>(end - from));
  let i: usize = 0;
  for (; i + 64 <= n; i += 64) {
    const y0 = signed(v128.load(row + i)), y1 = signed(v128.load(row + i, 16));
    const y2 = signed(v128.load(row + i, 32)), y3 = signed(v128.load(row + i, 48));
    let c0 = all, c1 = all, c2 = all, c3 = all;
    for (let t = from; t < end; t++) {
      const threshold = v128.load_splat<u8>(t);
      c0 = i8x16.add(c0, i8x16.gt_s(y0, threshold));
      c1 = i8x16.add(c1, i8x16.gt_s(y1, threshold));
      c2 = i8x16.add(c2, i8x16.gt_s(y2, threshold));
      c3 = i8x16.add(c3, i8x16.gt_s(y3, threshold));
    }
    v128.store(out + i, asCode(c0));
    v128.store(out + i, asCode(c1), 16);
    v128.store(out + i, asCode(c2), 32);
    v128.store(out + i, asCode(c3), 48);
  }
  for (; i < n; i += 16) {
    const y = signed(v128.load(row + i));
    let c = all;
    for (let t = from; t < end; t++) c = i8x16.add(c, i8x16.gt_s(y, v128.load_splat<u8>(t)));
    v128.store(out + i, asCode(c));
  }
}

/**
 * Writes `none`, the code of probability 0, for masked scores and from the last score to `ld`.
 * kept: 0 for no mask.
 */
// @ts-ignore: decorator
@inline
function writeNone(out: usize, ld: usize, full: usize, last: v128, kept: usize, none: v128): void {
  if (kept != 0) {
    for (let i: usize = 0; i <= full; i += 16) v128.store(out + i, v128.bitselect(v128.load(out + i), none, v128.load(kept + i)));
  }
  v128.store(out + full, v128.bitselect(v128.load(out + full), none, last));
  for (let i = full + 16; i < ld; i += 16) v128.store(out + i, none);
}

export function softmax_log2(
  q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, mask: usize, scratch: usize,
): void {
  prepare(scratch, table, true);
  const last = lastLanes(n), full = <usize>n - 1 & ~15;
  const masks = mask + <usize>n * ld;
  let kept = mask;
  for (let r = 0; r < rows; r++) {
    let row = q;
    let dropped: u32 = 0;
    if (mask != 0) {
      row = scratch + SOFTMAX_SCRATCH;
      dropped = maskRow(q, kept, <usize>n, row);
    }
    const both = extremes(row, <usize>n, last), max = both & 255;
    const entries = scratch + TABLE + (<usize>(255 - max) << 2);
    const sum = rowSum(row, <usize>n, entries) - dropped * load<u32>(entries);
    const end = thresholds(scratch, max, both >> 8, 2 * <u64>sum);
    writeCodes(row, out, full + 16, scratch + THRESHOLDS, end);
    writeNone(out, ld, full, last, mask == 0 ? 0 : kept, i8x16.splat(-1));
    q += ld;
    out += ld;
    kept += ld;
    if (kept == masks) kept = mask;
  }
}

export function softmax_uniform(
  q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, levels: i32, mask: usize, scratch: usize,
): void {
  prepare(scratch, table, false);
  const last = lastLanes(n), full = <usize>n - 1 & ~15;
  const masks = mask + <usize>n * ld;
  let kept = mask;
  for (let r = 0; r < rows; r++) {
    let row = q;
    let dropped: u32 = 0;
    if (mask != 0) {
      row = scratch + SOFTMAX_SCRATCH;
      dropped = maskRow(q, kept, <usize>n, row);
    }
    const entries = scratch + TABLE + (<usize>(255 - (extremes(row, <usize>n, last) & 255)) << 2);
    const inverse = (<u64>levels << 32) / <u64>(rowSum(row, <usize>n, entries) - dropped * load<u32>(entries));
    for (let i: usize = 0; i < <usize>n; i++) {
      const code = (<u64>exponential(row + i, entries) * inverse + ((<u64>1) << 43)) >> 44;
      store<u8>(out + i, <u8>min(code, 255));
    }
    writeNone(out, ld, full, last, mask == 0 ? 0 : kept, i8x16.splat(0));
    q += ld;
    out += ld;
    kept += ld;
    if (kept == masks) kept = mask;
  }
}

export function softmax_eighths(
  q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, slope: i32, mask: usize, scratch: usize,
): void {
  prepare(scratch, table, false);
  const first = log2Of(load<u32>(table)), slopes = i16x8.splat(<i16>slope);
  const last = lastLanes(n), full = <usize>n - 1 & ~15;
  const masks = mask + <usize>n * ld;
  let kept = mask;
  for (let r = 0; r < rows; r++) {
    let row = q;
    let dropped: u32 = 0;
    if (mask != 0) {
      row = scratch + SOFTMAX_SCRATCH;
      dropped = maskRow(q, kept, <usize>n, row);
    }
    const max = extremes(row, <usize>n, last) & 255;
    const entries = scratch + TABLE + (<usize>(255 - max) << 2);
    const sum = log2Of(rowSum(row, <usize>n, entries) - dropped * load<u32>(entries)) - first + 128;
    const farthest = i8x16.splat(<i8>min((65535 - sum) / slope, 255)), sums = i16x8.splat(<i16>sum), most = i8x16.splat(<i8>max);
    for (let i: usize = 0; i <= full; i += 16) {
      const d = i8x16.min_u(i8x16.sub(most, v128.load(row + i)), farthest);
      const low = i16x8.add(i16x8.mul(i16x8.extend_low_i8x16_u(d), slopes), sums);
      const high = i16x8.add(i16x8.mul(i16x8.extend_high_i8x16_u(d), slopes), sums);
      const code = i8x16.shuffle(low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
      v128.store(out + i, v128.or(code, i8x16.shr_s(code, 7)));
    }
    writeNone(out, ld, full, last, mask == 0 ? 0 : kept, i8x16.splat(-1));
    q += ld;
    out += ld;
    kept += ld;
    if (kept == masks) kept = mask;
  }
}

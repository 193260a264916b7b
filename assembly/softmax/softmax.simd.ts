/**
 * Softmax of rows of score codes (equations and ranges: softmax.scalar.ts).
 *
 * log2 codes without a division per element: code >= k  <=>  ratio >= T_k, T_k = 2, 3, 6, 12, ... 3·2^(k-2)
 *   <=>  Σe/e >= T_k - 1/2  <=>  e·(2T_k - 1) <= 2Σe.
 * e falls with d, so each k has a least distance D_k, and a code is the number of k = 1..16 with q <= max - D_k: one
 * comparison for 16 elements. Exact for every row. An exponential halves at even distances, so D_k is looked for one gap
 * behind D_(k-1).
 *
 * Scores that a mask drops are taken as 0: they never raise the maximum, each adds e[max] to the sum, which is taken off, and
 * their codes are overwritten. scratch: 16-byte aligned, 16 bytes for the thresholds and ld for the masked row.
 */

// @ts-ignore: decorator
@inline
function horizontalMax(v: v128): i32 {
  v = i8x16.max_u(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  v = i8x16.max_u(v, i8x16.shuffle(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15));
  v = i8x16.max_u(v, i8x16.shuffle(v, v, 2, 3, 0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  v = i8x16.max_u(v, i8x16.shuffle(v, v, 1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  return <i32>i8x16.extract_lane_u(v, 0);
}

// @ts-ignore: decorator
@inline
function rowMax(q: usize, n: usize): i32 {
  let v = i8x16.splat(0);
  let i: usize = 0;
  for (; i + 16 <= n; i += 16) v = i8x16.max_u(v, v128.load(q + i));
  let max = horizontalMax(v);
  for (; i < n; i++) max = max > <i32>load<u8>(q + i) ? max : <i32>load<u8>(q + i);
  return max;
}

// @ts-ignore: decorator
@inline
function rowMin(q: usize, n: usize): i32 {
  let v = i8x16.splat(-1);
  let i: usize = 0;
  for (; i + 16 <= n; i += 16) v = i8x16.min_u(v, v128.load(q + i));
  let min = 255 - horizontalMax(v128.not(v));
  for (; i < n; i++) min = min < <i32>load<u8>(q + i) ? min : <i32>load<u8>(q + i);
  return min;
}

// @ts-ignore: decorator
@inline
function exponential(q: usize, maxEntry: usize): u32 {
  return load<u32>(maxEntry - (<usize>load<u8>(q) << 2));
}

/** Σ e[max - q]; maxEntry = address of e[max]. Four sums, so that loads do not wait for one another. */
// @ts-ignore: decorator
@inline
function rowSum(q: usize, n: usize, maxEntry: usize): u32 {
  let s0: u32 = 0, s1: u32 = 0, s2: u32 = 0, s3: u32 = 0;
  const end = q + n;
  for (; q + 4 <= end; q += 4) {
    s0 += exponential(q, maxEntry);
    s1 += exponential(q + 1, maxEntry);
    s2 += exponential(q + 2, maxEntry);
    s3 += exponential(q + 3, maxEntry);
  }
  for (; q < end; q++) s0 += exponential(q, maxEntry);
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

/** Writes max - D_k for k = 1..16, as many as a score of the row reaches, the least of which is `least`. @returns its end */
// @ts-ignore: decorator
@inline
function thresholds(out: usize, table: usize, max: i32, least: i32, twice: u64): usize {
  const range = max - least;
  let d = 0, gap = 0;
  let threshold: u64 = 3;
  for (let k = 0; k < 16; k++) {
    const before = d;
    d = min(d + gap, range);
    if (<u64>load<u32>(table + (<usize>d << 2)) * threshold <= twice) {
      while (d > before && <u64>load<u32>(table + (<usize>(d - 1) << 2)) * threshold <= twice) d--;
    } else {
      while (d <= range && <u64>load<u32>(table + (<usize>d << 2)) * threshold > twice) d++;
    }
    if (d > range) break;
    gap = d - before;
    store<u8>(out++, <u8>(max - d));
    threshold = k == 0 ? 5 : 2 * threshold + 1;
  }
  return out;
}

export function softmax_log2(
  q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, mask: usize, scratch: usize,
): void {
  const fifteen = i8x16.splat(15), lane = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const written = (<usize>n + 15) & ~15;
  const masks = mask + <usize>n * ld;
  let kept = mask;
  for (let r = 0; r < rows; r++) {
    let row = q;
    let dropped: u32 = 0;
    if (mask != 0) {
      row = scratch + 16;
      dropped = maskRow(q, kept, <usize>n, row);
    }
    const max = rowMax(row, <usize>n);
    const maxEntry = table + (<usize>max << 2);
    const sum = rowSum(row, <usize>n, maxEntry) - dropped * load<u32>(maxEntry);
    const end = thresholds(scratch, table, max, rowMin(row, <usize>n), 2 * <u64>sum);
    for (let i: usize = 0; i < <usize>n; i += 16) {
      const x = v128.load(row + i);
      let code = i8x16.splat(0);
      for (let t = scratch; t < end; t++) code = i8x16.sub(code, i8x16.le_u(x, v128.load_splat<u8>(t)));
      code = v128.or(code, i8x16.gt_u(code, fifteen));
      if (mask != 0) code = v128.or(code, v128.not(v128.load(kept + i)));
      if (i + 16 > <usize>n) code = v128.or(code, i8x16.ge_u(lane, i8x16.splat(<i8>(<usize>n - i))));
      v128.store(out + i, code);
    }
    memory.fill(out + written, 255, ld - written);
    q += ld;
    out += ld;
    kept += ld;
    if (kept == masks) kept = mask;
  }
}

export function softmax_uniform(
  q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, levels: i32, mask: usize, scratch: usize,
): void {
  const masks = mask + <usize>n * ld;
  let kept = mask;
  for (let r = 0; r < rows; r++) {
    let row = q;
    let dropped: u32 = 0;
    if (mask != 0) {
      row = scratch + 16;
      dropped = maskRow(q, kept, <usize>n, row);
    }
    const maxEntry = table + (<usize>rowMax(row, <usize>n) << 2);
    const inverse = (<u64>levels << 32) / <u64>(rowSum(row, <usize>n, maxEntry) - dropped * load<u32>(maxEntry));
    for (let i: usize = 0; i < <usize>n; i++) {
      const code = (<u64>exponential(row + i, maxEntry) * inverse + ((<u64>1) << 43)) >> 44;
      store<u8>(out + i, <u8>min(code, 255));
    }
    if (mask != 0) {
      for (let i: usize = 0; i < <usize>n; i += 16) v128.store(out + i, v128.and(v128.load(out + i), v128.load(kept + i)));
    }
    memory.fill(out + <usize>n, 0, ld - <usize>n);
    q += ld;
    out += ld;
    kept += ld;
    if (kept == masks) kept = mask;
  }
}

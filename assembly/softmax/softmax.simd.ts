/**
 * Softmax of rows of score codes (equations and ranges: softmax.scalar.ts).
 *
 * log2 codes without a division per element: code >= k  <=>  ratio >= T_k, T_k = 2, 3, 6, 12, ... 3·2^(k-2)
 *   <=>  Σe/e >= T_k - 1/2  <=>  e <= floor(2Σe / (2T_k - 1)).
 * e falls with d, so each k has a least distance D_k, found by bisection, and a code is the number of k = 1..16 with
 * q <= max - D_k: one comparison for 16 elements. Exact for every row. scratch: 16 bytes for the thresholds.
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

/** The least d in from..256 with e[d] <= limit; 256 where there is none. */
// @ts-ignore: decorator
@inline
function leastDistance(table: usize, from: i32, limit: u64): i32 {
  let low = from, high = 256;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (<u64>load<u32>(table + (<usize>middle << 2)) <= limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function softmax_log2(q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, scratch: usize): void {
  const fifteen = i8x16.splat(15);
  for (let r = 0; r < rows; r++) {
    const max = rowMax(q, <usize>n);
    const twice = 2 * <u64>rowSum(q, <usize>n, table + (<usize>max << 2));
    let count = 0, d = 0;
    let threshold: u64 = 3;
    while (count < 16) {
      d = leastDistance(table, d, twice / threshold);
      if (d > max) break;
      store<u8>(scratch + <usize>count, <u8>(max - d));
      count++;
      threshold = count == 1 ? 5 : 2 * threshold + 1;
    }
    const end = scratch + <usize>count;
    for (let i: usize = 0; i < <usize>n; i += 16) {
      const x = v128.load(q + i);
      let code = i8x16.splat(0);
      for (let t = scratch; t < end; t++) code = i8x16.sub(code, i8x16.le_u(x, v128.load_splat<u8>(t)));
      code = v128.or(code, i8x16.gt_u(code, fifteen));
      if (i + 16 <= <usize>n) {
        v128.store(out + i, code);
      } else {
        const lane = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        v128.store(out + i, v128.or(code, i8x16.ge_u(lane, i8x16.splat(<i8>(<usize>n - i)))));
      }
    }
    const written = (<usize>n + 15) & ~15;
    memory.fill(out + written, 255, ld - written);
    q += ld;
    out += ld;
  }
}

export function softmax_uniform(
  q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, levels: i32,
): void {
  for (let r = 0; r < rows; r++) {
    const maxEntry = table + (<usize>rowMax(q, <usize>n) << 2);
    const inverse = (<u64>levels << 32) / <u64>rowSum(q, <usize>n, maxEntry);
    for (let i: usize = 0; i < <usize>n; i++) {
      const code = (<u64>exponential(q + i, maxEntry) * inverse + ((<u64>1) << 43)) >> 44;
      store<u8>(out + i, <u8>min(code, 255));
    }
    memory.fill(out + <usize>n, 0, ld - <usize>n);
    q += ld;
    out += ld;
  }
}

/**
 * Softmax of rows of score codes, the oracle.
 *
 * q: u8 codes [rows, n], row stride ld bytes (a multiple of 16). A distance d = max(q) - q takes
 * 256 values, so the paper's integer exponential (i-exp, section 3.3) is a table e[d], u32 [256],
 * which falls with d and was made with the checkpoint for the scale of the scores.
 * Range: e[0]·n < 2^32, so Σe fits u32 for any row, even if all scores are equal.
 *
 * softmax_log2 (Log-Int-Softmax, paper eq. 11-13):
 *   ratio = round(Σe / e[d]);  code = floor(log2 ratio), plus one if ratio >= 1.5·2^floor
 *   A code above 15 stands for probability 0 and is written as 255.
 * softmax_uniform:
 *   code = min(255, round(p / s_p)), p = e[d] / Σe, by one reciprocal per row:
 *   inverse = floor(levels·2^32 / Σe);  code = (e[d]·inverse + 2^43) >> 44
 *   levels = 1/s_p in Q12, 0 < levels < 2^30.
 *   Range: e[d] <= Σe, so e[d]·inverse <= levels·2^32 < 2^62.
 * softmax_eighths (log2 codes in eighths of an octave):
 *   code = round(8·log2(Σe / e[d])); above 127 the probability is 0, written as 255.
 *   For exact exponentials -8·log2(e[d] / e[0]) is a multiple of d, so no element needs its own
 *   logarithm: code = (slope·d + 256·8·log2(Σe / e[0]) + 128) >> 8
 *   slope = 256·8·s·log2(e), s the scale of the scores, 0 < slope < 2^15.
 *   Range: Σe / e[0] <= n <= 4097, so the sum is below 2^15·255 + 24705.
 *
 * mask: 0 for none, or u8 [n, ld]: 255 where a score counts, 0 where its probability is 0 (Swin's
 * shifted windows), 0 in the bytes from n to ld. Row n starts it again. At least one score of each
 * row counts.
 *
 * out: u8 [rows, n], row stride ld; the bytes from n to ld get the code of probability 0.
 */
import { log2Of } from './logarithm';

// @ts-ignore: decorator
@inline
function counts(mask: usize, i: i32): bool {
  return mask == 0 || load<u8>(mask + <usize>i) != 0;
}

// @ts-ignore: decorator
@inline
function rowMax(q: usize, n: i32, mask: usize): i32 {
  let max = 0;
  for (let i = 0; i < n; i++) if (counts(mask, i) && <i32>load<u8>(q + <usize>i) > max) max = <i32>load<u8>(q + <usize>i);
  return max;
}

// @ts-ignore: decorator
@inline
function exponential(q: usize, i: i32, max: i32, table: usize): u32 {
  return load<u32>(table + (<usize>(max - <i32>load<u8>(q + <usize>i)) << 2));
}

// @ts-ignore: decorator
@inline
function rowSum(q: usize, n: i32, max: i32, table: usize, mask: usize): u32 {
  let sum: u32 = 0;
  for (let i = 0; i < n; i++) if (counts(mask, i)) sum += exponential(q, i, max, table);
  return sum;
}

// @ts-ignore: decorator
@inline
function maskRow(mask: usize, r: i32, n: i32, ld: usize): usize {
  return mask == 0 ? 0 : mask + <usize>(r % n) * ld;
}

export function softmax_log2(
  q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, mask: usize, scratch: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const kept = maskRow(mask, r, n, ld);
    const max = rowMax(q, n, kept);
    const sum = <u64>rowSum(q, n, max, table, kept);
    for (let i = 0; i < n; i++) {
      let code = 255;
      const e = counts(kept, i) ? <u64>exponential(q, i, max, table) : 0;
      if (e > 0) {
        const ratio = (2 * sum + e) / (2 * e);
        const floor = 63 - <i32>clz(ratio);
        code = floor + i32(2 * ratio >= <u64>3 << <u64>floor);
        if (code > 15) code = 255;
      }
      store<u8>(out + <usize>i, <u8>code);
    }
    memory.fill(out + <usize>n, 255, ld - <usize>n);
    q += ld;
    out += ld;
  }
}

export function softmax_uniform(
  q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, levels: i32, mask: usize, scratch: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const kept = maskRow(mask, r, n, ld);
    const max = rowMax(q, n, kept);
    const inverse = (<u64>levels << 32) / <u64>rowSum(q, n, max, table, kept);
    for (let i = 0; i < n; i++) {
      const e = counts(kept, i) ? <u64>exponential(q, i, max, table) : 0;
      store<u8>(out + <usize>i, <u8>min((e * inverse + ((<u64>1) << 43)) >> 44, 255));
    }
    memory.fill(out + <usize>n, 0, ld - <usize>n);
    q += ld;
    out += ld;
  }
}

export function softmax_eighths(
  q: usize, ld: usize, out: usize, rows: i32, n: i32, table: usize, slope: i32, mask: usize, scratch: usize,
): void {
  const first = log2Of(load<u32>(table));
  for (let r = 0; r < rows; r++) {
    const kept = maskRow(mask, r, n, ld);
    const max = rowMax(q, n, kept);
    const sum = log2Of(rowSum(q, n, max, table, kept)) - first + 128;
    for (let i = 0; i < n; i++) {
      const code = (slope * (max - <i32>load<u8>(q + <usize>i)) + sum) >> 8;
      store<u8>(out + <usize>i, <u8>(code > 127 || !counts(kept, i) ? 255 : code));
    }
    memory.fill(out + <usize>n, 255, ld - <usize>n);
    q += ld;
    out += ld;
  }
}

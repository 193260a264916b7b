/**
 * Swin's relative position bias, added to the codes of q·kᵀ of one head in every window, the
 * oracle.
 *
 *   out[i,j] = saturate((sum + 2^(right-1) >> right) + z_out)
 *   sum = (qk[i,j] - z_qk)·m_qk + (b[i - j] - z_b)·m_b
 *
 * i = (y, x) and j = (y', x') are tokens of a window; b[i - j] is the entry (y - y' + w - 1)·(2w -
 * 1) + (x - x' + w - 1) of the table. qk, out: u8 [windows][w², row stride ld], `stride` bytes from
 * window to window. table: u8 codes, entries `step` bytes apart (the heads lie side by side).
 * m_qk = s_qk/s_out, m_b = s_b/s_out, i32 in Q(right); the quantiser picks `right` so that
 * 255·(|m_qk| + |m_b|) + 2^(right-1) < 2^31. Columns from w² to ld are unspecified.
 */
import { saturate } from '../common/requantize.scalar';

/** The entry of the relative position bias table for tokens i and j of a window of w × w. */
// @ts-ignore: decorator
@inline
function biasEntry(i: i32, j: i32, w: i32): i32 {
  return (i / w - j / w + w - 1) * (2 * w - 1) + (i % w) - (j % w) + w - 1;
}

export function bias(
  qk: usize, zq: i32, mq: i32, table: usize, step: usize, zb: i32, mb: i32, right: i32, out: usize, zo: i32,
  windows: i32, stride: usize, w: i32, ld: usize, scratch: usize,
): void {
  const n = w * w;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const term = (<i32>load<u8>(table + <usize>biasEntry(i, j, w) * step) - zb) * mb + (1 << (right - 1));
      let at = <usize>i * ld + <usize>j;
      for (let k = 0; k < windows; k++) {
        const v = ((<i32>load<u8>(qk + at) - zq) * mq + term) >> right;
        store<u8>(out + at, <u8>saturate(min(max(v, -32768), 32767) + zo, 255));
        at += stride;
      }
    }
  }
}

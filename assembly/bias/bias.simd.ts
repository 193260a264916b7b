/**
 * Relative position bias, eight scores at a time (equation, operands and ranges: bias.scalar.ts).
 * The terms of the table are laid out once as an i32 map of a window, which all windows then read.
 *
 * scratch: 16-byte aligned, 4·w²·ld bytes. ld is a multiple of 8.
 */
import { narrow } from '../common/requantize.simd';

export function bias(
  qk: usize, zq: i32, mq: i32, table: usize, step: usize, zb: i32, mb: i32, right: i32, out: usize, zo: i32,
  windows: i32, stride: usize, w: i32, ld: usize, scratch: usize,
): void {
  const n = w * w;
  const half = 1 << (right - 1), row = step * <usize>(2 * w - 1);
  // tokens (y, x) and (y', x'): the entry moves one row of the table down with y and up with y',
  // one entry with x and x'
  for (let y = 0; y < w; y++) {
    for (let x = 0; x < w; x++) {
      let to = scratch + ((<usize>(y * w + x) * ld) << 2);
      let line = table + <usize>(y + w - 1) * row + <usize>(x + w - 1) * step;
      for (let yy = 0; yy < w; yy++) {
        let entry = line;
        for (let xx = 0; xx < w; xx++) {
          store<i32>(to, (<i32>load<u8>(entry) - zb) * mb + half);
          entry -= step;
          to += 4;
        }
        line -= row;
      }
    }
  }
  const zero = i16x8.splat(<i16>zq), zeroOut = i16x8.splat(<i16>zo), m = i32x4.splat(mq);
  const size = <usize>n * ld;
  for (let k = 0; k < windows; k++) {
    for (let at: usize = 0; at < size; at += 8) {
      const x = i16x8.sub(v128.load_ext<u8>(qk + at), zero), t = scratch + (at << 2);
      const v0 = i32x4.add(i32x4.mul(i32x4.extend_low_i16x8_s(x), m), v128.load(t));
      const v1 = i32x4.add(i32x4.mul(i32x4.extend_high_i16x8_s(x), m), v128.load(t, 16));
      const v = narrow(i32x4.shr_s(v0, right), i32x4.shr_s(v1, right), zeroOut);
      v128.store64_lane(out + at, i8x16.narrow_i16x8_u(v, v), 0);
    }
    qk += stride;
    out += stride;
  }
}

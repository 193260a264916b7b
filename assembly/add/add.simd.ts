/** Addition of two code tensors, eight channels at a time (equation and ranges: add.scalar.ts). */
import { narrow } from '../common/requantize.simd';
import { lineColumn, lineRow, lineToken } from '../window/window';

function addRow(
  a: usize, za: i32, ma: usize, b: usize, zb: i32, mb: usize, right: i32, out: usize, zo: i32, c: i32,
): void {
  const zeroA = i16x8.splat(<i16>za), zeroB = i16x8.splat(<i16>zb), zero = i16x8.splat(<i16>zo);
  const half = i32x4.splat(1 << (right - 1));
  for (let i: usize = 0; i < <usize>c; i += 8) {
    const x = i16x8.sub(v128.load_ext<u8>(a + i), zeroA), y = i16x8.sub(v128.load_ext<u8>(b + i), zeroB);
    const pa = ma + 4 * i, pb = mb + 4 * i;
    const s0 = i32x4.add(
      i32x4.mul(i32x4.extend_low_i16x8_s(x), v128.load(pa)),
      i32x4.mul(i32x4.extend_low_i16x8_s(y), v128.load(pb)),
    );
    const s1 = i32x4.add(
      i32x4.mul(i32x4.extend_high_i16x8_s(x), v128.load(pa, 16)),
      i32x4.mul(i32x4.extend_high_i16x8_s(y), v128.load(pb, 16)),
    );
    const v = narrow(i32x4.shr_s(i32x4.add(s0, half), right), i32x4.shr_s(i32x4.add(s1, half), right), zero);
    v128.store64_lane(out + i, i8x16.narrow_i16x8_u(v, v), 0);
  }
}

export function add(
  a: usize, za: i32, ma: usize, b: usize, zb: i32, mb: usize, right: i32, out: usize, zo: i32, rows: i32, c: i32,
): void {
  for (let r = 0; r < rows; r++) {
    const at = <usize>(r * c);
    addRow(a + at, za, ma, b + at, zb, mb, right, out + at, zo, c);
  }
}

export function add_windows(
  a: usize, za: i32, ma: usize, b: usize, zb: i32, mb: usize, right: i32, out: usize, zo: i32, c: i32,
  side: i32, window: i32, shift: i32, first: i32, lines: i32,
): void {
  for (let line = first; line < first + lines; line++) {
    const y = lineRow(line, side, window, shift), x = lineColumn(line, side, window, shift);
    for (let i = 0; i < window; i++) {
      const at = <usize>(lineToken(y, x, i, side) * c);
      addRow(a + at, za, ma, b, zb, mb, right, out + at, zo, c);
      b += <usize>c;
    }
  }
}

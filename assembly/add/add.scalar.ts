/**
 * Addition of two code tensors into power-of-two-factor codes (residuals, position embedding), the
 * oracle.
 *
 *   out[r,c] = saturate(((a - z_a)·ma[c] + (b - z_b)·mb[c] + 2^(right-1) >> right) + z_out)
 *
 * ma[c] = s_a·2^α_a[c] / (s_out·2^α_out[c]), mb[c] = s_b / (s_out·2^α_out[c]), both i32 in
 * Q(right). a, b, out: u8 [rows, C], C a multiple of 8. add_windows: a and out are maps [side², C],
 * b the rows of `lines` lines of them from `first` on in window order (window.ts).
 * Range: the quantiser picks `right` so that 255·(|ma| + |mb|) + 2^(right-1) < 2^31.
 */
import { saturate } from '../common/requantize.scalar';
import { lineColumn, lineRow, lineToken } from '../window/window';

function addRow(
  a: usize, za: i32, ma: usize, b: usize, zb: i32, mb: usize, right: i32, out: usize, zo: i32, c: i32,
): void {
  for (let i: usize = 0; i < <usize>c; i++) {
    const sum = (<i32>load<u8>(a + i) - za) * load<i32>(ma + (i << 2)) + (<i32>load<u8>(b + i) - zb) * load<i32>(mb + (i << 2));
    const v = (sum + (1 << (right - 1))) >> right;
    store<u8>(out + i, <u8>saturate(min(max(v, -32768), 32767) + zo, 255));
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

/**
 * Operations on contiguous f32 ranges of `count` elements: GELU in place, additions, and the mean
 * over rows.
 */
import { lineColumn, lineRow, lineToken } from '../window/window';
import { gelu4, geluQuick4, geluTanh4 } from './math';

/** x = GELU(x), see math.ts for the approximation and its error. */
export function gelu(x: usize, count: i32): void {
  const end = x + (<usize>count << 2);
  for (; x + 16 <= end; x += 16) v128.store(x, gelu4(v128.load(x)));
  for (; x < end; x += 4) store<f32>(x, f32x4.extract_lane(gelu4(v128.load32_splat(x)), 0));
}

/** x = GELU(x), the approximation by tanh. */
export function gelu_tanh(x: usize, count: i32): void {
  const end = x + (<usize>count << 2);
  for (; x + 16 <= end; x += 16) v128.store(x, geluTanh4(v128.load(x)));
  for (; x < end; x += 4) store<f32>(x, f32x4.extract_lane(geluTanh4(v128.load32_splat(x)), 0));
}

/** x = x·sigmoid(1.702 x). */
export function gelu_quick(x: usize, count: i32): void {
  const end = x + (<usize>count << 2);
  for (; x + 16 <= end; x += 16) v128.store(x, geluQuick4(v128.load(x)));
  for (; x < end; x += 4) store<f32>(x, f32x4.extract_lane(geluQuick4(v128.load32_splat(x)), 0));
}

/** out = a + b; out may be a or b. */
export function add(a: usize, b: usize, out: usize, count: i32): void {
  const bytes = <usize>count << 2;
  const whole = bytes & ~15;
  let k: usize = 0;
  for (; k < whole; k += 16) v128.store(out + k, f32x4.add(v128.load(a + k), v128.load(b + k)));
  for (; k < bytes; k += 4) store<f32>(out + k, load<f32>(a + k) + load<f32>(b + k));
}

/**
 * x[i] += b for each of `times` ranges that follow one another: a bias or a mask on the scores of
 * many windows.
 */
export function add_repeated(x: usize, b: usize, times: i32, count: i32): void {
  for (let i = 0; i < times; i++) {
    add(x, b, x, count);
    x += <usize>count << 2;
  }
}

/** x += y, whose rows are in window order (window.ts). x and y f32 [maps, side², width]. */
export function add_windows(
  x: usize,
  y: usize,
  maps: i32,
  side: i32,
  window: i32,
  shift: i32,
  width: i32,
): void {
  const bytes = <usize>width << 2;
  for (let map = 0; map < maps; map++) {
    for (let line = 0; line < side * (side / window); line++) {
      const row = lineRow(line, side, window, shift), column = lineColumn(line, side, window, shift);
      for (let i = 0; i < window; i++) {
        const at = x + <usize>lineToken(row, column, i, side) * bytes;
        add(at, y, at, width);
        y += bytes;
      }
    }
    x += <usize>(side * side) * bytes;
  }
}

/** y = Σ_rows x / rows for each of `maps`; x f32 [maps, rows, width], y f32 [maps, width]. */
export function pool(x: usize, y: usize, maps: i32, rows: i32, width: i32): void {
  const bytes = <usize>width << 2;
  for (let map = 0; map < maps; map++) {
    memory.copy(y, x, bytes);
    x += bytes;
    for (let m = 1; m < rows; m++) {
      add(y, x, y, width);
      x += bytes;
    }
    for (let k: usize = 0; k < bytes; k += 4) store<f32>(y + k, load<f32>(y + k) / <f32>rows);
    y += bytes;
  }
}

/**
 * LayerNorm in f32: y = (x - μ) / √(σ² + eps) · γ + β over the `width` channels of every row.
 *
 * Layout: x [rows, width] with a row every `ldx` elements, y [rows, width] contiguous, γ and β
 * [width]. In place (y = x) is allowed when ldx = width. The variance is taken around the mean (two
 * passes), so nothing is lost where |μ| is much larger than σ.
 */
import { gatherPatch, lineColumn, lineRow, lineToken } from '../window/window';
import { sum4 } from './math';

export function layernorm(
  x: usize,
  ldx: i32,
  gamma: usize,
  beta: usize,
  y: usize,
  rows: i32,
  width: i32,
  eps: f32,
): void {
  for (let m = 0; m < rows; m++) {
    normaliseRow(x, gamma, beta, y, width, eps);
    x += <usize>ldx << 2;
    y += <usize>width << 2;
  }
}

/**
 * y = LayerNorm(x), its rows in window order (window.ts). x and y f32 [maps, side², width], not in
 * place.
 */
export function layernorm_windows(
  x: usize,
  gamma: usize,
  beta: usize,
  y: usize,
  maps: i32,
  side: i32,
  window: i32,
  shift: i32,
  width: i32,
  eps: f32,
): void {
  const bytes = <usize>width << 2;
  for (let map = 0; map < maps; map++) {
    for (let line = 0; line < side * (side / window); line++) {
      const row = lineRow(line, side, window, shift), column = lineColumn(line, side, window, shift);
      for (let i = 0; i < window; i++) {
        normaliseRow(x + <usize>lineToken(row, column, i, side) * bytes, gamma, beta, y, width, eps);
        y += bytes;
      }
    }
    x += <usize>(side * side) * bytes;
  }
}

/**
 * LayerNorm of the 4 · width channels of four merged rows (gatherPatch in window.ts).
 * Layout: x f32 [maps, side, side, width], side even; y f32 [maps, side² / 4, 4 · width]; γ and β
 * [4 · width].
 */
export function layernorm_merge(
  x: usize,
  gamma: usize,
  beta: usize,
  y: usize,
  maps: i32,
  side: i32,
  width: i32,
  eps: f32,
): void {
  const rows = (side * side) >> 2;
  const bytes = <usize>width << 2;
  for (let map = 0; map < maps; map++) {
    for (let r = 0; r < rows; r++) {
      gatherPatch(x, r, side, bytes, y);
      normaliseRow(y, gamma, beta, y, width << 2, eps);
      y += bytes << 2;
    }
    x += <usize>(side * side) * bytes;
  }
}

// @ts-ignore: decorator
@inline
function normaliseRow(x: usize, gamma: usize, beta: usize, y: usize, width: i32, eps: f32): void {
  const bytes = <usize>width << 2;
  const whole = bytes & ~15;
  const mean = rowSum(x, whole, bytes) / <f32>width;
  const deviation = Mathf.sqrt(rowSquares(x, whole, bytes, mean) / <f32>width + eps);
  const inverse: f32 = 1 / deviation;
  const mean4 = f32x4.splat(mean);
  const inverse4 = f32x4.splat(inverse);
  let k: usize = 0;
  for (; k < whole; k += 16) {
    const normal = f32x4.mul(f32x4.sub(v128.load(x + k), mean4), inverse4);
    v128.store(y + k, f32x4.add(f32x4.mul(normal, v128.load(gamma + k)), v128.load(beta + k)));
  }
  for (; k < bytes; k += 4) {
    store<f32>(y + k, (load<f32>(x + k) - mean) * inverse * load<f32>(gamma + k) + load<f32>(beta + k));
  }
}

// @ts-ignore: decorator
@inline
function rowSum(x: usize, whole: usize, bytes: usize): f32 {
  let sums = f32x4.splat(0);
  let k: usize = 0;
  for (; k < whole; k += 16) sums = f32x4.add(sums, v128.load(x + k));
  let sum = sum4(sums);
  for (; k < bytes; k += 4) sum += load<f32>(x + k);
  return sum;
}

// @ts-ignore: decorator
@inline
function rowSquares(x: usize, whole: usize, bytes: usize, mean: f32): f32 {
  let sums = f32x4.splat(0);
  const mean4 = f32x4.splat(mean);
  let k: usize = 0;
  for (; k < whole; k += 16) {
    const d = f32x4.sub(v128.load(x + k), mean4);
    sums = f32x4.add(sums, f32x4.mul(d, d));
  }
  let sum = sum4(sums);
  for (; k < bytes; k += 4) {
    const d = load<f32>(x + k) - mean;
    sum += d * d;
  }
  return sum;
}

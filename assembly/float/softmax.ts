/**
 * Softmax in f32, in place: p = exp(x - max x) / Σ exp(x - max x) over every row.
 *
 * Layout: x [rows, width] contiguous. x - max <= 0 is what exp4 asks for; the largest term is 1, so
 * the sum lies in [1, width] and the division is safe.
 */
import { exp4, sum4 } from './math';

export function softmax(x: usize, rows: i32, width: i32): void {
  const bytes = <usize>width << 2;
  for (let m = 0; m < rows; m++) {
    softmaxRow(x, bytes);
    x += bytes;
  }
}

// @ts-ignore: decorator
@inline
function softmaxRow(x: usize, bytes: usize): void {
  const whole = bytes & ~15;
  let k: usize = 0;
  let maxima = f32x4.splat(load<f32>(x));
  for (; k < whole; k += 16) maxima = f32x4.pmax(maxima, v128.load(x + k));
  for (; k < bytes; k += 4) maxima = f32x4.pmax(maxima, v128.load32_splat(x + k));
  const greatest = max(
    max(f32x4.extract_lane(maxima, 0), f32x4.extract_lane(maxima, 1)),
    max(f32x4.extract_lane(maxima, 2), f32x4.extract_lane(maxima, 3)),
  );
  const shift = f32x4.splat(greatest);
  let sums = f32x4.splat(0);
  for (k = 0; k < whole; k += 16) {
    const e = exp4(f32x4.sub(v128.load(x + k), shift));
    v128.store(x + k, e);
    sums = f32x4.add(sums, e);
  }
  let sum = sum4(sums);
  for (; k < bytes; k += 4) {
    const e = f32x4.extract_lane(exp4(f32x4.sub(v128.load32_splat(x + k), shift)), 0);
    store<f32>(x + k, e);
    sum += e;
  }
  const inverse: f32 = 1 / sum;
  const inverse4 = f32x4.splat(inverse);
  for (k = 0; k < whole; k += 16) v128.store(x + k, f32x4.mul(v128.load(x + k), inverse4));
  for (; k < bytes; k += 4) store<f32>(x + k, load<f32>(x + k) * inverse);
}

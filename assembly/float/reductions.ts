/**
 * What the calibration observers measure on a tensor: its range, and the squared error that a scale
 * would cause.
 *
 * Quantisation of x with scale s and zero point z: q = clamp(round(x/s) + z, 0, h), h the highest
 * code, x' = s (q - z); the error is Σ (x - x')². round is to nearest, ties to even. x/s is
 * computed as x · (1/s): the two differ only where x lies on the border of two codes, and there
 * both codes have the same error. Terms are f32 (24 bits), sums f64.
 */

/**
 * Writes min x and max x (two f32) of `count` >= 1 elements to `out`; a NaN anywhere makes both
 * NaN.
 */
export function min_max(x: usize, count: i32, out: usize): void {
  const end = x + (<usize>count << 2);
  let least = v128.load32_splat(x);
  let greatest = least;
  for (; x + 16 <= end; x += 16) {
    const v = v128.load(x);
    least = f32x4.min(least, v);
    greatest = f32x4.max(greatest, v);
  }
  for (; x < end; x += 4) {
    const v = v128.load32_splat(x);
    least = f32x4.min(least, v);
    greatest = f32x4.max(greatest, v);
  }
  least = f32x4.min(least, i32x4.shuffle(least, least, 2, 3, 0, 1));
  greatest = f32x4.max(greatest, i32x4.shuffle(greatest, greatest, 2, 3, 0, 1));
  least = f32x4.min(least, i32x4.shuffle(least, least, 1, 0, 3, 2));
  greatest = f32x4.max(greatest, i32x4.shuffle(greatest, greatest, 1, 0, 3, 2));
  store<f32>(out, f32x4.extract_lane(least, 0));
  store<f32>(out, f32x4.extract_lane(greatest, 0), 4);
}

/** (x - x')² of four elements. `low` = -z and `high` = h - z bound round(x/s). */
// @ts-ignore: decorator
@inline
function squaredError4(x: v128, scale: v128, inverse: v128, low: v128, high: v128): v128 {
  const code = f32x4.pmin(f32x4.pmax(f32x4.nearest(f32x4.mul(x, inverse)), low), high);
  const error = f32x4.sub(x, f32x4.mul(code, scale));
  return f32x4.mul(error, error);
}

/** Σ (x - x')² over `count` elements. */
export function squared_error(x: usize, count: i32, scale: f32, zeroPoint: i32, highest: i32): f64 {
  const s = f32x4.splat(scale);
  const inverse = f32x4.splat(<f32>1 / scale);
  const low = f32x4.splat(-(<f32>zeroPoint));
  const high = f32x4.splat(<f32>(highest - zeroPoint));
  const end = x + (<usize>count << 2);
  let even = f64x2.splat(0);
  let odd = f64x2.splat(0);
  for (; x + 16 <= end; x += 16) {
    const e = squaredError4(v128.load(x), s, inverse, low, high);
    even = f64x2.add(even, f64x2.promote_low_f32x4(e));
    odd = f64x2.add(odd, f64x2.promote_low_f32x4(i32x4.shuffle(e, e, 2, 3, 2, 3)));
  }
  even = f64x2.add(even, odd);
  let sum = f64x2.extract_lane(even, 0) + f64x2.extract_lane(even, 1);
  for (; x < end; x += 4) {
    sum += <f64>f32x4.extract_lane(squaredError4(v128.load32_splat(x), s, inverse, low, high), 0);
  }
  return sum;
}

/**
 * The same per channel with h = 255, for the choice of power-of-two factors: sums[c] += Σ_rows
 * (x[row, c] - x')².
 *
 * Layout: x f32 [rows, channels], sums f64 [channels], which the caller has cleared.
 */
export function squared_error_channels(
  x: usize,
  rows: i32,
  channels: i32,
  scale: f32,
  zeroPoint: i32,
  sums: usize,
): void {
  const s = f32x4.splat(scale);
  const inverse = f32x4.splat(<f32>1 / scale);
  const low = f32x4.splat(-(<f32>zeroPoint));
  const high = f32x4.splat(255 - <f32>zeroPoint);
  for (let m = 0; m < rows; m++) {
    let to = sums;
    let c = 0;
    for (; c <= channels - 4; c += 4) {
      const e = squaredError4(v128.load(x), s, inverse, low, high);
      v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(e)));
      const upper = f64x2.promote_low_f32x4(i32x4.shuffle(e, e, 2, 3, 2, 3));
      v128.store(to, f64x2.add(v128.load(to, 16), upper), 16);
      x += 16;
      to += 32;
    }
    for (; c < channels; c++) {
      const e = f32x4.extract_lane(squaredError4(v128.load32_splat(x), s, inverse, low, high), 0);
      store<f64>(to, load<f64>(to) + <f64>e);
      x += 4;
      to += 8;
    }
  }
}

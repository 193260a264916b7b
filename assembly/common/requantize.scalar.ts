/**
 * Requantisation: accumulator -> code of the next tensor.
 *
 *   v = round(acc · s_in·s_w / s_out) = ((acc << left) · multiplier + 2^(right-1)) >> right
 *
 * Half rounds up.
 *
 * acc: i32 at scale s_in·s_w. multiplier: i32, |multiplier| < 2^31. left: 0..15. right: 32..62.
 * No overflow: |(acc << left) · multiplier| <= 2^62 and 2^(right-1) <= 2^61, so the sum is below
 * 2^63; after the shift by at least 32 it fits i32. `left` is not 0 only where s_in·s_w/s_out >=
 * 1/2; the quantiser then proves that acc << left stays in i32.
 */
// @ts-ignore: decorator
@inline
export function requantize(acc: i32, multiplier: i32, left: i32, right: i32): i32 {
  return <i32>((<i64>(acc << left) * <i64>multiplier + (<i64>1 << <i64>(right - 1))) >> <i64>right);
}

/** Saturates to 0..high, the range of a code. */
// @ts-ignore: decorator
@inline
export function saturate(v: i32, high: i32): i32 {
  return min(max(v, 0), high);
}

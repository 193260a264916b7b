/**
 * Requantisation of four accumulators (the equation and its ranges: requantize.scalar.ts).
 *
 * The high words of the 64-bit products are shifted as 32-bit lanes by right - 32, which rounds
 * down twice to the same integer; few processors can shift 64-bit lanes arithmetically.
 */
// @ts-ignore: decorator
@inline
export function requantize(acc: v128, multiplier: v128, left: i32, right: i32): v128 {
  // nearly always 0, and a shift by a variable takes four instructions
  const a = left == 0 ? acc : i32x4.shl(acc, left);
  const half = i64x2.splat(<i64>1 << <i64>(right - 1));
  const low = i64x2.add(i64x2.extmul_low_i32x4_s(a, multiplier), half);
  const high = i64x2.add(i64x2.extmul_high_i32x4_s(a, multiplier), half);
  return i32x4.shr_s(i32x4.shuffle(low, high, 1, 3, 5, 7), right - 32);
}

/**
 * Eight requantised values + zero point as i16. Saturating twice equals saturating once: 0 <= zero
 * point <= 4095.
 */
// @ts-ignore: decorator
@inline
export function narrow(low: v128, high: v128, zeroPoint: v128): v128 {
  return i16x8.add_sat_s(i16x8.narrow_i32x4_s(low, high), zeroPoint);
}

/**
 * Mean over tokens, the same in both tiers: a ten-thousandth of a model's work.
 *
 *   out[i] = saturate(requantize(Σ_r (q[r,i] - z), multiplier) + z_out)
 *
 * The multiplier holds 1/rows.
 *
 * q: u8 codes [rows, c]. out: u8 [c]. Range: |Σ| <= 255·rows < 2^31 for 8 million rows.
 */
import { requantize, saturate } from '../common/requantize.scalar';

export function pool(
  q: usize, z: i32, multiplier: i32, left: i32, right: i32, out: usize, zo: i32, rows: i32, c: i32,
): void {
  for (let i: usize = 0; i < <usize>c; i++) {
    let sum = -rows * z;
    for (let r = 0; r < rows; r++) sum += <i32>load<u8>(q + <usize>r * <usize>c + i);
    store<u8>(out + i, <u8>saturate(requantize(sum, multiplier, left, right) + zo, 255));
  }
}

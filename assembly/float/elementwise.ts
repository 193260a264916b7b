/**
 * Operations on contiguous f32 ranges of `count` elements: GELU in place, and addition.
 */
import { gelu4 } from './math';

/** x = GELU(x), see math.ts for the approximation and its error. */
export function gelu(x: usize, count: i32): void {
  const end = x + (<usize>count << 2);
  for (; x + 16 <= end; x += 16) v128.store(x, gelu4(v128.load(x)));
  for (; x < end; x += 4) store<f32>(x, f32x4.extract_lane(gelu4(v128.load32_splat(x)), 0));
}

/** out = a + b; out may be a or b. */
export function add(a: usize, b: usize, out: usize, count: i32): void {
  const bytes = <usize>count << 2;
  const whole = bytes & ~15;
  let k: usize = 0;
  for (; k < whole; k += 16) v128.store(out + k, f32x4.add(v128.load(a + k), v128.load(b + k)));
  for (; k < bytes; k += 4) store<f32>(out + k, load<f32>(a + k) + load<f32>(b + k));
}

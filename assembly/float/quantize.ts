/**
 * What a quantiser leaves of a tensor, in place: x = s·(q - z), q = clamp(round(x/s) + z, 0, h), h
 * the highest code. Rounding as in reductions.ts.
 */
export function quantize(x: usize, count: i32, scale: f32, zeroPoint: i32, highest: i32): void {
  const s = f32x4.splat(scale), inverse = f32x4.splat(<f32>1 / scale);
  const low = f32x4.splat(-(<f32>zeroPoint)), high = f32x4.splat(<f32>(highest - zeroPoint));
  const end = x + (<usize>count << 2);
  for (; x + 16 <= end; x += 16) {
    const code = f32x4.pmin(f32x4.pmax(f32x4.nearest(f32x4.mul(v128.load(x), inverse)), low), high);
    v128.store(x, f32x4.mul(code, s));
  }
  for (; x < end; x += 4) {
    const code = min(max(nearest(load<f32>(x) * (<f32>1 / scale)), -(<f32>zeroPoint)), <f32>(highest - zeroPoint));
    store<f32>(x, code * scale);
  }
}

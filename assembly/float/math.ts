/**
 * Four-lane f32 approximations of the two transcendental functions of a Vision Transformer.
 *
 * Layout: a v128 holds four f32. Both functions are pure; no table, no memory.
 */

/**
 * exp(x) for x <= 0, by x = n ln 2 + r with |r| <= ln 2 / 2 and a degree 5 polynomial of r
 * (S. Moshier, Cephes expf, which gives the coefficients and the split of ln 2 into an exact and a small part).
 *
 * Range: below -87, where exp is 1.6e-38 and 2^n (n >= -126) still a normal number, the result is 0: what is computed
 * with subnormal numbers, as the probabilities of masked pairs would be, takes many times as long. NaN stays NaN.
 * Relative error below 2e-7 elsewhere (test/float/kernels.test.ts).
 */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.4426950408889634)));
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  let p = f32x4.splat(1.9875691500e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  p = f32x4.add(f32x4.mul(f32x4.mul(p, r), r), f32x4.add(r, f32x4.splat(1)));
  const exponent = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return v128.andnot(f32x4.mul(p, exponent), f32x4.lt(x, f32x4.splat(-87)));
}

/**
 * GELU(x) = x Φ(x) = x/2 (1 + erf(x/√2)), the exact (erf) form.
 *
 * erfc(u) for u >= 0 is t (a1 + t (a2 + …)) exp(-u²), t = 1/(1 + 0.3275911 u), absolute error 1.5e-7
 * (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26). With e = erfc(|x|/√2):
 * GELU = x/2·e where x < 0 and x - x/2·e elsewhere, which loses nothing to cancellation in the negative tail.
 * Absolute error below 1e-6 for |x| <= 10 (test/float/kernels.test.ts).
 */
// @ts-ignore: decorator
@inline
export function gelu4(x: v128): v128 {
  const u = f32x4.mul(f32x4.abs(x), f32x4.splat(0.7071067811865476));
  const t = f32x4.div(f32x4.splat(1), f32x4.add(f32x4.mul(u, f32x4.splat(0.3275911)), f32x4.splat(1)));
  let p = f32x4.splat(1.061405429);
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-1.453152027));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(1.421413741));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.284496736));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.254829592));
  const erfc = f32x4.mul(f32x4.mul(p, t), exp4(f32x4.neg(f32x4.mul(u, u))));
  const tail = f32x4.mul(f32x4.mul(x, f32x4.splat(0.5)), erfc);
  return v128.bitselect(tail, f32x4.sub(x, tail), f32x4.lt(x, f32x4.splat(0)));
}

/** The sum of the four lanes. */
// @ts-ignore: decorator
@inline
export function sum4(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/**
 * Four-lane f32 approximations of the two transcendental functions of a Vision Transformer.
 *
 * Layout: a v128 holds four f32. Both functions are pure; no table, no memory.
 */

/**
 * exp(x) for x <= 0, by x = n ln 2 + r with |r| <= ln 2 / 2 and a degree 5 polynomial of r
 * (S. Moshier, Cephes expf, which gives the coefficients and the split of ln 2 into an exact and a
 * small part).
 *
 * Range: below -87, where exp is 1.6e-38 and 2^n (n >= -126) still a normal number, the result is
 * 0: what is computed with subnormal numbers, as the probabilities of masked pairs would be, takes
 * many times as long. NaN stays NaN. Relative error below 2e-7 elsewhere
 * (test/forward/float/kernels.test.ts).
 */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  // Adding 1.5·2^23 rounds to an integer, which the lowest bits of the sum then hold: n mod 512
  const rounder = f32x4.splat(12582912);
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(1.4426950408889634)), rounder);
  const n = f32x4.sub(shifted, rounder);
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  const square = f32x4.mul(r, r);
  let p = linear4(r, 1.9875691500e-4, 1.3981999507e-3);
  p = f32x4.add(f32x4.mul(p, square), linear4(r, 8.3334519073e-3, 4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, square), linear4(r, 1.6666665459e-1, 5.0000001201e-1));
  p = f32x4.add(f32x4.mul(p, square), f32x4.add(r, f32x4.splat(1)));
  const power = i32x4.add(i32x4.shl(shifted, 23), f32x4.splat(1));
  return v128.andnot(f32x4.mul(p, power), f32x4.lt(x, f32x4.splat(-87)));
}

/**
 * GELU(x) = x Φ(x), the exact (erf) form, as max(x, 0) - |x| Φ(-|x|), which loses nothing to
 * cancellation in the negative tail.
 *
 * Φ(-u) for u >= 0 is p(u)^-8 (after Abramowitz and Stegun, Handbook of Mathematical Functions,
 * 7.1.28, a polynomial to the power -16), and 0 where the power overflows. p is the polynomial of
 * degree 9 with the least greatest error of u p(u)^-8 on [0, 5], 8e-9, found by Lawson's iteration;
 * it is positive everywhere. One division and no exponential.
 * Absolute error below 3e-7 for |x| <= 10, most of it rounding
 * (test/forward/float/kernels.test.ts).
 */
// @ts-ignore: decorator
@inline
export function gelu4(x: v128): v128 {
  const u = f32x4.abs(x);
  const square = f32x4.mul(u, u);
  let p = linear4(u, 4.2406582e-7, -2.9681721e-6);
  p = f32x4.add(f32x4.mul(p, square), linear4(u, 1.8613460e-5, -1.1274297e-5));
  p = f32x4.add(f32x4.mul(p, square), linear4(u, 3.3890632e-4, 8.3336609e-4));
  p = f32x4.add(f32x4.mul(p, square), linear4(u, 9.5147264e-3, 4.8796260e-2));
  p = f32x4.add(f32x4.mul(p, square), linear4(u, 1.0876510e-1, 1.0905076));
  p = f32x4.mul(p, p);
  p = f32x4.mul(p, p);
  p = f32x4.mul(p, p);
  return f32x4.sub(f32x4.pmax(x, f32x4.splat(0)), f32x4.div(u, p));
}

/**
 * GELU by tanh (Hendrycks and Gimpel 2016): 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))), which is
 * x·sigmoid of twice that argument.
 */
// @ts-ignore: decorator
@inline
export function geluTanh4(x: v128): v128 {
  const cubic = linear4(f32x4.mul(x, x), 0.07135481627260025, 1.5957691216057308);
  return gated4(x, f32x4.mul(x, cubic));
}

/** The sigmoid form of GELU (Hendrycks and Gimpel 2016): x·sigmoid(1.702 x). */
// @ts-ignore: decorator
@inline
export function geluQuick4(x: v128): v128 {
  return gated4(x, f32x4.mul(x, f32x4.splat(1.702)));
}

/**
 * x·sigmoid(t) for t of x's sign. With e = exp(-|t|) <= 1 sigmoid is 1 / (1 + e) where t >= 0 and e
 * / (1 + e) below.
 */
// @ts-ignore: decorator
@inline
function gated4(x: v128, t: v128): v128 {
  const e = exp4(f32x4.neg(f32x4.abs(t)));
  const one = f32x4.splat(1);
  const numerator = v128.bitselect(e, one, f32x4.lt(t, f32x4.splat(0)));
  return f32x4.mul(x, f32x4.div(numerator, f32x4.add(one, e)));
}

/**
 * a x + b: pairs of a polynomial's terms, which do not wait for one another as those of Horner's
 * scheme do.
 */
// @ts-ignore: decorator
@inline
function linear4(x: v128, a: f32, b: f32): v128 {
  return f32x4.add(f32x4.mul(x, f32x4.splat(a)), f32x4.splat(b));
}

/** The sum of the four lanes. */
// @ts-ignore: decorator
@inline
export function sum4(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

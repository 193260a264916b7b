/**
 * floor(√(v · 2^even)), even = the leading zeros of v rounded down to even: v fills 63 or 64 bits,
 * so the root has 32 bits and keeps them all, however small the variance.
 * v = 0 (a row of equal values) is taken as 1; the numerators of that row are 0.
 *
 * Newton's method from above: the sequence falls until it reaches the floor. It starts on a tangent
 * of the root, √m <= 2/3 + 3m/8 for m = n/2^62 in 1..4, at most 8 % above, which saves divisions.
 */
export function normalisedRoot(v: u64, even: i32): u64 {
  const n = (v | u64(v == 0)) << <u64>even;
  let x = min<u64>((n >> 33) + (n >> 34) + 1431655768, 0xffffffff);
  let y = (x + n / x) >> 1;
  while (y < x) {
    x = y;
    y = (x + n / x) >> 1;
  }
  return x;
}

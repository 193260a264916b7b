/** The equations of the integer kernels, in arithmetic that cannot overflow: BigInt, or doubles where they are exact. */

/** round(acc · multiplier · 2^(left - right)) + zero, half up, saturated to 0..high. */
export function requantised(
  acc: number,
  { multiplier, left, right }: { multiplier: number; left: number; right: number },
  zero: number,
  high: number,
): number {
  const product = BigInt(acc) * BigInt(multiplier) * 2n ** BigInt(left);
  return saturated(roundedShift(product, right) + BigInt(zero), high);
}

/** round(x / 2^shift), half up. */
export function roundedShift(x: bigint, shift: number): bigint {
  return (2n * x + 2n ** BigInt(shift)) >> BigInt(shift + 1);
}

export function saturated(x: bigint, high = 255): number {
  if (x < 0n) return 0;
  return x > BigInt(high) ? high : Number(x);
}

/** round(a / b) of a >= 0 and b > 0, half up. */
export function roundedRatio(a: bigint, b: bigint): bigint {
  return (2n * a + b) / (2n * b);
}

/** floor(√x). */
export function squareRoot(x: bigint): bigint {
  let low = 0n;
  let high = 2n ** 33n;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle * middle <= x) low = middle;
    else high = middle;
  }
  return low;
}

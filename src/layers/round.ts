// Looked up once: the global object is slow in the module sandboxes of some hosts.
const { floor, max, min } = Math;

/** Rounds half to even, like torch and numpy. */
export function roundHalfEven(x: number): number {
  const below = floor(x);
  const rest = x - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1;
  return below % 2 === 0 ? below : below + 1;
}

export function clamp(x: number, low: number, high: number): number {
  return min(max(x, low), high);
}

/** The affine code of a real number: clamp(round(x/scale) + zeroPoint, 0, highest). */
export function affineCode(
  x: number,
  { scale, zeroPoint }: { scale: number; zeroPoint: number },
  highest = 255,
): number {
  return clamp(roundHalfEven(x / scale) + zeroPoint, 0, highest);
}

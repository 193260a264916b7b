/** Round half to even, as torch and numpy round. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

export function clamp(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high);
}

/** The affine code of a real number: clamp(round(x/scale) + zeroPoint, 0, 255). */
export function affineCode(x: number, { scale, zeroPoint }: { scale: number; zeroPoint: number }): number {
  return clamp(roundHalfEven(x / scale) + zeroPoint, 0, 255);
}

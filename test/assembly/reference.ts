/**
 * The equations of the integer kernels without overflow: in BigInt, or in doubles where they are
 * exact.
 */

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

/** round(a / b) for a >= 0 and b > 0, half up. */
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

/** The codes of `c` channels of these tokens, one token after the other. */
export function tokensOf(map: Uint8Array, tokens: readonly number[], c: number): Uint8Array {
  return Uint8Array.from(tokens.flatMap((token) => Array.from(map.subarray(token * c, (token + 1) * c))));
}

/** Swin's `window_partition(roll(map, (-shift, -shift)))`: the tokens of each window in turn. */
export function windowOrder({ side, window, shift }: Windows): number[] {
  const rolled = rolledBack(tokenMap(side), shift).map((row) => rolledBack(row, shift));
  const order: number[] = [];
  for (let top = 0; top < side; top += window)
    for (let left = 0; left < side; left += window)
      for (const row of rolled.slice(top, top + window)) order.push(...row.slice(left, left + window));
  return order;
}

/** Windows of window × window tokens on a map of side × side tokens, shifted by `shift`. */
export interface Windows {
  side: number;
  window: number;
  shift: number;
}

const rolledBack = <T>(list: T[], shift: number) => [...list.slice(shift), ...list.slice(0, shift)];

const tokenMap = (side: number) =>
  Array.from({ length: side }, (_, y) => Array.from({ length: side }, (_, x) => y * side + x));

/**
 * Swin's `PatchMerging`, cat(x[0::2, 0::2], x[1::2, 0::2], x[0::2, 1::2], x[1::2, 1::2]): four
 * tokens per merged patch.
 */
export function mergeOrder(side: number): number[] {
  const everySecond = <T>(list: T[], from: number) => list.filter((_, i) => i % 2 === from);
  const quarters = [[0, 0] as const, [1, 0] as const, [0, 1] as const, [1, 1] as const].map(([y, x]) =>
    everySecond(tokenMap(side), y).flatMap((row) => everySecond(row, x)),
  );
  return quarters[0]!.flatMap((_, patch) => quarters.map((quarter) => quarter[patch]!));
}

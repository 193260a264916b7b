/** Fixed-point parameters of an addition (the kernel's equation: assembly/add/add.scalar.ts). */
export interface AdditionParameters {
  /** i32 `[2, C]`: the multipliers of a, then those of b, in Q(shift). */
  readonly multipliers: Int32Array;
  readonly shift: number;
}

/**
 * A tensor's scale: one for all channels, s·2^α[c] for channel c with power-of-two factors, or one
 * per channel.
 */
export interface ChannelScale {
  readonly scale: number;
  readonly factors?: Uint8Array | undefined;
  readonly scales?: Float64Array | undefined;
}

/** The scale of channel c. */
export function scaleOf({ scale, factors, scales }: ChannelScale, c: number): number {
  return scales?.[c] ?? scale * 2 ** (factors?.[c] ?? 0);
}

/**
 * Beyond this, one code of an input saturates the output anyway (two such inputs cancel only by
 * chance).
 */
const MAX_RATIO = 2 ** 16;

/**
 * Multipliers s_a/s_out and s_b/s_out of each channel, with the most bits that keep
 * 255·(|ma| + |mb|) in i32.
 */
export function additionParameters(
  a: ChannelScale,
  b: ChannelScale,
  out: ChannelScale,
  channels: number,
): AdditionParameters {
  const ratios = (from: ChannelScale) =>
    Array.from({ length: channels }, (_, c) => Math.min(scaleOf(from, c) / scaleOf(out, c), MAX_RATIO));
  const ra = ratios(a);
  const rb = ratios(b);
  const largest = Math.max(...ra.map((r, c) => 255 * (r + rb[c]!)));
  const shift = Math.min(Math.max(Math.floor(Math.log2((2 ** 31 - 1024) / (largest + 0.5))), 1), 30);
  return { multipliers: Int32Array.from([...ra, ...rb], (r) => Math.round(r * 2 ** shift)), shift };
}

import { clamp } from '../round.js';

/**
 * Bits of the truncated mantissa M of a gain, A ≈ M / 2^N. The paper's authors truncate to 8 and
 * note that more are better. With 10, the output codes stay closest to theirs, and the gain is off
 * by 0.07 % on average.
 */
export const PAPER_MANTISSA = 10;
/** All bits of the kernel's gain. */
export const FULL_MANTISSA = 31;

/**
 * Fixed-point parameters of an integer LayerNorm (the kernel's equation:
 * assembly/layernorm/layernorm.scalar.ts).
 */
export interface LayerNormParameters {
  /** i32 `[C]`: γ/s_out in Q(shift - 12). */
  readonly gain: Int32Array;
  /** i32 `[C]`: β/s_out in Q12. */
  readonly bias: Int32Array;
  readonly shift: number;
}

/**
 * γ and β over the output scale. Both are clamped to 2^18 codes (γ by √C, the largest |x̂|), a
 * thousand times more than an output code can hold, so that the kernel's sum stays in i32.
 */
export function layerNormParameters(
  gamma: Float32Array,
  beta: Float32Array,
  outScale: number,
  mantissaBits = PAPER_MANTISSA,
): LayerNormParameters {
  const limit = 2 ** 18;
  const gainLimit = limit / Math.sqrt(gamma.length);
  const gains = Array.from(gamma, (g) =>
    truncateMantissa(clamp(g / outScale, -gainLimit, gainLimit), mantissaBits),
  );
  const largest = Math.max(...gains.map(Math.abs), 2 ** -20);
  const fraction = 30 - Math.floor(Math.log2(largest));
  const shift = Math.min(fraction + 12, 62);
  return {
    gain: Int32Array.from(gains, (g) => clamp(Math.round(g * 2 ** (shift - 12)), -0x7fffffff, 0x7fffffff)),
    bias: Int32Array.from(beta, (b) => Math.round(clamp(b / outScale, -limit, limit) * 4096)),
    shift,
  };
}

function truncateMantissa(x: number, bits: number): number {
  if (x === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - bits + 1);
  return Math.trunc(x / unit) * unit;
}

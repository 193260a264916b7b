import type { Moments } from './moments.js';
import { clamp } from './round.js';

/** The widest weights that gain from error feedback: at 7 bits rounding to nearest does as well (docs/widths.md). */
export const FEEDBACK_BITS = 6;

/** Part of the mean variance that every input is given on top, against what the sample does not show. */
const DAMPING = 0.01;

/** Parts of max|w| that the range of a channel is tried at. */
const SHRINKS = Array.from({ length: 36 }, (_, i) => 1 - 0.02 * i);

/**
 * Rounds the weights w of one output channel at a time so that the layer's output errs least, not the weights: GPTQ (arXiv
 * 2210.17323) in the form of LDLQ (arXiv 2307.13304, which proves them the same; no inverse is needed).
 *
 * With e = w - s·q the squared error of the output, beyond its mean, is e·H·eᵀ, H the covariance of the inputs. The mean goes into
 * the bias. H = U·D·Uᵀ with U unit upper triangular turns it into
 *
 *   e·H·eᵀ = Σ_k D_k · (e_k + Σ_{j<k} e_j·U_jk)²
 *
 * so weight k should be rounded with what the weights before it did wrong: q_k = round((w_k + Σ_{j<k} e_j·U_jk) / s). What is
 * left of term k is then the rounding of this one number. Inputs of large variance come first, since their D_k is what those
 * behind them cannot make up for.
 */
export class ErrorFeedback {
  /** Inputs, by falling variance. */
  readonly #order: Uint32Array;
  /** f64 `[C, C]`: U_jk at row k, column j < k. */
  readonly #gains: Float64Array;
  /** D, `[C]`. */
  readonly #weights: Float64Array;
  readonly #mean: Float64Array;
  /** e of the weights rounded so far, in order. */
  readonly #errors: Float64Array;

  /** @param inputScale of the input's codes: their rounding is noise of variance s²/12, apart from one input to the next */
  constructor(moments: Moments, inputScale: number) {
    const { mean } = moments;
    const width = mean.length;
    const covariance = moments.covariance();
    const variance = (i: number) => covariance[i * width + i]!;
    const order = Uint32Array.from(mean.keys()).sort((a, b) => variance(b) - variance(a) || a - b);
    const total = mean.reduce((sum, _, i) => sum + variance(i), 0);
    const noise = inputScale ** 2 / 12 + (DAMPING * total) / width;
    const lower = new Float64Array(width * width);
    for (let k = 0; k < width; k++) {
      for (let j = 0; j <= k; j++) {
        const [a, b] = [order[k]!, order[j]!];
        lower[k * width + j] = covariance[Math.min(a, b) * width + Math.max(a, b)]!;
      }
      lower[k * width + k]! += noise;
    }
    this.#weights = factorise(lower, width);
    this.#gains = lower;
    this.#order = order;
    this.#mean = mean;
    this.#errors = new Float64Array(width);
  }

  /**
   * The scale for the weights of a channel: of some parts of max|w| the one that leaves least of Σ D_k·(w_k - s·q_k)² when each is
   * rounded by itself, which stands in for the error after feedback at a thousandth of the work.
   *
   * @param range max|w|
   * @param half 2^(bits - 1)
   */
  scale(weights: Float32Array, range: number, half: number): number {
    let best = range / (half - 0.5);
    let least = Number.POSITIVE_INFINITY;
    for (const shrink of SHRINKS) {
      const scale = (shrink * range) / (half - 0.5);
      let error = 0;
      for (let k = 0; k < weights.length; k++) {
        const w = weights[this.#order[k]!]!;
        error += this.#weights[k]! * (w - scale * clamp(Math.round(w / scale), -half, half - 1)) ** 2;
      }
      if (error >= least) continue;
      least = error;
      best = scale;
    }
    return best;
  }

  /**
   * Writes the codes of one output channel.
   *
   * @returns what its bias gains: the mean of the output that the codes lose
   */
  round(weights: Float32Array, scale: number, half: number, codes: Int8Array): number {
    const width = weights.length;
    const errors = this.#errors;
    const gains = this.#gains;
    let shift = 0;
    for (let k = 0; k < width; k++) {
      const input = this.#order[k]!;
      const w = weights[input]!;
      const fed = dot(errors, gains, k * width, k);
      const code = clamp(Math.round((w + fed) / scale), -half, half - 1);
      codes[input] = code;
      errors[k] = w - scale * code;
      shift += errors[k]! * this.#mean[input]!;
    }
    return shift;
  }
}

/** Σ_{j<count} a[j]·b[at + j], in four sums. */
function dot(a: Float64Array, b: Float64Array, at: number, count: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    s0 += a[j]! * b[at + j]!;
    s1 += a[j + 1]! * b[at + j + 1]!;
    s2 += a[j + 2]! * b[at + j + 2]!;
    s3 += a[j + 3]! * b[at + j + 3]!;
  }
  for (; j < count; j++) s0 += a[j]! * b[at + j]!;
  return s0 + s1 + (s2 + s3);
}

/**
 * H = U·D·Uᵀ in place, from the last input to the first.
 *
 * @param lower H, f64 `[C, C]`, only the lower triangle; U_jk at row k, column j < k afterwards
 * @returns D
 */
function factorise(lower: Float64Array, width: number): Float64Array {
  const diagonal = new Float64Array(width);
  for (let k = width - 1; k >= 0; k--) {
    const row = lower.subarray(k * width, k * width + k);
    const d = lower[k * width + k]!;
    diagonal[k] = d;
    for (let i = 0; i < k; i++) {
      const gain = row[i]! / d;
      if (gain === 0) continue;
      const at = i * width;
      for (let j = 0; j <= i; j++) lower[at + j]! -= gain * row[j]!;
    }
    for (let i = 0; i < k; i++) row[i]! /= d;
  }
  return diagonal;
}

import { clamp } from '../round.js';
import type { Moments } from './moments.js';

/**
 * The widest weights that gain from error feedback: at 7 bits rounding to nearest does as well
 * (docs/widths.md).
 */
export const FEEDBACK_BITS = 6;

/** Part of the mean variance that is added to every input's, for what the sample does not show. */
const DAMPING = 0.01;

/** Rows of H that are processed together, while they are in the cache. */
const BLOCK = 16;

/** Parts of max|w| that are tried as the range of a channel. */
const SHRINKS = Array.from({ length: 36 }, (_, i) => 1 - 0.02 * i);

/**
 * Rounds the weights w of each output channel for the least error of the layer's output, not of the
 * weights: GPTQ (arXiv 2210.17323) in the form of LDLQ (arXiv 2307.13304, which proves them equal
 * and needs no inverse).
 *
 * With e = w - s·q the squared error of the output, beyond its mean, is e·H·eᵀ, H the covariance of
 * the inputs. The mean goes into the bias. H = U·D·Uᵀ with U unit upper triangular turns it into
 *
 *   e·H·eᵀ = Σ_k D_k · (e_k + Σ_{j<k} e_j·U_jk)²
 *
 * so weight k is rounded together with the errors of the weights before it:
 * q_k = round((w_k + Σ_{j<k} e_j·U_jk) / s). Term k then only holds the rounding of this one
 * number. Inputs of large variance come first, because later inputs cannot make up for their D_k.
 */
export class ErrorFeedback {
  /** Inputs, by falling variance. */
  readonly #order: Uint32Array;
  /** f64 `[C, C]`: U_jk at row k, column j < k. */
  readonly #gains: Float64Array;
  /** D, `[C]`. */
  readonly #weights: Float64Array;
  readonly #mean: Float64Array;

  /**
   * @param inputScale of the input's codes, whose rounding is independent noise of variance s²/12
   */
  constructor(moments: Moments, inputScale: number) {
    const { mean } = moments;
    const width = mean.length;
    const covariance = moments.covariance();
    const variance = (i: number) => covariance[i * width + i]!;
    const order = Uint32Array.from(mean.keys()).sort((a, b) => variance(b) - variance(a) || a - b);
    const total = mean.reduce((sum, _, i) => sum + Math.max(variance(i), 0), 0);
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
    // Every D is at least the noise. If one is not, the means are so much larger than the variances
    // that the latter are rounding errors: then each weight is rounded on its own.
    if (this.#weights.some((d) => !(d >= noise / 2))) {
      lower.fill(0);
      this.#weights.fill(1);
    }
    this.#gains = lower;
    this.#order = order;
    this.#mean = mean;
  }

  /**
   * The scale for the weights of a channel: the part of max|w| with the least Σ D_k·(w_k - s·q_k)²
   * when each weight is rounded on its own. This approximates the error after feedback at a
   * thousandth of the work.
   *
   * @param range max|w|
   * @param half 2^(bits - 1)
   */
  scale(weights: Float32Array, range: number, half: number): number {
    const ordered = new Float64Array(weights.length);
    for (let k = 0; k < ordered.length; k++) ordered[k] = weights[this.#order[k]!]!;
    let best = range / (half - 0.5);
    let least = Number.POSITIVE_INFINITY;
    for (const shrink of SHRINKS) {
      const scale = (shrink * range) / (half - 0.5);
      const error = roundingError(ordered, this.#weights, scale, half);
      if (error >= least) continue;
      least = error;
      best = scale;
    }
    return best;
  }

  /**
   * Writes the codes of a layer.
   *
   * @param weights `[out, in]`  @param scales `[out]`  @param codes `[out, in]`
   * @returns the correction of each channel's bias: the mean of the output that the codes lose
   */
  round(weights: Float32Array, scales: Float64Array, half: number, codes: Int8Array): Float64Array {
    const width = this.#order.length;
    const order = this.#order;
    const gains = this.#gains;
    const shifts = new Float64Array(scales.length);
    // four channels at a time, their e_j at 4j, so that a gain is read once for four sums
    const errors = new Float64Array(4 * width);
    for (let first = 0; first < scales.length; first += 4) {
      const channels = Math.min(4, scales.length - first);
      for (let k = 0; k < width; k++) {
        let fed0 = 0;
        let fed1 = 0;
        let fed2 = 0;
        let fed3 = 0;
        for (let j = 0; j < k; j++) {
          const gain = gains[k * width + j]!;
          fed0 += gain * errors[4 * j]!;
          fed1 += gain * errors[4 * j + 1]!;
          fed2 += gain * errors[4 * j + 2]!;
          fed3 += gain * errors[4 * j + 3]!;
        }
        const fed = [fed0, fed1, fed2, fed3];
        const input = order[k]!;
        for (let lane = 0; lane < channels; lane++) {
          const at = (first + lane) * width + input;
          const scale = scales[first + lane]!;
          const code = clamp(Math.round((weights[at]! + fed[lane]!) / scale), -half, half - 1);
          const error = weights[at]! - scale * code;
          codes[at] = code;
          errors[4 * k + lane] = error;
          shifts[first + lane]! += error * this.#mean[input]!;
        }
      }
    }
    return shifts;
  }
}

/** Σ D_k·(w_k - s·q_k)² with each w_k rounded on its own. */
function roundingError(w: Float64Array, d: Float64Array, scale: number, half: number): number {
  let sum = 0;
  for (let k = 0; k < w.length; k++) {
    const residue = w[k]! - scale * clamp(Math.round(w[k]! / scale), -half, half - 1);
    sum += d[k]! * residue * residue;
  }
  return sum;
}

/**
 * H = U·D·Uᵀ in place, from the last input to the first: D_k is the remainder of H_kk,
 * U_jk = H_jk / D_k, and U_ik·D_k·U_jk is subtracted from every H_ij with i, j < k. Works in blocks
 * of rows, so that a row above the block is fetched once.
 *
 * @param lower H, f64 `[C, C]`, only the lower triangle; U_jk at row k, column j < k afterwards
 * @returns D
 */
function factorise(lower: Float64Array, width: number): Float64Array {
  const diagonal = new Float64Array(width);
  for (let end = width; end > 0; end -= BLOCK) {
    const start = Math.max(0, end - BLOCK);
    for (let k = end - 1; k >= start; k--) {
      diagonal[k] = lower[k * width + k]!;
      for (let i = start; i < k; i++) reduce(lower, width, i, k, diagonal[k]!);
    }
    for (let i = 0; i < start; i++) {
      for (let k = end - 1; k >= start; k--) reduce(lower, width, i, k, diagonal[k]!);
    }
    for (let k = start; k < end; k++) {
      for (let j = 0; j < k; j++) lower[k * width + j]! /= diagonal[k]!;
    }
  }
  return diagonal;
}

/** Subtracts U_ik·D_k·U_jk from every H_ij of row i < k. */
function reduce(lower: Float64Array, width: number, i: number, k: number, d: number): void {
  const to = i * width;
  const from = k * width;
  const gain = lower[from + i]! / d;
  for (let j = 0; j <= i; j++) lower[to + j]! -= gain * lower[from + j]!;
}

import type { Moments } from './moments.js';
import { clamp } from './round.js';

/** The widest weights that gain from error feedback: at 7 bits rounding to nearest does as well (docs/widths.md). */
export const FEEDBACK_BITS = 6;

/** Part of the mean variance that every input is given on top, against what the sample does not show. */
const DAMPING = 0.01;

/** Rows that are worked on together, while they are in the cache. */
const BLOCK = 16;

/** Parts of max|w| that the range of a channel is tried at. */
const SHRINKS = Array.from({ length: 36 }, (_, i) => 1 - 0.02 * i);

/**
 * Rounds the weights w of each output channel so that the layer's output errs least, not the weights: GPTQ (arXiv
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

  /** @param inputScale of the input's codes: their rounding is noise of variance s²/12, apart from one input to the next */
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
    // Every D is at least the noise; where one is not, the means are so large beside the variances that these are rounding alone:
    // then each weight is rounded for itself.
    if (this.#weights.some((d) => !(d >= noise / 2))) {
      lower.fill(0);
      this.#weights.fill(1);
    }
    this.#gains = lower;
    this.#order = order;
    this.#mean = mean;
  }

  /**
   * The scale for the weights of a channel: of some parts of max|w| the one that leaves least of Σ D_k·(w_k - s·q_k)² when each is
   * rounded by itself, which stands in for the error after feedback at a thousandth of the work.
   *
   * @param range max|w|
   * @param half 2^(bits - 1)
   */
  scale(weights: Float32Array, range: number, half: number): number {
    const ordered = Float64Array.from(this.#order, (input) => weights[input]!);
    let best = range / (half - 0.5);
    let least = Number.POSITIVE_INFINITY;
    for (const shrink of SHRINKS) {
      const scale = (shrink * range) / (half - 0.5);
      let error = 0;
      for (let k = 0; k < ordered.length; k++) {
        const w = ordered[k]!;
        error += this.#weights[k]! * (w - scale * clamp(Math.round(w / scale), -half, half - 1)) ** 2;
      }
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
   * @returns what the bias of each channel gains: the mean of the output that the codes lose
   */
  round(weights: Float32Array, scales: Float64Array, half: number, codes: Int8Array): Float64Array {
    const shifts = new Float64Array(scales.length);
    const errors = new Float64Array(BLOCK * this.#order.length);
    for (let first = 0; first < scales.length; first += BLOCK) {
      this.#roundBlock(
        first,
        Math.min(first + BLOCK, scales.length),
        weights,
        scales,
        half,
        codes,
        errors,
        shifts,
      );
    }
    return shifts;
  }

  /** The channels from `first` to `end` - 1 side by side: each row of gains is read once for all of them. */
  #roundBlock(
    first: number,
    end: number,
    weights: Float32Array,
    scales: Float64Array,
    half: number,
    codes: Int8Array,
    errors: Float64Array,
    shifts: Float64Array,
  ): void {
    const width = this.#order.length;
    for (let k = 0; k < width; k++) {
      const input = this.#order[k]!;
      for (let o = first; o < end; o++) {
        const at = (o - first) * width;
        const w = weights[o * width + input]!;
        const fed = dot(errors, at, this.#gains, k * width, k);
        const code = clamp(Math.round((w + fed) / scales[o]!), -half, half - 1);
        codes[o * width + input] = code;
        const error = w - scales[o]! * code;
        errors[at + k] = error;
        shifts[o]! += error * this.#mean[input]!;
      }
    }
  }
}

/** Σ_{j<count} a[atA + j]·b[atB + j], in four sums. */
function dot(a: Float64Array, atA: number, b: Float64Array, atB: number, count: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    s0 += a[atA + j]! * b[atB + j]!;
    s1 += a[atA + j + 1]! * b[atB + j + 1]!;
    s2 += a[atA + j + 2]! * b[atB + j + 2]!;
    s3 += a[atA + j + 3]! * b[atB + j + 3]!;
  }
  for (; j < count; j++) s0 += a[atA + j]! * b[atB + j]!;
  return s0 + s1 + (s2 + s3);
}

/**
 * H = U·D·Uᵀ in place, from the last input to the first: D_k is what is left of H_kk, U_jk = H_jk / D_k, and every H_ij with i, j < k
 * loses U_ik·D_k·U_jk. In blocks of rows, so that a row above the block is fetched once for all of it.
 *
 * @param lower H, f64 `[C, C]`, only the lower triangle; U_jk at row k, column j < k afterwards
 * @returns D
 */
function factorise(lower: Float64Array, width: number): Float64Array {
  const diagonal = new Float64Array(width);
  /** Takes what row k stands for out of row i < k. */
  const reduce = (i: number, k: number) => {
    const [to, from] = [i * width, k * width];
    const gain = lower[from + i]! / diagonal[k]!;
    for (let j = 0; j <= i; j++) lower[to + j]! -= gain * lower[from + j]!;
  };
  for (let end = width; end > 0; end -= BLOCK) {
    const start = Math.max(0, end - BLOCK);
    for (let k = end - 1; k >= start; k--) {
      diagonal[k] = lower[k * width + k]!;
      for (let i = start; i < k; i++) reduce(i, k);
    }
    for (let i = 0; i < start; i++) for (let k = end - 1; k >= start; k--) reduce(i, k);
    for (let k = start; k < end; k++) {
      for (let j = 0; j < k; j++) lower[k * width + j]! /= diagonal[k]!;
    }
  }
  return diagonal;
}

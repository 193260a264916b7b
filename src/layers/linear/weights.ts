import type { WeightBits } from '../../checkpoint/integer/description.js';
import { clamp, roundHalfEven } from '../round.js';
import type { ErrorFeedback } from './feedback.js';

const { abs, fround, max } = Math;

export interface QuantizedWeights {
  /** int8 `[out, in]`. */
  readonly codes: Int8Array;
  /** One scale per output channel, `[out]`. */
  readonly scales: Float32Array;
}

/**
 * Symmetric min-max quantisation of weights, per output channel: s = max|w| / (2^(b-1) - 1/2),
 * code = clamp(round(w/s), -2^(b-1), 2^(b-1) - 1). In f32 arithmetic, like the paper's
 * authors. A channel of zeros gets scale 1.
 *
 * @param weight `[out, in]`, row-major
 * @param bits b. Default 8, as in the paper
 */
export function quantizeWeights(weight: Float32Array, out: number, bits: WeightBits = 8): QuantizedWeights {
  const half = 2 ** (bits - 1);
  const inputs = weight.length / out;
  const codes = new Int8Array(weight.length);
  const scales = new Float32Array(out);
  for (let o = 0; o < out; o++) {
    const row = weight.subarray(o * inputs, (o + 1) * inputs);
    let range = 0;
    for (const w of row) range = max(range, abs(w));
    const scale = fround(range / (half - 0.5)) || 1;
    scales[o] = scale;
    for (let i = 0; i < inputs; i++) {
      codes[o * inputs + i] = clamp(roundHalfEven(fround(row[i]! / scale)), -half, half - 1);
    }
  }
  return { codes, scales };
}

/**
 * Channels whose weights are this much smaller than the layer's largest add nothing to an 8-bit
 * code.
 */
const LEAST_RATIO = 2 ** -20;
/** Largest bias, in units of the accumulator. */
export const MAX_BIAS = 2 ** 30;

export interface LinearCodes {
  /** int8 `[out, in]`. */
  readonly codes: Int8Array;
  /** One scale per output channel, `[out]`. */
  readonly scales: Float64Array;
  /** The bias, including the correction of error feedback, `[out]`. */
  readonly bias: Float64Array;
}

/**
 * The weights of a linear layer, rounded to nearest (`quantizeWeights`) or with error feedback.
 * Dead channels are an exception: their weights are all (nearly) zero, as weight decay leaves many,
 * and only their bias matters. Their own scale would be too coarse or too fine to hold the bias in
 * units of s_in·s_w, or for a multiplier next to the others. Any scale will do for them.
 *
 * @param weight `[out, in]`, row-major
 * @param bias `[out]`
 * @param inputScale s_in
 * @param outputScale s_out, used if the whole layer is zero
 * @param bits of a code
 * @param feedback of the layer's inputs; without it, weights are rounded to nearest
 */
export function linearCodes(
  weight: Float32Array,
  bias: Float32Array,
  inputScale: number,
  outputScale: number,
  bits: WeightBits,
  feedback?: ErrorFeedback,
): LinearCodes {
  const out = bias.length;
  const inputs = weight.length / out;
  const { codes, scales: own } = quantizeWeights(weight, out, bits);
  const half = 2 ** (bits - 1);
  const channel = (o: number) => codes.subarray(o * inputs, (o + 1) * inputs);
  const isZero = Array.from(own, (_, o) => channel(o).every((code) => code === 0));
  const largest = own.reduce((most, scale, o) => (isZero[o] ? most : max(most, scale)), 0);
  const typical = largest || (outputScale / inputScale) * 2 ** -12;
  const least = (o: number) => max(typical * LEAST_RATIO, abs(bias[o]!) / (inputScale * MAX_BIAS));
  const scales = Float64Array.from(own, (scale, o) => max(isZero[o] ? typical : scale, least(o)));
  const row = (o: number) => weight.subarray(o * inputs, (o + 1) * inputs);
  if (feedback === undefined) {
    scales.forEach((scale, o) => {
      if (isZero[o] || scale === own[o]) return;
      channel(o).set(row(o).map((w) => clamp(roundHalfEven(w / scale), -half, half - 1)));
    });
    return { codes, scales, bias: Float64Array.from(bias) };
  }
  const fitted = scales.map((scale, o) =>
    isZero[o] ? scale : max(feedback.scale(row(o), (half - 0.5) * scale, half), least(o)),
  );
  const shifts = feedback.round(weight, fitted, half, codes);
  return { codes, scales: fitted, bias: shifts.map((shift, o) => bias[o]! + shift) };
}

import { clamp, roundHalfEven } from './round.js';

export interface QuantizedWeights {
  /** int8 `[out, in]`. */
  readonly codes: Int8Array;
  /** One scale per output channel, `[out]`. */
  readonly scales: Float32Array;
}

/**
 * Symmetric min-max quantisation of weights, per output channel: s = max|w| / 127.5, code = clamp(round(w/s), -128, 127).
 * In f32 arithmetic, as the paper's authors have it. A channel that is all zero gets scale 1.
 *
 * @param weight `[out, in]`, row-major
 */
export function quantizeWeights(weight: Float32Array, out: number): QuantizedWeights {
  const inputs = weight.length / out;
  const codes = new Int8Array(weight.length);
  const scales = new Float32Array(out);
  for (let o = 0; o < out; o++) {
    const row = weight.subarray(o * inputs, (o + 1) * inputs);
    let max = 0;
    for (const w of row) max = Math.max(max, Math.abs(w));
    const scale = Math.fround(max / 127.5) || 1;
    scales[o] = scale;
    for (let i = 0; i < inputs; i++) {
      codes[o * inputs + i] = clamp(roundHalfEven(Math.fround(row[i]! / scale)), -128, 127);
    }
  }
  return { codes, scales };
}

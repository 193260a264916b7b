import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ErrorFeedback } from '../../../src/layers/linear/feedback.js';
import type { Moments } from '../../../src/layers/linear/moments.js';
import { linearCodes, quantizeWeights } from '../../../src/layers/linear/weights.js';
import { random, randomFloats } from '../../forward/float/support.js';

function momentsOf(covariance: readonly (readonly number[])[], mean: readonly number[]): Moments {
  return { mean: Float64Array.from(mean), covariance: () => Float64Array.from(covariance.flat()) };
}

/** Moments of `rows` rows of few directions, so that inputs depend on each other. */
function dependent(width: number, directions: number, seed: number): Moments {
  const mix = randomFloats(width * directions, seed);
  const at = (i: number, j: number) => {
    let sum = i === j ? 0.01 : 0;
    for (let k = 0; k < directions; k++) sum += mix[i * directions + k]! * mix[j * directions + k]!;
    return sum;
  };
  const covariance = Array.from({ length: width }, (_, i) =>
    Array.from({ length: width }, (_, j) => at(i, j)),
  );
  return momentsOf(covariance, randomFloats(width, seed + 1) as unknown as number[]);
}

/** e·H·eᵀ, the squared error of the output beyond its mean. */
function outputError(moments: Moments, weights: Float32Array, scale: number, codes: Int8Array): number {
  const width = weights.length;
  const covariance = moments.covariance();
  const e = Array.from(weights, (w, i) => w - scale * codes[i]!);
  let sum = 0;
  for (let i = 0; i < width; i++)
    for (let j = 0; j < width; j++)
      sum += e[i]! * e[j]! * covariance[Math.min(i, j) * width + Math.max(i, j)]!;
  return sum;
}

describe('rounding', () => {
  /** The scale of the only channel. */
  const one = Float64Array.of(1);

  test('of two equal inputs, the second corrects the first', () => {
    const moments = momentsOf(
      [
        [1, 1],
        [1, 1],
      ],
      [3, 3],
    );
    const codes = new Int8Array(2);
    const weights = Float32Array.of(0.375, 0.375);
    const [shift] = new ErrorFeedback(moments, 1e-3).round(weights, one, 8, codes);
    // To nearest both would be 0, and the output 0.75 x off; like this it is 0.25 x.
    expect(codes).toEqual(Int8Array.of(0, 1));
    expect(shift).toBeCloseTo(3 * (0.375 + 0.375 - 1), 12);
    expect(outputError(moments, weights, 1, codes)).toBeCloseTo(0.25 ** 2, 12);
  });

  test('with independent inputs, each weight goes to its nearest code', () => {
    const moments = momentsOf(
      [
        [4, 0, 0],
        [0, 1, 0],
        [0, 0, 9],
      ],
      [0, 0, 0],
    );
    const codes = new Int8Array(3);
    new ErrorFeedback(moments, 0.01).round(Float32Array.of(0.6, -1.4, 2.2), one, 8, codes);
    expect(codes).toEqual(Int8Array.of(1, -1, 2));
  });

  test('codes stay within their bits', () => {
    const codes = new Int8Array(4);
    const feedback = new ErrorFeedback(dependent(4, 2, 1), 0.1);
    feedback.round(Float32Array.of(100, -100, 100, -100), one, 8, codes);
    expect(codes).toEqual(Int8Array.of(7, -8, 7, -8));
  });

  test('a channel is rounded the same wherever it stands', () => {
    const [width, out] = [40, 35];
    const feedback = new ErrorFeedback(dependent(width, 9, 2), 0.01);
    const weights = randomFloats(width * out, 3);
    const scales = Float64Array.from({ length: out }, (_, o) => 0.1 + o / 200);
    const codes = new Int8Array(width * out);
    const shifts = feedback.round(weights, scales, 8, codes);
    for (let o = 0; o < out; o++) {
      const [from, to] = [o * width, (o + 1) * width];
      const alone = new Int8Array(width);
      const shift = feedback.round(weights.subarray(from, to), scales.subarray(o, o + 1), 8, alone);
      expect(codes.subarray(from, to)).toEqual(alone);
      expect(shift[0]).toBe(shifts[o]);
    }
  });

  test('a constant input is no obstacle', () => {
    const feedback = new ErrorFeedback(momentsOf([[0]], [5]), 1);
    const codes = new Int8Array(1);
    expect(feedback.round(Float32Array.of(1.25), one, 8, codes)[0]).toBeCloseTo(1.25, 12);
    expect(codes).toEqual(Int8Array.of(1));
  });

  test('the error of the output is never above Σ D·s²/4, which is at most the sum of the variances · s²/4', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(1e6),
        (width, directions, seed) => {
          const moments = dependent(width, directions, seed);
          const weights = randomFloats(width, seed + 2);
          const scale = 0.3;
          const codes = new Int8Array(width);
          // enough codes that none is clamped
          new ErrorFeedback(moments, 0).round(weights, Float64Array.of(scale), 128, codes);
          const variances = moments.covariance().filter((_, i) => i % (width + 1) === 0);
          const total = variances.reduce((a, b) => a + b) * 1.01; // with the damping
          expect(outputError(moments, weights, scale, codes)).toBeLessThanOrEqual((total * scale ** 2) / 4);
        },
      ),
    );
  });

  test.each([4, 5, 6] as const)(
    'of %d-bit layers whose inputs depend on each other errs far less',
    (bits) => {
      const [width, out] = [64, 32];
      const moments = dependent(width, 16, 7);
      const weights = randomFloats(width * out, 8);
      const bias = new Float32Array(out);
      const nearest = linearCodes(weights, bias, 0.01, 1, bits);
      const fed = linearCodes(weights, bias, 0.01, 1, bits, new ErrorFeedback(moments, 0.01));
      const error = ({ codes, scales }: { codes: Int8Array; scales: Float64Array }) =>
        Array.from(scales).reduce((sum, scale, o) => {
          const [from, to] = [o * width, (o + 1) * width];
          return sum + outputError(moments, weights.subarray(from, to), scale, codes.subarray(from, to));
        }, 0);
      expect(error(fed)).toBeLessThan(error(nearest) / 4); // measured: a sixth to an eighth
      const half = 2 ** (bits - 1);
      expect(Math.max(...fed.codes)).toBeLessThan(half);
      expect(Math.min(...fed.codes)).toBeGreaterThanOrEqual(-half);
    },
  );
});

describe('the scale', () => {
  const feedback = new ErrorFeedback(
    momentsOf(
      Array.from({ length: 64 }, (_, i) =>
        Array.from({ length: 64 }, (_, j) => (i !== j ? 0 : i === 5 ? 0.01 : 1)),
      ),
      new Array(64).fill(0),
    ),
    0.01,
  );

  test('gives up an outlier whose input hardly varies', () => {
    const weights = randomFloats(64, 3, 0.3);
    weights[5] = 1;
    expect(feedback.scale(weights, 1, 8)).toBeLessThan(0.8 / 7.5);
    expect(feedback.scale(weights, 1, 8)).toBeGreaterThan(0.29 / 7.5);
  });

  test('stays if all weights are codes already', () => {
    const next = random(4);
    const weights = Float32Array.from({ length: 64 }, () => Math.round(next() * 7.49) / 7.5);
    weights[0] = 1;
    weights[1] = 7 / 7.5;
    expect(
      feedback.scale(
        weights.map((w) => Math.min(w, 7 / 7.5)),
        1,
        8,
      ),
    ).toBe(1 / 7.5);
  });
});

test('without feedback, weights are rounded to nearest and the bias stays', () => {
  const weights = randomFloats(48, 5);
  const bias = randomFloats(3, 6);
  for (const bits of [8, 7, 6, 5, 4] as const) {
    const { codes, scales, bias: same } = linearCodes(weights, bias, 0.1, 0.1, bits);
    const nearest = quantizeWeights(weights, 3, bits);
    expect(codes).toEqual(nearest.codes);
    expect(Float32Array.from(scales)).toEqual(nearest.scales);
    expect(Float32Array.from(same)).toEqual(bias);
  }
});

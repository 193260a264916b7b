import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { quantizeWeights } from '../../../src/layers/linear/weights.js';

const f = Math.fround;

test('one scale per channel: max|w| / 127.5', () => {
  const { codes, scales } = quantizeWeights(Float32Array.of(1, -2, 0.5, 0.25, 0.125, 0), 2);
  expect(scales).toEqual(Float32Array.of(2 / 127.5, 0.25 / 127.5));
  // 1/2 and 1/4 of 127.5: 63.75, 31.875. The ends are 127.49999: both scales were rounded up to f32
  expect(Array.from(codes)).toEqual([64, -127, 32, 127, 64, 0]);
});

test('a channel of zeros gets the scale 1', () => {
  const { codes, scales } = quantizeWeights(Float32Array.of(0, 0, 3, -0), 2);
  expect(Array.from(scales)).toEqual([1, f(3 / 127.5)]);
  expect(Array.from(codes)).toEqual([0, 0, 127, 0]);
});

test('halves round to the even code', () => {
  const row = Float32Array.of(127.5, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -126.5, -127.5);
  const { codes, scales } = quantizeWeights(row, 1);
  expect(scales[0]).toBe(1);
  expect(Array.from(codes)).toEqual([127, 0, 2, 2, 0, -2, -2, 126, -126, -128]);
});

test('the division is in f32', () => {
  const found = halfOnlyInF32();
  const { codes } = quantizeWeights(Float32Array.of(1, found.weight), 1);
  expect(codes[1]).toBe(found.even);
});

/** A weight whose quotient rounds to a half in f32 and lies on the odd code's side of it in f64. */
function halfOnlyInF32(): { weight: number; even: number } {
  const scale = f(1 / 127.5);
  for (let even = 2; even < 120; even += 2) {
    for (let ulps = -8; ulps <= 8; ulps++) {
      const weight = f((even + 0.5) * scale * (1 + ulps * 2 ** -25));
      if (f(weight / scale) === even + 0.5 && weight / scale > even + 0.5) return { weight, even };
    }
  }
  throw new Error('none found');
}

test('codes are within half a step of the weights', () => {
  const rows = fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(rows, (row) => {
      fc.pre(row.every((w) => w === 0 || Math.abs(w) > 1e-30));
      const { codes, scales } = quantizeWeights(Float32Array.from(row), 1);
      row.forEach((w, i) => {
        expect(codes[i]!).toBeGreaterThanOrEqual(-128);
        expect(Math.abs(codes[i]! - w / scales[0]!)).toBeLessThanOrEqual(0.5 + 1e-4);
      });
    }),
  );
});

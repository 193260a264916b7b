import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Requantizer, requantizer } from '../../src/layers/requantizer.js';

const MAX = 2 ** 31 - 1;

/** The factors that the integers stand for; exact in doubles. */
const factorsOf = ({ multipliers, left, right }: Requantizer) =>
  Array.from(multipliers, (m) => m * 2 ** (left - right));

function expectRanges({ multipliers, left, right }: Requantizer, bound: number): void {
  expect(left).toBeGreaterThanOrEqual(0);
  expect(left).toBeLessThanOrEqual(15);
  expect(right).toBeGreaterThanOrEqual(32);
  expect(right).toBeLessThanOrEqual(62);
  for (const m of multipliers) expect(Math.abs(m)).toBeLessThanOrEqual(MAX);
  expect(bound * 2 ** left).toBeLessThanOrEqual(MAX);
}

test('channels up to 1000 times apart keep 21 bits', () => {
  const exponents = fc.double({ min: -32, max: 13, noNaN: true });
  const apart = fc.array(fc.double({ min: 1, max: 1000, noNaN: true }), { maxLength: 12 });
  fc.assert(
    fc.property(exponents, apart, fc.boolean(), (exponent, ratios, negative) => {
      const largest = (negative ? -1 : 1) * 2 ** exponent;
      const factors = [largest, ...ratios.map((ratio) => largest / ratio)];
      const bound = Math.min(2 ** 30, 2 ** (28 - Math.max(exponent, 0)));
      const made = requantizer(factors, bound);
      expectRanges(made, bound);
      factorsOf(made).forEach((factor, i) => {
        expect(Math.abs(factor / factors[i]! - 1)).toBeLessThanOrEqual(2 ** -21);
      });
    }),
  );
});

test('the largest factor uses all 31 bits', () => {
  for (const factor of [2 ** -31, 1e-5, 0.003, 0.25, 0.4999, 0.7, 3, 1000]) {
    const [m] = requantizer([factor], 1000).multipliers;
    expect(m).toBeGreaterThanOrEqual(2 ** 30);
  }
});

test.each([
  [0.25, 0, 32, 2 ** 30],
  [0.499999, 0, 32, Math.round(0.499999 * 2 ** 32)],
  [0.5, 1, 32, 2 ** 30],
  [0.75, 1, 32, 0.75 * 2 ** 31],
  [1, 2, 32, 2 ** 30],
  [1000, 11, 32, (1000 / 2048) * 2 ** 32],
  [2 ** -10, 0, 40, 2 ** 30],
])('the factor %d: left %d, right %d', (factor, left, right, multiplier) => {
  expect(requantizer([factor], 2 ** 10)).toEqual({ multipliers: Int32Array.of(multiplier), left, right });
});

test('a factor just below a power of two, whose logarithm rounds up', () => {
  for (const power of [-1, -2, -7, -30]) {
    const factor = 2 ** power * (1 - Number.EPSILON / 2);
    const made = requantizer([factor], 1000);
    expectRanges(made, 1000);
    expect(Math.abs(factorsOf(made)[0]! / factor - 1)).toBeLessThanOrEqual(2 ** -30);
  }
});

test('tiny and zero factors', () => {
  expect(requantizer([0, 0], 100)).toEqual({ multipliers: Int32Array.of(0, 0), left: 0, right: 32 });
  expect(requantizer([2 ** -50], 100)).toEqual({ multipliers: Int32Array.of(2 ** 12), left: 0, right: 62 });
  expect(requantizer([1e-300, 5e-324], 100).multipliers).toEqual(Int32Array.of(0, 0));
  const { multipliers } = requantizer([0.1, 0, 1e-12], 100);
  expect(Array.from(multipliers.subarray(1))).toEqual([0, 0]);
});

test('a negative factor', () => {
  const [up, down] = [requantizer([0.3, 0.001], 100), requantizer([-0.3, -0.001], 100)];
  expect(Array.from(down.multipliers)).toEqual(Array.from(up.multipliers, (m) => -m));
});

test('the left shift respects the bound, where the multiplier saturates', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1e-9, max: 1e12, noNaN: true }),
      fc.integer({ min: 1, max: MAX }),
      (factor, bound) => {
        const made = requantizer([factor, -factor], bound);
        expectRanges(made, bound);
        const [kept] = factorsOf(made) as [number];
        if (kept < factor * (1 - 2 ** -20)) {
          expect(Array.from(made.multipliers)).toEqual([MAX, -MAX]);
          // worth saturating: so many codes is what the largest accumulator stands for, or one unit
          expect(factor * bound > 2 ** 29 || factor > 2 ** 14).toBe(true);
        }
      },
    ),
  );
});

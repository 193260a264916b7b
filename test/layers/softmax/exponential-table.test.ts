import { describe, expect, test } from '@jest/globals';
import { exactExponentialTable, exponentialTable } from '../../../src/layers/softmax/exponential-table.js';

const SCALES = [
  1e-4, 1e-3, 0.004, 0.01, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.4177, 0.474, 0.5283,
];
const COARSE = [0.5285, 0.6, 0.7, 1, 1.67, 3, 10];
const TOKENS = [1, 2, 17, 65, 197, 577, 1025, 16385];

/**
 * i-exp by the paper, in integers, brought to the widest fixed point: entries before they are made
 * to fall.
 */
function iExp(scale: number, tokens: number): bigint[] {
  // biome-ignore lint/suspicious/noApproximativeNumericConstant: the paper's constant
  const x0 = BigInt(Math.floor(-0.6931 / scale));
  const linear = BigInt(Math.floor(0.96963238 / 0.35815147 / scale));
  const constant = BigInt(Math.floor(1 / 0.35815147 / scale ** 2));
  const widest = (2n ** 32n - 1n) / BigInt(tokens);
  const first = constant << 30n;
  return Array.from({ length: 256 }, (_, distance) => {
    const d = -BigInt(distance) < 30n * x0 ? 30n * x0 : -BigInt(distance);
    const k = d / x0; // both negative: the floor
    const r = d - x0 * k;
    const e = (r * (r + linear) + constant) << (30n - k);
    return (2n * e * widest + first) / (2n * first);
  });
}

describe.each(TOKENS)('%d tokens', (tokens) => {
  test('the table falls, and a row of equal scores sums below 2^32', () => {
    const smallest = 2 ** -149; // of an f32
    for (const table of [exponentialTable, exactExponentialTable]) {
      for (const scale of [smallest, ...SCALES, ...COARSE, 1e36]) {
        const e = table(scale, tokens);
        expect(e).toHaveLength(256);
        expect(e[0]).toBe(Math.floor((2 ** 32 - 1) / tokens));
        expect(e[0]! * tokens).toBeLessThan(2 ** 32);
        expect(e.every((value, d) => d === 0 || value <= e[d - 1]!)).toBe(true);
      }
    }
  });

  test('is i-exp', () => {
    for (const scale of SCALES) {
      let least = 2n ** 32n;
      const fallen = iExp(scale, tokens).map((value) => {
        least = value < least ? value : least;
        return Number(least);
      });
      expect(Array.from(exponentialTable(scale, tokens))).toEqual(fallen);
    }
  });

  test('holds exact exponentials where floor(c/s²) < 10', () => {
    for (const scale of COARSE) {
      expect(Math.floor(1 / 0.35815147 / scale ** 2)).toBeLessThan(10);
      expect(exponentialTable(scale, tokens)).toEqual(exactExponentialTable(scale, tokens));
    }
  });

  test('exact exponentials are exact', () => {
    for (const scale of [...SCALES, ...COARSE]) {
      const e = exactExponentialTable(scale, tokens);
      const apart = Array.from(e, (value, d) => Math.abs(value - Math.exp(-d * scale) * e[0]!));
      expect(Math.max(...apart)).toBeLessThan(0.5 + 1e-5);
    }
  });
});

/** Largest |e[d]/e[0] - exp(-d·s)|. */
const error = (scale: number) => {
  const e = exponentialTable(scale, 197);
  return Math.max(...Array.from(e, (value, d) => Math.abs(value / e[0]! - Math.exp(-d * scale))));
};

// I-BERT gives 1.9e-3 for its polynomial; floor(ln 2/s) and floor(c/s²) add to it the more, the
// coarser the scale
test.each([
  [1e-4, 0.001],
  [1e-3, 0.002],
  [0.01, 0.005],
  [0.05, 0.005],
  [0.1, 0.005],
  [0.03, 0.014],
  [0.2, 0.06],
  [0.3, 0.1],
  [0.4, 0.06],
  [0.5, 0.16],
  [0.53, 1e-7],
  [10, 1e-7],
])('at the scale %d the table is within %d of exp', (scale, bound) => {
  expect(error(scale)).toBeLessThan(bound);
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { erf, gelu, geluTable } from '../../../src/layers/gelu/table.js';
import { affineCode } from '../../../src/layers/round.js';

describe('erf', () => {
  test.each([
    [0, 0],
    [1e-10, 1.1283791670955126e-10],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [3, 0.9999779095030014],
    [4, 0.9999999845827421],
    [5, 0.9999999999984626],
    [7, 1],
    [1e300, 1],
  ])('erf(±%d) = ±%d', (x, value) => {
    expect(Math.abs(erf(x) - value)).toBeLessThan(2e-15);
    expect(Math.abs(erf(-x) + value)).toBeLessThan(2e-15);
  });
});

test.each([
  [0, 0],
  [1, 0.8413447460685429],
  [-1, -0.15865525393145705],
  [2, 1.9544997361036416],
  [-0.7517915, -0.16997120747],
  [-40, 0],
  [40, 40],
])('gelu(%d) = %d', (x, value) => {
  expect(gelu(x)).toBeCloseTo(value, 10);
});

/** The quantiser of a GELU output from `min` to `max`. */
const quantizer = (max: number, min = -0.17) => {
  const scale = (max - min) / 255;
  return { scale, zeroPoint: Math.round(-min / scale) };
};

/** The code that fc1's output `x` gets: through the fine quantiser and the table. */
function codeOf(x: number, { scale, zeroPoint, table }: ReturnType<typeof geluTable>): number {
  return table[Math.min(Math.max(Math.round(x / scale) + zeroPoint, 0), 4095)]!;
}

describe('geluTable', () => {
  const outs = fc
    .record({
      exponent: fc.double({ min: -9, max: 4, noNaN: true }),
      zeroPoint: fc.integer({ min: 0, max: 255 }),
    })
    .map(({ exponent, zeroPoint }) => ({ scale: 2 ** exponent, zeroPoint }));

  test('every entry is the code of the exact GELU', () => {
    fc.assert(
      fc.property(outs, (out) => {
        const { scale, zeroPoint, table } = geluTable(out);
        expect(table).toHaveLength(4096);
        expect(zeroPoint).toBeGreaterThanOrEqual(0);
        expect(zeroPoint).toBeLessThanOrEqual(4095);
        const wrong = table.findIndex((code, i) => {
          const real = gelu((i - zeroPoint) * scale) / out.scale + out.zeroPoint;
          return Math.abs(code - Math.min(Math.max(real, 0), 255)) > 0.5 + 1e-9;
        });
        expect(wrong).toBe(-1);
      }),
      { numRuns: 30 },
    );
  });

  test('the first and last entries hold for all values beyond', () => {
    fc.assert(
      fc.property(outs, (out) => {
        const { scale, zeroPoint, table } = geluTable(out);
        const first = -zeroPoint * scale;
        const last = (4095 - zeroPoint) * scale;
        expect(table[4095]).toBe(255);
        for (const step of [0, 0.001, 0.03, 0.1, 1, 10, 1000]) {
          expect(affineCode(gelu(first - step), out)).toBe(table[0]);
          expect(affineCode(gelu(last + step), out)).toBe(255);
        }
      }),
      { numRuns: 40 },
    );
  });

  test.each([0.1, 0.5, 1, 2, 3, 8, 50])('outputs up to %d: at most one code from the exact GELU', (max) => {
    const out = quantizer(max, max < 0.2 ? -max / 2 : -0.17);
    const made = geluTable(out);
    let wrong = 0;
    for (let x = -9; x < max + 3; x += 0.01) {
      const apart = Math.abs(codeOf(x, made) - affineCode(gelu(x), out));
      expect(apart).toBeLessThanOrEqual(1);
      wrong += apart;
    }
    expect(wrong).toBeLessThan(0.02 * ((max + 12) / 0.01));
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { additionParameters } from '../../../src/layers/add/scales.js';

const CHANNELS = 6;
const scale = (min: number, max: number) =>
  fc.double({ min, max, noNaN: true }).map((exponent) => 2 ** exponent);
const factors = fc.option(fc.uint8Array({ min: 0, max: 3, minLength: CHANNELS, maxLength: CHANNELS }), {
  nil: undefined,
});
const tensor = (min: number, max: number) => fc.record({ scale: scale(min, max), factors });

type Tensor = { scale: number; factors?: Uint8Array | undefined };
const scaleOf = ({ scale, factors }: Tensor, c: number) => scale * 2 ** (factors?.[c] ?? 0);

test('no sum overflows, however far apart the scales are', () => {
  const any = tensor(-149, 120);
  fc.assert(
    fc.property(any, any, any, (a, b, out) => {
      const { multipliers, shift } = additionParameters(a, b, out, CHANNELS);
      expect(shift).toBeGreaterThanOrEqual(1);
      expect(shift).toBeLessThanOrEqual(30);
      for (let c = 0; c < CHANNELS; c++) {
        const [ma, mb] = [multipliers[c]!, multipliers[CHANNELS + c]!];
        expect(ma).toBeGreaterThanOrEqual(0);
        expect(mb).toBeGreaterThanOrEqual(0);
        expect(255 * (ma + mb) + 2 ** (shift - 1)).toBeLessThan(2 ** 31);
      }
    }),
  );
});

test('no sum overflows at the limit of i32', () => {
  for (let k = 1; k < 24; k++) {
    for (let step = -40; step <= 40; step++) {
      // 255·(ra + rb) + 1/2 close to 2^k, so that a shift of 31 - k is the limit
      const largest = (2 ** k - 0.5) * (1 + step * 1e-7);
      const half = { scale: largest / 510 };
      const { multipliers, shift } = additionParameters(half, half, { scale: 1 }, 1);
      expect(255 * (multipliers[0]! + multipliers[1]!) + 2 ** (shift - 1)).toBeLessThan(2 ** 31);
    }
  }
});

test('multipliers are the ratios of the scales', () => {
  fc.assert(
    fc.property(tensor(-4, 2), tensor(-4, 2), tensor(-4, 2), (a, b, out) => {
      const { multipliers, shift } = additionParameters(a, b, out, CHANNELS);
      for (let c = 0; c < CHANNELS; c++) {
        const ra = scaleOf(a, c) / scaleOf(out, c);
        const rb = scaleOf(b, c) / scaleOf(out, c);
        expect(Math.abs(multipliers[c]! * 2 ** -shift - ra)).toBeLessThanOrEqual(2 ** (-shift - 1));
        expect(Math.abs(multipliers[CHANNELS + c]! * 2 ** -shift - rb)).toBeLessThanOrEqual(
          2 ** (-shift - 1),
        );
      }
    }),
  );
});

describe('the shift', () => {
  test('uses all available bits', () => {
    // 510·2^22 < 2^31 - 1024 < 510.5·2^23
    expect(additionParameters({ scale: 1 }, { scale: 1 }, { scale: 1 }, 1)).toEqual({
      multipliers: Int32Array.of(2 ** 22, 2 ** 22),
      shift: 22,
    });
  });

  test('an ordinary residual is off by less than 0.001 codes', () => {
    const factors = Uint8Array.of(0, 1, 2, 3, 0, 3);
    const a = { scale: 0.01, factors };
    const out = { scale: 0.012, factors: Uint8Array.of(0, 1, 2, 3, 3, 0) };
    const { multipliers, shift } = additionParameters(a, { scale: 0.05 }, out, CHANNELS);
    for (let c = 0; c < CHANNELS; c++) {
      const off =
        Math.abs(multipliers[c]! * 2 ** -shift - scaleOf(a, c) / scaleOf(out, c)) +
        Math.abs(multipliers[CHANNELS + c]! * 2 ** -shift - 0.05 / scaleOf(out, c));
      expect(255 * off).toBeLessThan(0.001);
    }
  });

  test('ratios beyond 2^16 are capped: one code of such an input saturates the output', () => {
    const { multipliers, shift } = additionParameters({ scale: 1e9 }, { scale: 1 }, { scale: 1e-6 }, 1);
    expect(Array.from(multipliers, (m) => m / 2 ** shift)).toEqual([2 ** 16, 2 ** 16]);
  });
});

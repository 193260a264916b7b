import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type LayerNormParameters, layerNormParameters } from '../../../src/layers/layernorm/gain.js';

const gains = ({ gain, shift }: LayerNormParameters) => Array.from(gain, (g) => g * 2 ** (12 - shift));

const sizes = fc.array(fc.double({ min: -8, max: 1, noNaN: true }), { minLength: 8, maxLength: 64 });

test('gains keep a truncated mantissa of 10 bits', () => {
  fc.assert(
    fc.property(sizes, fc.boolean(), (exponents, negative) => {
      const gamma = Float32Array.from(exponents, (e) => (negative ? -1 : 1) * 2 ** e);
      const outScale = 0.01;
      const made = layerNormParameters(gamma, new Float32Array(gamma.length), outScale);
      gains(made).forEach((gain, i) => {
        const ratio = gain / (gamma[i]! / outScale);
        expect(ratio).toBeLessThanOrEqual(1);
        expect(ratio).toBeGreaterThan(1 - 2 ** -9);
        const mantissa = (Math.abs(gain) / 2 ** Math.floor(Math.log2(Math.abs(gain)))) * 2 ** 9;
        expect(Number.isInteger(mantissa)).toBe(true);
      });
    }),
  );
});

test('the truncation takes 0.07 % on average', () => {
  const gamma = Float32Array.from({ length: 1000 }, (_, i) => Math.exp(i / 500 - 1));
  const made = gains(layerNormParameters(gamma, new Float32Array(1000), 0.02));
  const lost = made.reduce((sum, gain, i) => sum + 1 - gain / (gamma[i]! / 0.02), 0) / 1000;
  expect(lost).toBeGreaterThan(0.0006);
  expect(lost).toBeLessThan(0.0008);
});

test('β is in Q12 of output codes', () => {
  const { bias } = layerNormParameters(new Float32Array(3).fill(1), Float32Array.of(0, 1.5, -0.25), 0.03125);
  expect(Array.from(bias)).toEqual([0, 48 * 4096, -8 * 4096]);
});

test('gains of 0 give the greatest shift', () => {
  const { gain, bias, shift } = layerNormParameters(new Float32Array(8), new Float32Array(8), 1);
  expect(Array.from(gain)).toEqual(new Array(8).fill(0));
  expect(Array.from(bias)).toEqual(new Array(8).fill(0));
  expect(shift).toBe(62);
});

describe('ranges that the kernel relies on', () => {
  const any = fc.array(fc.float({ noNaN: true }), { minLength: 8, maxLength: 40 });
  const scale = fc.double({ min: 2 ** -149, max: 1e36, noNaN: true });

  test('for any γ, β and scale', () => {
    fc.assert(
      fc.property(any, any, scale, (gamma, beta, outScale) => {
        const made = layerNormParameters(Float32Array.from(gamma), Float32Array.from(beta), outScale);
        expect(made.shift).toBeGreaterThanOrEqual(12);
        expect(made.shift).toBeLessThanOrEqual(62);
        // |x̂| <= √(C - 1): u + bias + 2048 in Q12 is below 2^31
        const largest = Math.max(...gains(made).map(Math.abs)) * Math.sqrt(gamma.length - 1);
        const bias = Math.max(...Array.from(made.bias, Math.abs));
        expect(Math.ceil(largest * 4096) + bias + 2048).toBeLessThan(2 ** 31);
      }),
    );
  });

  test('a gain as large as the clamp', () => {
    for (const c of [8, 768, 4096]) {
      const huge = new Float32Array(c).fill(1e38);
      const made = layerNormParameters(huge, huge, 1e-30);
      expect(gains(made)[0]! * Math.sqrt(c)).toBeLessThanOrEqual(2 ** 18);
      expect(gains(made)[0]! * Math.sqrt(c)).toBeGreaterThan(2 ** 18 * (1 - 2 ** -9));
      expect(made.bias[0]).toBe(2 ** 30);
    }
  });
});

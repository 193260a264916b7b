import { describe, expect, test } from '@jest/globals';
import { inputQuantizer } from '../../../src/layers/patches/input.js';

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
const observed = { scale: 0.0187, zeroPoint: 114 };

/** The normalised pixel value p of channel c. */
const normalised = ({ mean, std }: typeof imagenet | typeof half, c: number, p: number) =>
  (p / 255 - mean[c]!) / std[c]!;

function expectObservedCodes(preprocessing: typeof imagenet | typeof half, isDirect: boolean): void {
  const { table, ...rest } = inputQuantizer(isDirect, preprocessing, observed);
  expect(rest).toEqual({ ...observed, offset: 0 });
  expect(table).toHaveLength(768);
  for (let c = 0; c < 3; c++) {
    for (let p = 0; p < 256; p++) {
      const real = normalised(preprocessing, c, p) / observed.scale + observed.zeroPoint;
      expect(Math.abs(table[256 * c + p]! - Math.min(Math.max(real, 0), 255))).toBeLessThanOrEqual(
        0.5 + 1e-9,
      );
    }
  }
}

test('DeiT: a table per channel from pixels to the observed codes', () => {
  expectObservedCodes(imagenet, false);
  const { table } = inputQuantizer(false, imagenet, observed);
  // black and white: round(-2.1179/0.0187) + 114 = 1, round(2.2489/0.0187) + 114 = 234; blue
  // reaches 2.64: 255
  expect([table[0], table[255], table[512 + 255]]).toEqual([1, 234, 255]);
});

test('a DeiT with one mean for all channels quantises its input too', () => {
  expectObservedCodes(half, false);
});

test('a ViT with one mean per channel quantises its input', () => {
  expectObservedCodes(imagenet, true);
});

describe('ViT', () => {
  test('a pixel is its own code', () => {
    const { table, scale, zeroPoint, offset } = inputQuantizer(true, half, observed);
    expect(Array.from(table)).toEqual(Array.from({ length: 768 }, (_, i) => i % 256));
    expect({ scale, zeroPoint, offset }).toEqual({ scale: 1 / 127.5, zeroPoint: 128, offset: 0.5 });
  });

  test.each([
    [0.5, 0.5],
    [0.47, 0.25],
    [0, 1],
    [1, 0.3],
  ])('mean %d, deviation %d: the normalisation is exact', (mean, std) => {
    const same = { mean: [mean, mean, mean], std: [std, std, std] } as const;
    const { scale, zeroPoint, offset } = inputQuantizer(true, same, observed);
    expect(Number.isInteger(zeroPoint)).toBe(true);
    expect(Math.abs(offset)).toBeLessThanOrEqual(0.5);
    for (let p = 0; p < 256; p++) {
      expect(scale * (p - zeroPoint + offset)).toBeCloseTo((p / 255 - mean) / std, 12);
    }
  });
});

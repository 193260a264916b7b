import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { deadLeaves } from '../../../src/quantize/synthetic/dead-leaves.js';
import { Dice } from '../../../src/quantize/synthetic/dice.js';
import { syntheticPictures } from '../../../src/quantize/synthetic/pictures.js';
import { noiseTexture, TEXTURE } from '../../../src/quantize/synthetic/texture.js';

const SIZE = 64;
const GREY = [0.5, 0.5, 0.5] as const;
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** Mean of each channel over some pictures, 0..1. */
function meanOf(pictures: readonly Uint8Array[]): number[] {
  return [0, 1, 2].map((c) => {
    const values = pictures.flatMap((picture) => [...picture].filter((_, i) => i % 3 === c));
    return values.reduce((sum, value) => sum + value, 0) / values.length / 255;
  });
}

describe('dead leaves', () => {
  test.each([
    [8, 0, '54899c6d8e8c97ac'],
    [SIZE, 1, 'ae2d893f6a71aaeb'],
    [SIZE, 2 ** 32 - 1, '5dd722dbf5fcda8d'],
  ])('gives the same bytes in every engine: %i pixels, seed %i', (size, seed, expected) => {
    expect(digest(deadLeaves(size, [0.485, 0.456, 0.406], seed))).toBe(expected);
  });

  test('every seed makes another picture', () => {
    const digests = Array.from({ length: 20 }, (_, seed) => digest(deadLeaves(16, GREY, seed)));
    expect(new Set(digests).size).toBe(20);
  });

  test('the colours lie around the mean of the model', () => {
    const pictures = (mean: readonly [number, number, number]) =>
      Array.from({ length: 24 }, (_, seed) => deadLeaves(24, mean, seed));
    const [red, green, blue] = meanOf(pictures([0.6, 0.5, 0.4])) as [number, number, number];
    for (const [found, expected] of [
      [red, 0.6],
      [green, 0.5],
      [blue, 0.4],
    ] as const) {
      expect(Math.abs(found - expected)).toBeLessThan(0.06);
    }
  });

  test('like photos, has flat areas and edges', () => {
    const steps = Array.from({ length: 12 }, (_, seed) => deadLeaves(SIZE, GREY, seed)).flatMap((picture) =>
      [...picture].slice(0, -3).map((value, i) => Math.abs(picture[i + 3]! - value)),
    );
    const part = (test: (step: number) => boolean) => steps.filter(test).length / steps.length;
    expect(part((step) => step < 8)).toBeGreaterThan(0.5);
    expect(part((step) => step > 40)).toBeGreaterThan(0.02);
  });

  test('pictures differ in coarseness', () => {
    const roughness = Array.from({ length: 16 }, (_, seed) => {
      const picture = deadLeaves(SIZE, GREY, seed);
      return picture.reduce((sum, value, i) => sum + Math.abs((picture[i + 3] ?? value) - value), 0);
    });
    expect(Math.max(...roughness)).toBeGreaterThan(3 * Math.min(...roughness));
  });

  test('a picture may be a single pixel', () => {
    expect(deadLeaves(1, GREY, 3)).toHaveLength(3);
  });
});

describe('textures', () => {
  const texture = noiseTexture(new Dice(5));
  const at = (x: number, y: number) => texture[(y % TEXTURE) * TEXTURE + (x % TEXTURE)]!;

  test('mean 0, deviation 1', () => {
    const mean = texture.reduce((sum, value) => sum + value, 0) / texture.length;
    const variance = texture.reduce((sum, value) => sum + value * value, 0) / texture.length;
    expect(mean).toBeCloseTo(0, 4);
    expect(variance).toBeCloseTo(1, 3);
  });

  test('repeat without a seam', () => {
    const step = (x: number) => {
      let sum = 0;
      for (let y = 0; y < TEXTURE; y++) sum += Math.abs(at(x + 1, y) - at(x, y));
      return sum;
    };
    const inside = Math.max(...Array.from({ length: TEXTURE - 1 }, (_, x) => step(x)));
    expect(step(TEXTURE - 1)).toBeLessThanOrEqual(inside);
  });
});

test('pictures of a model have its size and mean, in an order that the seed decides', () => {
  const model = (imageSize: number) => ({ preprocessing: { imageSize, mean: GREY } }) as never;
  const first = (seed: number, count: number) => {
    const pictures = syntheticPictures(model(12), seed);
    return Array.from({ length: count }, () => digest(pictures.next().value));
  };
  expect(syntheticPictures(model(12), 0).next().value).toHaveLength(12 * 12 * 3);
  expect(first(4, 5)).toEqual(first(4, 6).slice(0, 5));
  expect(new Set([...first(0, 5), ...first(1, 5)]).size).toBe(10);
});

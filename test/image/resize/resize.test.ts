import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { INTERPOLATIONS } from '../../../src/image/resize/interpolation.js';
import { resize, resizeRegion } from '../../../src/image/resize/resize.js';
import { expected, noiseImage, sha256 } from '../support.js';

describe('resize', () => {
  test.each(expected.resized)(
    'gives the bytes of Pillow for $from to $to, $filter',
    ({ from, to, filter, sha256: hash }) => {
      const { width, height, data } = resize(noiseImage(...from), ...to, filter);
      expect([width, height]).toEqual(to);
      expect(sha256(data)).toBe(hash);
    },
  );

  test('returns a copy for the same size', () => {
    const image = noiseImage(5, 4);
    const copy = resize(image, 5, 4, 'bicubic');
    expect(copy).toEqual(image);
    expect(copy.data).not.toBe(image.data);
  });

  const side = fc.integer({ min: 1, max: 40 });
  const filter = fc.constantFrom(...INTERPOLATIONS);

  test('keeps a flat image flat', () => {
    fc.assert(
      fc.property(
        side,
        side,
        side,
        side,
        filter,
        fc.integer({ min: 0, max: 255 }),
        (w, h, w2, h2, f, value) => {
          const data = new Uint8Array(w * h * 3).fill(value);
          expect(resize({ width: w, height: h, data }, w2, h2, f).data.every((v) => v === value)).toBe(true);
        },
      ),
    );
  });

  test('computes a region as a part of the whole', () => {
    fc.assert(
      fc.property(side, side, side, side, filter, fc.infiniteStream(fc.nat()), (w, h, w2, h2, f, random) => {
        const next = (below: number) => (random.next().value as number) % below;
        const left = next(w2);
        const top = next(h2);
        const region = { left, top, width: 1 + next(w2 - left), height: 1 + next(h2 - top) };
        const image = noiseImage(w, h, w + h);
        const whole = resize(image, w2, h2, f).data;
        const part = resizeRegion(image, w2, h2, f, region).data;
        for (let y = 0; y < region.height; y++) {
          const from = ((top + y) * w2 + left) * 3;
          const row = part.subarray(y * region.width * 3, (y + 1) * region.width * 3);
          expect(row).toEqual(whole.subarray(from, from + region.width * 3));
        }
      }),
    );
  });

  test('accumulates positions for nearest as Pillow does, for any region', () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 70_000 }), fc.integer({ min: 1, max: 200_000 }));
    // Powers of two give sums in the middle between two floating-point numbers.
    const exact = fc.tuple(fc.integer({ min: 1, max: 70_000 }), fc.integer({ min: 0, max: 17 }));
    const either = fc.oneof(
      sizes,
      exact.map(([inSize, power]) => [inSize, 2 ** power] as const),
    );
    fc.assert(
      fc.property(either, fc.double({ min: 0, max: 1, noNaN: true }), ([inSize, outSize], part) => {
        const data = new Uint8Array(3 * inSize);
        const places = new DataView(data.buffer);
        for (let i = 0; i < inSize; i++) places.setUint16(3 * i, i);
        const left = Math.floor(part * (outSize - 1));
        const width = Math.min(20, outSize - left);
        const region = { left, top: 0, width, height: 1 };
        const found = resizeRegion({ width: inSize, height: 1, data }, outSize, 1, 'nearest', region);
        const view = new DataView(found.data.buffer);
        let position = (inSize / outSize) * 0.5;
        for (let i = 0; i < left + width; i++, position += inSize / outSize) {
          if (i < left) continue;
          const input = Math.min(Math.trunc(position), inSize - 1);
          if (view.getUint16(3 * (i - left)) !== (input & 0xffff)) throw new Error(`${i}`);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('refuses invalid sizes and bytes', () => {
    const image = noiseImage(3, 3);
    for (const [width, height] of [
      [0, 1],
      [1, -1],
      [1.5, 2],
      [Number.NaN, 1],
      [Number.POSITIVE_INFINITY, 1],
    ] as const)
      expect(() => resize(image, width, height, 'bicubic')).toThrow(
        expect.objectContaining({ code: 'RESIZE_SIZE' }),
      );
    const outside = { left: 2, top: 0, width: 3, height: 1 };
    expect(() => resizeRegion(image, 4, 4, 'bicubic', outside)).toThrow(/inside 4×4, found 3×1 at 2, 0/);
    for (const bad of [
      { width: 3, height: 4 },
      { width: 0, height: 0 },
      { width: -3, height: -3 },
      { width: 4.5, height: 2 },
    ])
      expect(() => resize({ ...image, ...bad }, 1, 1, 'bicubic')).toThrow(
        expect.objectContaining({ code: 'IMAGE_PIXELS' }),
      );
  });
});

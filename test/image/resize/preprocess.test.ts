import { describe, expect, test } from '@jest/globals';
import { decodeImage } from '../../../src/image/decode.js';
import { INTERPOLATIONS } from '../../../src/image/resize/interpolation.js';
import { preprocess } from '../../../src/image/resize/preprocess.js';
import { describeWithShared } from '../../support/shared.js';
import { BOUND_MS, dataFile, dataFiles, expected, noiseImage, sha256 } from '../support.js';

describe('preprocess', () => {
  test.each(expected.preprocessed)(
    'gives the bytes of timm with Pillow for $from to $imageSize, crop $cropPct, squash $squash, $interpolation',
    ({ from, sha256: hash, ...parameters }) => {
      const pixels = preprocess(noiseImage(...from), parameters);
      expect(pixels.length).toBe(parameters.imageSize ** 2 * 3);
      expect(sha256(pixels)).toBe(hash);
    },
  );

  test('is quick for extreme proportions', () => {
    const sizes: [number, number][] = [
      [1, 5000],
      [5000, 1],
      [1, 1_000_000],
      [1_000_000, 1],
    ];
    const images = sizes.map(([w, h]) => noiseImage(w, h));
    const start = performance.now();
    for (const image of images)
      preprocess(image, { imageSize: 224, cropPct: 0.875, interpolation: 'bicubic' });
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });

  test.each(INTERPOLATIONS)('is quick for the smallest crop of the longest image: %s', (interpolation) => {
    const start = performance.now();
    for (const [w, h] of [
      [1, 1_000_000],
      [1_000_000, 1],
    ] as const) {
      const data = new Uint8Array(3 * w * h).map((_, i) => i >> 13);
      const p = { imageSize: 224, cropPct: 0.01, interpolation, cropRounding: 'down' } as const;
      // the crop shows the middle: each pixel of the image becomes 22,400 pixels, the crop has 224
      expect(new Set(preprocess({ width: w, height: h, data }, p))).toEqual(
        new Set([Math.floor(1_500_000 / 8192)]),
      );
    }
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });

  test('refuses to shrink a side of millions of pixels, with the number of coefficients', () => {
    const image = { width: 6_000_000, height: 1, data: new Uint8Array(18_000_000) };
    const p = { imageSize: 16, cropPct: 1, interpolation: 'lanczos', squash: true } as const;
    expect(() => preprocess(image, p)).toThrow(
      expect.objectContaining({
        name: 'ImageError',
        code: 'IMAGE_TOO_LARGE',
        message:
          'resize: expected at most 16777216 coefficients, found 16 pixels × 2250001 from a side of 6000000 to one of 16',
      }),
    );
    expect(preprocess(image, { ...p, interpolation: 'nearest' })).toHaveLength(16 * 16 * 3);
  });

  test('refuses invalid parameters and pixels', () => {
    const good = { imageSize: 8, cropPct: 0.9, interpolation: 'bicubic' as const };
    const image = noiseImage(4, 4);
    for (const bad of [
      { imageSize: 0 },
      { imageSize: 1.5 },
      { imageSize: Number.NaN },
      { cropPct: 0 },
      { cropPct: 1.1 },
      { cropPct: Number.NaN },
      { interpolation: 'hamming' as 'bicubic' },
    ])
      expect(() => preprocess(image, { ...good, ...bad })).toThrow(
        expect.objectContaining({ name: 'UsageError', code: 'PREPROCESS_PARAMETER' }),
      );
    expect(() => preprocess({ ...image, width: 5 }, good)).toThrow(/expected 5×4×3 = 60 bytes, found 48/);
  });
});

const crops = dataFiles('crops');

const FIRST = ['data/crops/n01440764_tench.png', 'data/imagenet500/n01440764_tench.JPEG'];
describeWithShared('the evaluation crops of 32 photos', 33, FIRST, () => {
  test('has 32 crops', () => {
    expect(crops.length).toBe(32);
  });

  test.each(crops)('gives the same bytes: %s', async (name) => {
    const crop = await decodeImage(dataFile(`crops/${name}`), { file: name });
    const photo = await decodeImage(dataFile(`imagenet500/${name.replace('.png', '.JPEG')}`), {
      orient: false,
    });
    const pixels = preprocess(photo, { imageSize: 224, cropPct: 0.875, interpolation: 'bicubic' });
    expect([crop.width, crop.height]).toEqual([224, 224]);
    expect(Buffer.compare(pixels, crop.data)).toBe(0);
  });
});

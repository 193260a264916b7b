import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ImageError } from '../../src/errors.js';
import { decodeImage } from '../../src/image/decode.js';
import { describeWithShared } from '../support/shared.js';
import {
  BOUND_MS,
  dataFile,
  dataFiles,
  fixture,
  flatJpeg,
  join,
  noise,
  noiseImage,
  refusal,
  rgbPng,
  sha256,
} from './support.js';

describe('a file that is not a JPEG, PNG or WebP is refused', () => {
  test('if it is empty', async () => {
    await refusal(new Uint8Array(0), 'IMAGE_EMPTY');
  });

  test('with its first bytes', async () => {
    expect(await refusal(join('Hello, world!'), 'IMAGE_FORMAT')).toContain(
      '48 65 6c 6c 6f 2c 20 77 ("Hello, w")',
    );
    await refusal(new Uint8Array(1), 'IMAGE_FORMAT');
    await refusal(noise(100, 1), 'IMAGE_FORMAT');
    await refusal(join('RIFF', [4, 0, 0, 0], 'WAVE'), 'IMAGE_FORMAT');
  });

  test.each<[string, Uint8Array]>([
    ['GIF', fixture('still.gif')],
    ['BMP', fixture('still.bmp')],
    ['TIFF', fixture('still.tiff')],
    ['TIFF', join('MM\0*', noise(20, 1))],
    ['AVIF', join('\0\0\0\x20ftypavif', noise(20, 1))],
    ['HEIC', join('\0\0\0\x20ftypheic', noise(20, 1))],
    ['HEIF', join('\0\0\0\x20ftypmif1', noise(20, 1))],
    ['JPEG XL', join([0xff, 0x0a], noise(20, 1))],
    ['JPEG 2000', join('\0\0\0\x0cjP  ', noise(20, 1))],
    ['SVG', join('<svg xmlns="http://www.w3.org/2000/svg"/>')],
    ['HTML', join('<!DOCTYPE html><p>404')],
  ])('by name: %s', async (name, bytes) => {
    expect(await refusal(bytes, 'IMAGE_UNSUPPORTED')).toContain(`found ${name}`);
  });
});

describe('decodeImage', () => {
  test('ignores the file name', async () => {
    const image = noiseImage(3, 2);
    expect(await decodeImage(rgbPng(image), { file: 'cat.jpg' })).toEqual(image);
  });

  test('reads bytes inside a larger buffer without changing it', async () => {
    const image = noiseImage(3, 2);
    for (const file of [rgbPng(image), fixture('420.jpg'), fixture('lossy.webp')]) {
      const around = join(noise(7, 1), file, noise(9, 2));
      const before = new Uint8Array(around);
      const inside = around.subarray(7, 7 + file.length);
      expect(await decodeImage(inside)).toEqual(await decodeImage(file));
      expect(around).toEqual(before);
    }
  });

  test('decodes 1×1 pixel', async () => {
    expect(await decodeImage(rgbPng(noiseImage(1, 1)))).toEqual(noiseImage(1, 1));
  });

  test('enforces a configurable limit of pixels', async () => {
    const files = [rgbPng(noiseImage(10, 10)), flatJpeg(10, 10)];
    for (const file of files) {
      expect((await decodeImage(file, { maxPixels: 100 })).width).toBe(10);
      expect(await refusal(file, 'IMAGE_TOO_LARGE', { maxPixels: 99 })).toContain('at most 99 pixels');
    }
  });

  const sources = [
    '420.jpg',
    'progressive.jpg',
    'png-6-8.png',
    'palette-5.png',
    'lossy.webp',
    'alpha-lossless.webp',
  ];

  /** Expects an image or a typed error in bounded time. */
  async function survives(bytes: Uint8Array): Promise<void> {
    const start = performance.now();
    try {
      const { width, height, data } = await decodeImage(bytes, { maxPixels: 1e6 });
      expect(data.length).toBe(width * height * 3);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  }

  test.each(sources)('gives an image or a typed error for %s with random damage', async (name) => {
    const source = fixture(name);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(source.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
        async (changes) => {
          const bytes = new Uint8Array(source);
          for (const [at, value] of changes) bytes[at] = value;
          await survives(bytes);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('gives an image or a typed error for random bytes after a signature', async () => {
    const starts = [
      '',
      '\xff\xd8\xff',
      '\x89PNG\r\n\x1a\n',
      'RIFF\xff\0\0\0WEBPVP8 ',
      'RIFF\xff\0\0\0WEBPVP8L',
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...starts),
        fc.uint8Array({ maxLength: 300 }),
        async (start, bytes) => {
          await survives(join(start, bytes));
        },
      ),
      { numRuns: 500 },
    );
  });
});

const photos = dataFiles('imagenet500').filter((name) => /\.jpe?g$/i.test(name));

/** SHA-256 of the SHA-256s of the 500 photos, decoded by Pillow 13.0, in the order of names. */
const PHOTOS = '046fbf97940a010e68c42e6f3186df934e020e68073f46ade0bfad20c43502a2';

describeWithShared('decodeImage of real photos', 1, ['data/imagenet500/n01440764_tench.JPEG'], () => {
  test('gives the same bytes as Pillow for 500 photos', async () => {
    expect(photos.length).toBe(500);
    const digests: string[] = [];
    for (const file of photos)
      digests.push(sha256((await decodeImage(dataFile(`imagenet500/${file}`), { file })).data));
    expect(sha256(Buffer.from(digests.join('')))).toBe(PHOTOS);
  });
});

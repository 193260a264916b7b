import { deflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeImage } from '../../../src/image/decode.js';
import {
  BOUND_MS,
  expected,
  fixture,
  ihdr,
  join,
  noise,
  noiseImage,
  PNG_SIGNATURE,
  png,
  pngChunk,
  refusal,
  rgbPng,
  sha256,
} from '../support.js';

const names = Object.keys(expected.decoded).filter((name) => name.endsWith('.png'));

describe('PNG', () => {
  test.each(names)('%s decodes to the same bytes as in Pillow', async (file) => {
    const { width, height, data } = await decodeImage(fixture(file), { file });
    expect({ width, height, sha256: sha256(data) }).toEqual(expected.decoded[file]);
  });

  test('gives back images of any size and content', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        async (w, h, seed) => {
          const image = noiseImage(w, h, seed);
          expect(await decodeImage(rgbPng(image))).toEqual(image);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('joins thousands of small and empty IDAT chunks', async () => {
    const image = noiseImage(50, 40);
    const whole = rgbPng(image);
    const compressed = whole.subarray(8 + 25 + 8, whole.length - 12 - 4);
    const chunks = Array.from(compressed, (byte) => [pngChunk('IDAT', [byte]), pngChunk('IDAT')]).flat();
    expect(await decodeImage(png(ihdr(50, 40), ...chunks))).toEqual(image);
  });

  test('ignores bytes after IEND', async () => {
    const image = noiseImage(5, 4);
    expect(await decodeImage(join(rgbPng(image), noise(100, 2)))).toEqual(image);
  });
});

describe('a slightly damaged PNG, as in Pillow,', () => {
  const image = noiseImage(9, 7);
  const rows = join(
    ...Array.from({ length: 7 }, (_, y) => join([0], image.data.subarray(y * 27, (y + 1) * 27))),
  );
  const zlib = new Uint8Array(deflateSync(rows));
  const idat = (bytes: Uint8Array) => pngChunk('IDAT', bytes);
  const withoutEnd = join(PNG_SIGNATURE, ihdr(9, 7), idat(zlib));
  const wrong = (chunk: Uint8Array) => join(chunk.subarray(0, -1), [chunk.at(-1)! ^ 1]);
  const text = pngChunk('tEXt', join('Comment\0hello'));

  test.each<[string, Uint8Array]>([
    ['without IEND', withoutEnd],
    ['without the CRC of the last chunk', withoutEnd.subarray(0, -4)],
    ['without the checksum of the pixels', withoutEnd.subarray(0, -8)],
    ['with half a checksum', withoutEnd.subarray(0, -6)],
    ['with other bytes instead of IEND', join(withoutEnd, noise(50, 4))],
    ['with too many rows', png(ihdr(9, 7), idat(deflateSync(join(rows, noise(5000, 1)))))],
    ['with bytes after the zlib stream', png(ihdr(9, 7), idat(join(zlib, noise(99, 3))))],
    ['with a wrong CRC of the pixels', png(ihdr(9, 7), wrong(idat(zlib)))],
    ['with a wrong CRC of a text after the pixels', join(withoutEnd, wrong(text), pngChunk('IEND'))],
    ['with a wrong CRC of IEND', join(withoutEnd, wrong(pngChunk('IEND')))],
    [
      'with further IDAT chunks after other chunks',
      join(withoutEnd, text, idat(noise(9, 1)), pngChunk('IEND')),
    ],
  ])('is read %s', async (_, file) => {
    expect(await decodeImage(file)).toEqual(image);
  });

  test.each<[string, Uint8Array, string]>([
    ['with a wrong checksum of the pixels', png(ihdr(9, 7), idat(wrong(zlib))), 'IMAGE_DAMAGED'],
    ['with a wrong checksum after too few rows', png(ihdr(9, 8), idat(wrong(zlib))), 'IMAGE_DAMAGED'],
    [
      'with a wrong CRC of a text before the pixels',
      png(ihdr(9, 7), wrong(text), idat(zlib)),
      'IMAGE_DAMAGED',
    ],
    ['with a wrong CRC of the header', png(wrong(ihdr(9, 7)), idat(zlib)), 'IMAGE_DAMAGED'],
    ['with a truncated text after the pixels', join(withoutEnd, text.subarray(0, -6)), 'IMAGE_TRUNCATED'],
    [
      'with a text between the pixels',
      png(ihdr(9, 7), idat(zlib.subarray(0, 60)), text, idat(zlib.subarray(60))),
      'IMAGE_TRUNCATED',
    ],
    ['without the last byte of the pixels', withoutEnd.subarray(0, -9 - 3), 'IMAGE_TRUNCATED'],
  ])('is refused %s', async (_, file, code) => {
    await refusal(file, code);
  });
});

describe('a PNG is refused', () => {
  const image = noiseImage(9, 7);
  const good = rgbPng(image);

  test.each(Object.entries(expected.beginnings).filter(([name]) => name.endsWith('.png')))(
    'if it is truncated where Pillow does not read it, and read otherwise: %s',
    async (name, readable) => {
      const bytes = fixture(name);
      const whole = await decodeImage(bytes, { orient: false });
      for (let length = 1; length < bytes.length; length++) {
        const beginning = bytes.subarray(0, length);
        if (readable.includes(length)) expect(await decodeImage(beginning, { orient: false })).toEqual(whole);
        else await refusal(beginning, 'IMAGE_TRUNCATED');
      }
    },
  );

  test('for any flipped bit that matters', async () => {
    let refused = 0;
    for (let at = 0; at < good.length; at++) {
      const bytes = new Uint8Array(good);
      bytes[at]! ^= 1 << (at % 8);
      try {
        expect(await decodeImage(bytes, { file: 'x' })).toEqual(image);
      } catch (error) {
        expect(error).toMatchObject({
          name: 'ImageError',
          code: expect.stringMatching(/^IMAGE_(DAMAGED|TRUNCATED|FORMAT|UNSUPPORTED)$/),
        });
        refused++;
      }
    }
    // All except the CRCs of IDAT and IEND, the length and type of IEND, and a bit that lengthens
    // IDAT.
    expect(refused).toBe(good.length - 17);
  });

  test('for a wrong CRC, with the name of the chunk', async () => {
    const bytes = rgbPng(image, pngChunk('gAMA', [0, 0, 0, 1]));
    bytes[8 + 25 + 10]! ^= 1;
    expect(await refusal(bytes, 'IMAGE_DAMAGED')).toContain('gAMA chunk at byte 33');
  });

  test('for a signature changed by a text-mode transfer', async () => {
    await refusal(join('\x89PNG\n\x1a\n', good.subarray(8)), 'IMAGE_DAMAGED');
  });

  test('for fewer rows than the header says', async () => {
    const rows = deflateSync(new Uint8Array(6 * 28));
    expect(await refusal(png(ihdr(9, 7), pngChunk('IDAT', rows)), 'IMAGE_TRUNCATED')).toContain(
      'expected 196 bytes',
    );
  });

  test('for a deflate stream that ends inside a row', async () => {
    const rows = deflateSync(join(...Array.from({ length: 7 }, (_, y) => join([0], noise(27, y)))));
    await refusal(png(ihdr(9, 7), pngChunk('IDAT', rows.subarray(0, 60))), 'IMAGE_TRUNCATED');
  });

  test('for missing pixels, palette or header, and for invalid fields', async () => {
    const rows = pngChunk('IDAT', deflateSync(new Uint8Array(7 * 28)));
    await refusal(png(ihdr(9, 7)), 'IMAGE_TRUNCATED');
    await refusal(png(rows), 'IMAGE_DAMAGED');
    await refusal(png(ihdr(9, 7), ihdr(9, 7), rows), 'IMAGE_UNSUPPORTED');
    await refusal(png(ihdr(9, 7, 8, 3), rows), 'IMAGE_DAMAGED');
    await refusal(png(ihdr(9, 7, 8, 3), pngChunk('PLTE', [1, 2]), rows), 'IMAGE_DAMAGED');
    await refusal(png(ihdr(9, 7, 3, 0), rows), 'IMAGE_DAMAGED');
    await refusal(png(ihdr(9, 7, 8, 5), rows), 'IMAGE_DAMAGED');
    await refusal(png(ihdr(9, 7, 8, 2, 2), rows), 'IMAGE_DAMAGED');
    await refusal(png(ihdr(0, 7), rows), 'IMAGE_DAMAGED');
    await refusal(png(ihdr(9, 0), rows), 'IMAGE_DAMAGED');
    await refusal(png(pngChunk('CgBI', [0, 0, 0, 0]), ihdr(9, 7), rows), 'IMAGE_UNSUPPORTED');
    await refusal(png(ihdr(9, 7), pngChunk('ABCD'), rows), 'IMAGE_UNSUPPORTED');
  });

  test('for an unknown filter, a palette index without a colour, and invalid deflate data', async () => {
    const rows = (...bytes: number[]) => pngChunk('IDAT', deflateSync(Uint8Array.from(bytes)));
    expect(await refusal(png(ihdr(1, 1), rows(5, 0, 0, 0)), 'IMAGE_DAMAGED')).toContain(
      'found 5 in row 0 of pass 1',
    );
    const palette = pngChunk('PLTE', [1, 2, 3, 4, 5, 6]);
    expect(await refusal(png(ihdr(2, 1, 8, 3), palette, rows(0, 1, 2)), 'IMAGE_DAMAGED')).toContain(
      'found 2',
    );
    expect(await refusal(png(ihdr(2, 1, 2, 3), palette, rows(0, 0b01100000)), 'IMAGE_DAMAGED')).toContain(
      'found 2',
    );
    await refusal(png(ihdr(9, 7), pngChunk('IDAT', noise(300, 5))), 'IMAGE_DAMAGED');
  });

  test('at once if it claims 30000×30000 pixels with little data, for any limit', async () => {
    const bytes = png(ihdr(30000, 30000), pngChunk('IDAT', deflateSync(new Uint8Array(1000))));
    const start = performance.now();
    expect(await refusal(bytes, 'IMAGE_TOO_LARGE')).toContain('30000×30000 = 900000000');
    await refusal(bytes, 'IMAGE_TRUNCATED', { maxPixels: 1e12 });
    await refusal(
      png(ihdr(9999, 9999), pngChunk('IDAT', deflateSync(new Uint8Array(1000)))),
      'IMAGE_TRUNCATED',
    );
    await refusal(png(ihdr(50_000_000, 1), pngChunk('IDAT', [1])), 'IMAGE_TOO_LARGE');
    await refusal(png(ihdr(0xffffffff, 0xffffffff), pngChunk('IDAT', [1])), 'IMAGE_TOO_LARGE');
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });

  test('or read, but a decompression bomb stops at the end of the pixels', async () => {
    const bomb = deflateSync(new Uint8Array(100e6));
    const bytes = png(ihdr(100, 100), pngChunk('IDAT', bomb));
    const start = performance.now();
    expect((await decodeImage(bytes)).data).toEqual(new Uint8Array(30000));
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });

  test('or read, but a bomb in an ancillary chunk is never inflated', async () => {
    const bomb = deflateSync(new Uint8Array(100e6));
    const text = pngChunk('zTXt', join('Comment\0\0', bomb));
    const profile = pngChunk('iCCP', join('x\0\0', bomb));
    const start = performance.now();
    expect(await decodeImage(rgbPng(image, profile, text))).toEqual(image);
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });

  test('quickly, with megabytes after the end of the deflate stream', async () => {
    const rows = join(deflateSync(new Uint8Array(100)), new Uint8Array(20e6));
    const start = performance.now();
    await refusal(png(ihdr(500, 500), pngChunk('IDAT', rows)), 'IMAGE_TRUNCATED');
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });

  test('if it is only a signature', async () => {
    await refusal(join(PNG_SIGNATURE), 'IMAGE_TRUNCATED');
  });
});

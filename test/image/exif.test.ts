import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeImage } from '../../src/image/decode.js';
import { exifOrientation, type Orientation } from '../../src/image/exif.js';
import { orient } from '../../src/image/orient.js';
import {
  expected,
  fixture,
  join,
  jpegSegment,
  noiseImage,
  pngChunk,
  rgbPng,
  riff,
  tiff,
  withSegments,
} from './support.js';

const ORIENTATION = 0x0112;
const SHORT = 3;
const LONG = 4;
const all: Orientation[] = [1, 2, 3, 4, 5, 6, 7, 8];

describe('EXIF orientation', () => {
  test.each(all)('%i is read in both byte orders and types, with and without Exif\\0\\0', (value) => {
    for (const little of [true, false])
      for (const type of [SHORT, LONG]) {
        const block = tiff(
          [
            [0x10f, 2, 4, 0],
            [ORIENTATION, type, 1, value],
          ],
          { little },
        );
        expect(exifOrientation(block)).toBe(value);
        expect(exifOrientation(join('Exif\0\0', block))).toBe(value);
      }
  });

  test.each<[string, Uint8Array | undefined]>([
    ['no block', undefined],
    ['an empty block', new Uint8Array(0)],
    ['no TIFF', join('Exif\0\0', 'hello, world')],
    ['no entries', tiff([])],
    ['value 0', tiff([[ORIENTATION, SHORT, 1, 0]])],
    ['value 9', tiff([[ORIENTATION, SHORT, 1, 9]])],
    ['a huge value', tiff([[ORIENTATION, LONG, 1, 0xffffffff]])],
    ['type ASCII', tiff([[ORIENTATION, 2, 1, 6]])],
    ['two values', tiff([[ORIENTATION, SHORT, 2, 6]])],
    ['a directory before the header ends', tiff([[ORIENTATION, SHORT, 1, 6]], { directory: 0 })],
    ['a directory outside', tiff([[ORIENTATION, SHORT, 1, 6]], { directory: 0xfffffff0 })],
    ['65,535 entries that are not there', tiff([[0x10f, 2, 4, 0]], { claimed: 65535 })],
    ['a next directory that is the first one', tiff([[0x10f, 2, 4, 0]], { next: 8 })],
    ['an EXIF directory that is the first one', tiff([[0x8769, LONG, 1, 8]], { next: 8 })],
  ])('%s means 1', (_, block) => {
    expect(exifOrientation(block)).toBe(1);
  });

  test('random blocks never throw', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('', 'II*\0', 'MM\0*', 'Exif\0\0II*\0'),
        (bytes, head) => {
          expect(all).toContain(exifOrientation(join(head, bytes)));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('orient', () => {
  test.each(all)('%i turns a 3×2 picture as Pillow does', (orientation) => {
    const stored = { width: 3, height: 2, data: Uint8Array.from({ length: 18 }, (_, i) => i) };
    const { width, height, data } = orient(stored, orientation);
    expect({ width, height, data: [...data] }).toEqual(expected.oriented[orientation - 1]);
  });

  test('turned there and back is the same', () => {
    const image = noiseImage(7, 5);
    const back: Record<Orientation, Orientation> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6 };
    for (const orientation of all)
      expect(orient(orient(image, orientation), back[orientation])).toEqual(image);
  });
});

describe('decodeImage honours it', () => {
  const block = (value: number) => tiff([[ORIENTATION, SHORT, 1, value]], { little: false });
  const jpeg = fixture('420.jpg');
  const webp = fixture('lossless.webp');

  test.each(all)('%i in JPEG, PNG and WebP, unless asked not to', async (value) => {
    const image = noiseImage(6, 4);
    const files: [Uint8Array, Uint8Array][] = [
      [withSegments(jpeg, jpegSegment(0xe1, join('Exif\0\0', block(value)))), jpeg],
      [rgbPng(image, pngChunk('eXIf', block(value))), rgbPng(image)],
      [riff(['VP8L', webp.subarray(20)], ['EXIF', block(value)]), webp],
    ];
    for (const [tagged, plain] of files) {
      const stored = await decodeImage(plain);
      expect(await decodeImage(tagged)).toEqual(orient(stored, value as Orientation));
      expect(await decodeImage(tagged, { orient: false })).toEqual(stored);
    }
  });

  test('only the first EXIF segment counts, XMP is none', async () => {
    const segment = (value: number) => jpegSegment(0xe1, join('Exif\0\0', block(value)));
    const xmp = jpegSegment(0xe1, join('http://ns.adobe.com/xap/1.0/\0', '<x/>'));
    const stored = await decodeImage(jpeg);
    expect(await decodeImage(withSegments(jpeg, xmp, segment(3), segment(6)))).toEqual(orient(stored, 3));
  });
});

import { deflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeImage } from '../../src/image/decode.js';
import { type Orientation, orientationOf } from '../../src/image/exif.js';
import { orient } from '../../src/image/orient.js';
import {
  BOUND_MS,
  EOI,
  expected,
  fixture,
  join,
  jpegSegment,
  noise,
  noiseImage,
  pngChunk,
  refusal,
  rgbPng,
  riff,
  tiff,
  withSegments,
} from './support.js';

const ORIENTATION = 0x0112;
const SHORT = 3;
const LONG = 4;
/** Flags in VP8X. */
const EXIF_FLAG = 0x08;
const XMP_FLAG = 0x04;
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
        expect(orientationOf({ exif: block })).toBe(value);
        expect(orientationOf({ exif: join('Exif\0\0', block) })).toBe(value);
      }
  });

  test.each<[string, Uint8Array | undefined]>([
    ['no block', undefined],
    ['an empty block', new Uint8Array(0)],
    ['a block that is not TIFF', join('Exif\0\0', 'hello, world')],
    ['no entries', tiff([])],
    ['the value 0', tiff([[ORIENTATION, SHORT, 1, 0]])],
    ['the value 9', tiff([[ORIENTATION, SHORT, 1, 9]])],
    ['a huge value', tiff([[ORIENTATION, LONG, 1, 0xffffffff]])],
    ['the type ASCII', tiff([[ORIENTATION, 2, 1, 6]])],
    ['no value', tiff([[ORIENTATION, SHORT, 0, 6]])],
    ['values outside the block', tiff([[ORIENTATION, LONG, 2, 6]])],
    [
      'an earlier entry with values outside the block',
      tiff([
        [0x10f, 2, 5, 1000],
        [ORIENTATION, SHORT, 1, 6],
      ]),
    ],
    ['a directory outside the block', tiff([[ORIENTATION, SHORT, 1, 6]], { directory: 0xfffffff0 })],
    ['65,535 missing entries', tiff([[0x10f, 2, 4, 0]], { claimed: 65535 })],
    ['a next directory that points to the first', tiff([[0x10f, 2, 4, 0]], { next: 8 })],
    ['an EXIF directory that points to the first', tiff([[0x8769, LONG, 1, 8]], { next: 8 })],
  ])('%s means 1', (_, block) => {
    expect(orientationOf({ exif: block })).toBe(1);
  });

  const block6 = tiff([[ORIENTATION, SHORT, 1, 6]], { little: false });

  test.each<[string, Uint8Array]>([
    ['a duplicate Exif\\0\\0', join('Exif\0\0Exif\0\0', block6)],
    ['a header with the wrong half swapped', join('MM*\0', block6.subarray(4))],
    ['the first of two values', tiff([[ORIENTATION, SHORT, 2, 6]])],
    [
      'the first of two entries',
      tiff([
        [ORIENTATION, SHORT, 1, 6],
        [ORIENTATION, SHORT, 1, 3],
      ]),
    ],
    [
      'an earlier entry with an unknown type',
      tiff([
        [ORIENTATION, 99, 1, 3],
        [ORIENTATION, SHORT, 1, 6],
      ]),
    ],
    ['a directory truncated after it', tiff([[ORIENTATION, SHORT, 1, 6]], { claimed: 5 })],
    ['a float', tiff([[ORIENTATION, 11, 1, 0x40c00000]])],
    ['a signed byte', tiff([[ORIENTATION, 6, 1, 6]])],
    [
      'an earlier text',
      join(
        tiff([
          [0x10f, 2, 5, 34],
          [ORIENTATION, SHORT, 1, 6],
        ]),
        'ACME\0',
      ),
    ],
    ['a fraction', join(tiff([[ORIENTATION, 5, 1, 26]]), [18, 0, 0, 0, 3, 0, 0, 0])],
  ])('%s means 6, as in Pillow', (_, block) => {
    expect(orientationOf({ exif: block })).toBe(6);
  });

  test('XMP counts if EXIF has no orientation', () => {
    const forms = ['<rdf:Description tiff:Orientation="6"/>', '<tiff:Orientation>6</tiff:Orientation>'];
    for (const xmp of forms.map((form) => join(form, ' tiff:Orientation="3"'))) {
      expect(orientationOf({ xmp })).toBe(6);
      expect(orientationOf({ xmp, exif: tiff([[0x10f, SHORT, 1, 1]]) })).toBe(6);
      expect(orientationOf({ xmp, exif: new Uint8Array(0) })).toBe(6);
      expect(orientationOf({ xmp, exif: tiff([[ORIENTATION, SHORT, 1, 1]]) })).toBe(1);
      expect(orientationOf({ xmp, exif: join('no TIFF') })).toBe(1);
    }
    for (const text of ['tiff:Orientation="0"', 'tiff:Orientation="9"', "tiff:Orientation='6'", ''])
      expect(orientationOf({ xmp: join(text) })).toBe(1);
  });

  test('random blocks never throw', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('', 'II*\0', 'MM\0*', 'Exif\0\0II*\0'),
        (bytes, head) => {
          expect(all).toContain(orientationOf({ exif: join(head, bytes) }));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('orient', () => {
  test.each(all)('turns a 3×2 image by %i as Pillow does', (orientation) => {
    const stored = { width: 3, height: 2, data: Uint8Array.from({ length: 18 }, (_, i) => i) };
    const { width, height, data } = orient(stored, orientation);
    expect({ width, height, data: [...data] }).toEqual(expected.oriented[orientation - 1]);
  });

  test('gives the same image after turning it there and back', () => {
    const image = noiseImage(7, 5);
    const back: Record<Orientation, Orientation> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6 };
    for (const orientation of all)
      expect(orient(orient(image, orientation), back[orientation])).toEqual(image);
  });
});

describe('decodeImage applies the orientation', () => {
  const block = (value: number) => tiff([[ORIENTATION, SHORT, 1, value]], { little: false });
  const jpeg = fixture('420.jpg');
  const webp = fixture('lossless.webp');

  test.each(all)('%i in JPEG, PNG and WebP, unless disabled', async (value) => {
    const image = noiseImage(6, 4);
    const files: [Uint8Array, Uint8Array][] = [
      [withSegments(jpeg, jpegSegment(0xe1, join('Exif\0\0', block(value)))), jpeg],
      [rgbPng(image, pngChunk('eXIf', block(value))), rgbPng(image)],
      [
        riff(
          ['VP8X', [EXIF_FLAG, 0, 0, 0, 36, 0, 0, 22, 0, 0]],
          ['VP8L', webp.subarray(20)],
          ['EXIF', block(value)],
        ),
        webp,
      ],
    ];
    for (const [tagged, plain] of files) {
      const stored = await decodeImage(plain);
      expect(await decodeImage(tagged)).toEqual(orient(stored, value as Orientation));
      expect(await decodeImage(tagged, { orient: false })).toEqual(stored);
    }
  });

  const xmpOf = (value: number) => `<x tiff:Orientation="${value}"/>`;

  test('of a JPEG: EXIF may span segments, the last XMP counts, and nothing after the first scan counts', async () => {
    const stored = await decodeImage(jpeg);
    const segment = (payload: Uint8Array) => jpegSegment(0xe1, payload);
    const exif = (payload: Uint8Array) => segment(join('Exif\0\0', payload));
    const xmp = (value: number) => segment(join('http://ns.adobe.com/xap/1.0/\0', xmpOf(value)));
    const turned = async (...segments: Uint8Array[]) => decodeImage(withSegments(jpeg, ...segments));
    expect(await turned(xmp(5), exif(block(3)), exif(block(6)))).toEqual(orient(stored, 3));
    expect(await turned(exif(block(6).subarray(0, 15)), exif(block(6).subarray(15)))).toEqual(
      orient(stored, 6),
    );
    expect(await turned(xmp(5), xmp(8))).toEqual(orient(stored, 8));
    expect(await turned(segment(join('Exif\0', block(6))))).toEqual(stored);
    const progressive = fixture('progressive.jpg');
    const end = progressive.length - 2;
    expect(await decodeImage(join(progressive.subarray(0, end), exif(block(6)), EOI))).toEqual(
      await decodeImage(progressive),
    );
  });

  test('of a WebP: the first EXIF and XMP count, if VP8X announces them', async () => {
    const stored = await decodeImage(webp);
    const picture: [string, Uint8Array] = ['VP8L', webp.subarray(20)];
    const canvas = (flags: number): [string, number[]] => ['VP8X', [flags, 0, 0, 0, 36, 0, 0, 22, 0, 0]];
    const exif = (value: number): [string, Uint8Array] => ['EXIF', block(value)];
    const xmp = (value: number): [string, Uint8Array] => ['XMP ', join(xmpOf(value))];
    const turned = (...chunks: Parameters<typeof riff>) => decodeImage(riff(...chunks));
    expect(await turned(canvas(EXIF_FLAG), picture, exif(6), exif(3))).toEqual(orient(stored, 6));
    expect(await turned(canvas(XMP_FLAG), picture, exif(6), xmp(5), xmp(3))).toEqual(orient(stored, 5));
    expect(await turned(canvas(0), picture, exif(6), xmp(5))).toEqual(stored);
    expect(await turned(picture, exif(6))).toEqual(stored);
  });

  describe('of a PNG, from', () => {
    const image = noiseImage(6, 4);
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').replace(/.{20}/g, '$&\n');
    const profile = (value: number) => `\nexif\n      26\n${hex(block(value))}\n`;
    const RAW = 'Raw profile type exif\0';
    const XMP = 'XML:com.adobe.xmp\0';
    const tEXt = (text: string) => pngChunk('tEXt', join(text));
    const zTXt = (keyword: string, text: string) => pngChunk('zTXt', join(keyword, '\0', deflateSync(text)));
    const iTXt = (keyword: string, text: string, zip = false) =>
      pngChunk('iTXt', join(keyword, [zip ? 1 : 0, 0], 'en\0key\0', zip ? deflateSync(text) : text));
    const behind = (...chunks: Uint8Array[]) => {
      const whole = rgbPng(image);
      return join(whole.subarray(0, -12), ...chunks, whole.subarray(-12));
    };
    const eXIf = (value: number) => pngChunk('eXIf', block(value));

    test.each<[string, Uint8Array, Orientation]>([
      ['a profile in tEXt', rgbPng(image, tEXt(RAW + profile(6))), 6],
      ['a profile in zTXt', rgbPng(image, zTXt(RAW, profile(6))), 6],
      ['a profile in iTXt', rgbPng(image, iTXt(RAW, profile(6))), 6],
      ['a profile in a compressed iTXt', rgbPng(image, iTXt(RAW, profile(6), true)), 6],
      ['a profile after the pixels', behind(zTXt(RAW, profile(6))), 6],
      ['a profile with Exif\\0\\0', rgbPng(image, tEXt(`${RAW}\nexif\n32\n457869660000${hex(block(6))}`)), 6],
      ['the last of several profiles', rgbPng(image, tEXt(RAW + profile(6)), zTXt(RAW, profile(8))), 8],
      ['eXIf rather than a profile', rgbPng(image, eXIf(6), tEXt(RAW + profile(8))), 6],
      [
        'the last of several eXIf',
        join(behind(eXIf(8)).subarray(0, 33), eXIf(6), behind(eXIf(8)).subarray(33)),
        8,
      ],
      ['a text named exif', rgbPng(image, pngChunk('tEXt', join('exif\0', block(6)))), 6],
      ['XMP', rgbPng(image, iTXt(XMP, xmpOf(6))), 6],
      ['XMP in a compressed iTXt after the pixels', behind(iTXt(XMP, xmpOf(6), true)), 6],
      ['EXIF rather than XMP', behind(eXIf(8), iTXt(XMP, xmpOf(6))), 8],
      ['no profile of another type', rgbPng(image, tEXt(`Raw profile type APP1\0${profile(6)}`)), 1],
      ['no unfinished profile', rgbPng(image, tEXt(`${RAW}\nexif\n26`)), 1],
      ['no profile without hexadecimal digits', rgbPng(image, tEXt(`${RAW}\nexif\n26\nzz`)), 1],
      [
        'no profile with an invalid zlib stream',
        rgbPng(image, pngChunk('zTXt', join(RAW, '\0', noise(50, 2)))),
        1,
      ],
    ])('%s', async (_, file, orientation) => {
      expect(await decodeImage(file)).toEqual(orient(image, orientation));
    });

    test('no text that is a decompression bomb, and no more than 100 texts', async () => {
      const bomb = pngChunk('zTXt', join(RAW, '\0', deflateSync(new Uint8Array(100e6))));
      const start = performance.now();
      expect(await refusal(rgbPng(image, bomb), 'IMAGE_UNSUPPORTED')).toContain('less than 1048576 bytes');
      const many = new Array(101).fill(tEXt(RAW + profile(6)));
      expect(await refusal(rgbPng(image, ...many), 'IMAGE_UNSUPPORTED')).toContain('at most 100 texts');
      expect(await decodeImage(rgbPng(image, ...many.slice(1)))).toEqual(orient(image, 6));
      expect(performance.now() - start).toBeLessThan(BOUND_MS);
    });
  });
});

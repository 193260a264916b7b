import { describe, expect, test } from '@jest/globals';
import { decodeImage } from '../../src/image/decode.js';
import {
  BOUND_MS,
  DHT,
  DQT,
  EOI,
  expected,
  fixture,
  flatJpeg,
  join,
  jpegSegment,
  noise,
  refusal,
  SOI,
  SOS,
  sha256,
  sof,
  tiff,
  withSegments,
} from './support.js';

const names = Object.keys(expected.decoded).filter((name) => name.endsWith('.jpg'));

describe('JPEG', () => {
  test.each(names)('%s decodes to the bytes of Pillow', async (file) => {
    const { width, height, data } = await decodeImage(fixture(file), { file });
    expect({ width, height, sha256: sha256(data) }).toEqual(expected.decoded[file]);
  });

  test.each([
    [1, 1],
    [1, 5000],
    [5000, 1],
    [17, 9],
  ])('%i×%i pixels', async (width, height) => {
    const image = await decodeImage(flatJpeg(width, height));
    expect(image).toEqual({ width, height, data: new Uint8Array(width * height * 3).fill(128) });
  });

  test('restart markers belong to the pixels', async () => {
    expect(await decodeImage(flatJpeg(40, 40, true))).toEqual(await decodeImage(flatJpeg(40, 40)));
  });

  test('a thumbnail inside EXIF, bytes and further pictures after the end', async () => {
    const plain = fixture('420.jpg');
    const exif = jpegSegment(0xe1, join('Exif\0\0', tiff([]), flatJpeg(8, 8)));
    const image = await decodeImage(plain);
    expect(await decodeImage(withSegments(plain, exif))).toEqual(image);
    expect(await decodeImage(join(plain, noise(1000, 3)))).toEqual(image);
    expect(await decodeImage(join(plain, fixture('444.jpg')))).toEqual(image);
    // The thumbnail's end-of-image marker is not the picture's.
    await refusal(withSegments(plain, exif).subarray(0, -2), 'IMAGE_TRUNCATED');
    // Fill bytes before a marker, and surplus bytes before the end, are common and harmless.
    expect(await decodeImage(join(plain.subarray(0, -2), [0xff, 0xff], EOI))).toEqual(image);
    expect(await decodeImage(join(plain.subarray(0, -2), [0, 0, 0], EOI))).toEqual(image);
  });
});

describe('JPEGs that are refused', () => {
  test.each(['420.jpg', 'progressive.jpg', 'grey.jpg', 'exif-6.jpg'])(
    'every beginning of %s',
    async (name) => {
      const bytes = fixture(name);
      for (let length = 1; length < bytes.length; length++)
        await refusal(bytes.subarray(0, length), 'IMAGE_TRUNCATED');
    },
  );

  test('one that was cut and closed again', async () => {
    const bytes = fixture('444.jpg');
    for (const part of [0.6, 0.75, 0.9])
      await refusal(join(bytes.subarray(0, bytes.length * part), EOI), 'IMAGE_TRUNCATED');
  });

  test('damaged pixels', async () => {
    const bytes = fixture('444.jpg');
    const at = Math.floor(bytes.length * 0.8);
    const codes = new Set<string>();
    for (let seed = 1; seed < 40; seed++) {
      const damaged = join(bytes.subarray(0, at), noise(40, seed), bytes.subarray(at + 40));
      await decodeImage(damaged).catch((error) => codes.add(error.code));
    }
    expect([...codes].every((code) => /^IMAGE_(DAMAGED|TRUNCATED)$/.test(code))).toBe(true);
    expect(codes.size).toBeGreaterThan(0);
  });

  test.each([
    ['CMYK', fixture('cmyk.jpg'), /CMYK or YCCK JPEG/],
    ['two components', join(SOI, DQT, sof(8, 8, 2), DHT, SOS, [0], EOI), /2 components/],
    ['12-bit', join(SOI, DQT, sof(8, 8, 1, 0xc1, 12), DHT, SOS, [0], EOI), /12-bit/],
    ['lossless', join(SOI, DQT, sof(8, 8, 1, 0xc3), DHT, SOS, [0], EOI), /lossless/],
    ['hierarchical', join(SOI, DQT, sof(8, 8, 1, 0xc5), DHT, SOS, [0], EOI), /hierarchical/],
    ['arithmetic', join(SOI, DQT, sof(8, 8, 1, 0xc9), DHT, SOS, [0], EOI), /arithmetic/],
  ])('%s, by name', async (_, bytes, name) => {
    expect(await refusal(bytes, 'IMAGE_UNSUPPORTED')).toMatch(name);
  });

  test('segments that contradict each other', async () => {
    const rest = join(DHT, SOS, [0], EOI);
    await refusal(join(SOI, DQT, sof(0, 8), rest), 'IMAGE_DAMAGED');
    await refusal(join(SOI, DQT, sof(8, 0), rest), 'IMAGE_DAMAGED');
    await refusal(join(SOI, DQT, sof(8, 8), sof(8, 8), rest), 'IMAGE_DAMAGED');
    await refusal(join(SOI, DQT, rest), 'IMAGE_DAMAGED');
    await refusal(join(SOI, DQT, sof(8, 8), SOI, rest), 'IMAGE_DAMAGED');
    await refusal(join(SOI, DQT, jpegSegment(0xc0, [8, 0, 8]), rest), 'IMAGE_DAMAGED');
    await refusal(join(SOI, DQT, jpegSegment(0xc0, [8, 0, 8, 0, 8, 1, 1, 0, 0]), rest), 'IMAGE_DAMAGED');
    await refusal(join(SOI, [0xff, 0xdb, 0, 1], sof(8, 8), rest), 'IMAGE_DAMAGED');
    await refusal(join(SOI, DQT, sof(8, 8), DHT, EOI), 'IMAGE_TRUNCATED');
    // Tables that are missing or wrong are found by the decoder, whose words are in the message.
    expect(await refusal(join(SOI, sof(8, 8), rest), 'IMAGE_DAMAGED')).toContain('Quantization table');
  });

  test('30000×30000 with little data, at once and whatever the limit', async () => {
    const bytes = join(SOI, DQT, sof(30000, 30000), DHT, SOS, new Uint8Array(100), EOI);
    const start = performance.now();
    expect(await refusal(bytes, 'IMAGE_TOO_LARGE')).toContain('30000×30000 = 900000000');
    await refusal(bytes, 'IMAGE_TRUNCATED', { maxPixels: 1e12 });
    await refusal(join(SOI, DQT, sof(9999, 9999, 3), DHT, SOS, new Uint8Array(100), EOI), 'IMAGE_TRUNCATED');
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });

  test('more scans than any encoder writes', async () => {
    const scans = Array.from({ length: 101 }, () => join(SOS, [0]));
    expect(await refusal(join(SOI, DQT, sof(8, 8), DHT, ...scans, EOI), 'IMAGE_UNSUPPORTED')).toContain(
      '100 scans',
    );
  });
});

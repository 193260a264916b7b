import { describe, expect, test } from '@jest/globals';
import { decodeImage } from '../../../src/image/decode.js';
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
} from '../support.js';

const names = Object.keys(expected.decoded).filter((name) => name.endsWith('.jpg'));

describe('JPEG', () => {
  test.each(names)('%s decodes to the same bytes as in Pillow', async (file) => {
    const { width, height, data } = await decodeImage(fixture(file), { file });
    expect({ width, height, sha256: sha256(data) }).toEqual(expected.decoded[file]);
  });

  test.each([
    [1, 1],
    [1, 5000],
    [5000, 1],
    [17, 9],
  ])('decodes %i×%i pixels', async (width, height) => {
    const image = await decodeImage(flatJpeg(width, height));
    expect(image).toEqual({ width, height, data: new Uint8Array(width * height * 3).fill(128) });
  });

  test('reads restart markers as part of the pixels', async () => {
    expect(await decodeImage(flatJpeg(40, 40, true))).toEqual(await decodeImage(flatJpeg(40, 40)));
  });

  test('ignores a thumbnail in EXIF, and bytes and images after the end', async () => {
    const plain = fixture('420.jpg');
    const exif = jpegSegment(0xe1, join('Exif\0\0', tiff([]), flatJpeg(8, 8)));
    const image = await decodeImage(plain);
    expect(await decodeImage(withSegments(plain, exif))).toEqual(image);
    expect(await decodeImage(join(plain, noise(1000, 3)))).toEqual(image);
    expect(await decodeImage(join(plain, fixture('444.jpg')))).toEqual(image);
    // The end-of-image marker of the thumbnail does not count.
    await refusal(withSegments(plain, exif).subarray(0, -30), 'IMAGE_TRUNCATED');
    // Fill bytes before a marker and surplus bytes before the end are common and harmless.
    expect(await decodeImage(join(plain.subarray(0, -2), [0xff, 0xff], EOI))).toEqual(image);
    expect(await decodeImage(join(plain.subarray(0, -2), [0, 0, 0], EOI))).toEqual(image);
  });
});

const kinds = [
  '420.jpg',
  'progressive.jpg',
  'progressive-restarts.jpg',
  'grey.jpg',
  'grey-progressive.jpg',
  'exif-6.jpg',
];

describe('a JPEG without an end-of-image marker', () => {
  test('has the same pixels, with the trailer of some phones', async () => {
    const phone = fixture('no-end.jpg');
    const trailer = Buffer.from(phone).indexOf('Image_UTC_Data') - 8;
    expect(await decodeImage(phone)).toEqual(await decodeImage(join(phone.subarray(0, trailer), EOI)));
  });

  test.each(kinds)(
    'has the same pixels, with and without trailers that look like markers: %s',
    async (name) => {
      const bytes = fixture(name);
      const image = await decodeImage(bytes);
      const open = bytes.subarray(0, -2);
      const trailers = [
        [],
        [0xff],
        [0xff, 0xff],
        noise(300, 1),
        new Uint8Array(3000),
        fixture('444.jpg'),
        ...[0xc0, 0xc4, 0xd0, 0xd8, 0xd9, 0xda, 0xdb, 0xe1].map((marker) =>
          join('SEF', [0xff, marker], noise(40, marker)),
        ),
      ];
      for (const trailer of trailers) expect(await decodeImage(join(open, trailer))).toEqual(image);
    },
  );

  test('may have restart markers, and sampling factors for a single component', async () => {
    const image = await decodeImage(flatJpeg(40, 40));
    expect(await decodeImage(flatJpeg(40, 40, true).subarray(0, -2))).toEqual(image);
    const factors = jpegSegment(0xc0, [8, 0, 17, 0, 17, 1, 1, 0x21, 0]);
    const flat = join(SOI, DQT, factors, DHT, SOS, [0, 0, 0x3f]);
    expect(await decodeImage(flat)).toEqual(await decodeImage(join(flat, EOI)));
  });

  test('must have all scans, if each component has its own', async () => {
    const scan = (id: number) => join(jpegSegment(0xda, [1, id, 0, 0, 63, 0]), [0]);
    const start = join(SOI, DQT, sof(16, 16, 3), DHT);
    const image = { width: 16, height: 16, data: new Uint8Array(768).fill(128) };
    expect(await decodeImage(join(start, scan(1), scan(2), scan(3), EOI))).toEqual(image);
    await refusal(join(start, scan(1), scan(2), EOI), 'IMAGE_TRUNCATED');
    await refusal(join(start, scan(1), scan(2), scan(2), EOI), 'IMAGE_TRUNCATED');
    await refusal(join(start, scan(1), scan(2)), 'IMAGE_TRUNCATED');
  });

  test.each(kinds)(
    'is refused if the last scan lacks half of its bytes, with a trailer: %s',
    async (name) => {
      const bytes = fixture(name);
      const last = Buffer.from(bytes).lastIndexOf(Buffer.from([0xff, 0xda])) + 10;
      for (let length = last; length < (last + bytes.length) / 2; length++)
        for (const trailer of [new Uint8Array(8), join('SEFH', noise(5, length))])
          await expect(decodeImage(join(bytes.subarray(0, length), trailer))).rejects.toMatchObject({
            code: expect.stringMatching(/^IMAGE_(TRUNCATED|DAMAGED)$/),
          });
    },
  );
});

describe('a JPEG is refused', () => {
  test.each(kinds)('if it is truncated before the end of its pixels: %s', async (name) => {
    const bytes = fixture(name);
    const image = await decodeImage(bytes);
    for (let length = 1; length < bytes.length - 2; length++)
      await refusal(bytes.subarray(0, length), 'IMAGE_TRUNCATED');
    for (const length of [bytes.length - 2, bytes.length - 1])
      expect(await decodeImage(bytes.subarray(0, length))).toEqual(image);
  });

  test('if it is progressive and lacks scans, with or without an end marker', async () => {
    const bytes = fixture('progressive.jpg');
    const starts = Array.from(bytes.keys()).filter((at) => bytes[at] === 0xff && bytes[at + 1] === 0xda);
    expect(starts.length).toBeGreaterThan(5);
    for (const at of starts) {
      await refusal(bytes.subarray(0, at), 'IMAGE_TRUNCATED');
      await refusal(join(bytes.subarray(0, at), EOI), 'IMAGE_TRUNCATED');
    }
  });

  test('for damage that libjpeg does not report after a harmless warning', async () => {
    for (const name of ['420.jpg', 'progressive.jpg', 'progressive-restarts.jpg']) {
      const bytes = fixture(name);
      const sos = Buffer.from(bytes).indexOf(Buffer.from([0xff, 0xda]));
      const surplus = (part: Uint8Array) => join(part.subarray(0, sos), [1, 2, 3], part.subarray(sos));
      expect(await decodeImage(surplus(bytes))).toEqual(await decodeImage(bytes));
      await refusal(join(surplus(bytes.subarray(0, -12)), EOI), 'IMAGE_TRUNCATED');
    }
  });

  test('if it is truncated and has an end marker', async () => {
    const bytes = fixture('444.jpg');
    for (const part of [0.6, 0.75, 0.9])
      await refusal(join(bytes.subarray(0, bytes.length * part), EOI), 'IMAGE_TRUNCATED');
  });

  test('if its pixels are damaged', async () => {
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
    ['of two components', join(SOI, DQT, sof(8, 8, 2), DHT, SOS, [0], EOI), /2 components/],
    ['12-bit', join(SOI, DQT, sof(8, 8, 1, 0xc1, 12), DHT, SOS, [0], EOI), /12-bit/],
    ['lossless', join(SOI, DQT, sof(8, 8, 1, 0xc3), DHT, SOS, [0], EOI), /lossless/],
    ['hierarchical', join(SOI, DQT, sof(8, 8, 1, 0xc5), DHT, SOS, [0], EOI), /hierarchical/],
    ['arithmetic', join(SOI, DQT, sof(8, 8, 1, 0xc9), DHT, SOS, [0], EOI), /arithmetic/],
  ])('by name if it is %s', async (_, bytes, name) => {
    expect(await refusal(bytes, 'IMAGE_UNSUPPORTED')).toMatch(name);
  });

  test('if its segments contradict each other', async () => {
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
    // The decoder detects missing or wrong tables; the message contains its error.
    expect(await refusal(join(SOI, sof(8, 8), rest), 'IMAGE_DAMAGED')).toContain('Quantization table');
  });

  test('at once if it claims 30000×30000 pixels with little data, for any limit', async () => {
    const bytes = join(SOI, DQT, sof(30000, 30000), DHT, SOS, new Uint8Array(100), EOI);
    const start = performance.now();
    expect(await refusal(bytes, 'IMAGE_TOO_LARGE')).toContain('30000×30000 = 900000000');
    await refusal(bytes, 'IMAGE_TRUNCATED', { maxPixels: 1e12 });
    await refusal(join(SOI, DQT, sof(9999, 9999, 3), DHT, SOS, new Uint8Array(100), EOI), 'IMAGE_TRUNCATED');
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });

  test('if it has more scans than any encoder writes', async () => {
    const upperBits = join(jpegSegment(0xda, [1, 1, 0, 0, 0, 1]), [0]);
    const scans = Array.from({ length: 101 }, () => upperBits);
    expect(
      await refusal(join(SOI, DQT, sof(8, 8, 1, 0xc2), DHT, ...scans, EOI), 'IMAGE_UNSUPPORTED'),
    ).toContain('100 scans');
  });
});

import { describe, expect, jest, test } from '@jest/globals';
import { type Codec, CodecFailure, createImageCodecs } from '../../src/image/codec.js';
import { nodeCodecModules } from '../../src/image/codecs-node.js';
import { decodeImage } from '../../src/image/decode.js';
import type { RgbImage } from '../../src/image/types.js';
import { DHT, DQT, EOI, fixture, join, jpegSegment, refusal, riff, SOI, SOS, sof } from './support.js';

/** Valid segments without a quantisation table, which only the decoder notices. */
const noTables = join(SOI, sof(800, 800), DHT, SOS, new Uint8Array(5000), EOI);
const badWebp = riff(['VP8L', join([0x2f, 7, 0, 0, 0], fixture('lossless.webp').subarray(40, 90))]);

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}

describe('the decoders', () => {
  test('still work after 2000 damaged files', async () => {
    const attack = fixture('cve-2023-4863-shape.webp');
    const jpeg = fixture('420.jpg');
    const webp = fixture('lossy.webp');
    const expectedJpeg = await decodeImage(jpeg);
    const expectedWebp = await decodeImage(webp);
    const bad = [noTables, badWebp, attack, jpeg.subarray(0, -20)];
    const codes = new Map<string, number>();
    for (let i = 0; i < 2000; i++) {
      const code = await decodeImage(bad[i % 4]!).then(String, (error) => error.code);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect(Object.fromEntries(codes)).toEqual({ IMAGE_DAMAGED: 1500, IMAGE_TRUNCATED: 500 });
    expect(await decodeImage(jpeg)).toEqual(expectedJpeg);
    expect(await decodeImage(webp)).toEqual(expectedWebp);
  });

  test('handle concurrent calls', async () => {
    const names = ['420.jpg', '444.jpg', 'grey.jpg', 'lossy.webp', 'lossless.webp', 'palette-5.png'];
    const alone: RgbImage[] = [];
    for (const name of names) alone.push(await decodeImage(fixture(name)));
    const codecs = createImageCodecs(nodeCodecModules);
    const work = Array.from({ length: 60 }, async (_, i) => {
      if (i % 5 === 4) await refusal(i % 2 ? noTables : badWebp, 'IMAGE_DAMAGED', { codecs });
      const which = i % names.length;
      expect(await decodeImage(fixture(names[which]!), { codecs })).toEqual(alone[which]);
    });
    await Promise.all(work);
  });

  test('reuse an instance for the next image, but not after an error or a warning', async () => {
    const { Instance } = WebAssembly;
    const start = (module: WebAssembly.Module, imports?: WebAssembly.Imports) =>
      new Instance(module, imports);
    const started = jest.spyOn(WebAssembly, 'Instance').mockImplementation(start);
    const codecs = createImageCodecs(nodeCodecModules);
    const instances = async (bytes: Uint8Array) => {
      started.mockClear();
      await decodeImage(bytes, { codecs }).catch(() => undefined);
      return started.mock.calls.length;
    };
    try {
      const jpeg = fixture('420.jpg');
      const surplus = join(jpeg.subarray(0, -2), [0, 0, 0], EOI);
      const cut = join(jpeg.subarray(0, -20), EOI);
      const webp = fixture('lossy.webp');
      const jpegs = [jpeg, fixture('444.jpg'), cut, jpeg, surplus, jpeg, noTables, jpeg, jpeg];
      expect(await inTurn(jpegs, instances)).toEqual([1, 0, 0, 1, 0, 1, 0, 1, 0]);
      const longPartition = new Uint8Array(webp);
      // a first partition that is longer than the file
      longPartition.fill(255, 21, 23);
      expect(await inTurn([webp, fixture('exif-5.webp'), longPartition, webp], instances)).toEqual([
        1, 0, 0, 1,
      ]);
      // Lossless images may take so much memory that their instances are never kept.
      const lossless = [
        fixture('lossless.webp'),
        fixture('cve-2023-4863-shape.webp'),
        fixture('lossless.webp'),
      ];
      expect(await inTurn(lossless, instances)).toEqual([1, 1, 1]);
    } finally {
      started.mockRestore();
    }
  });

  test('respect the memory limit of a call, and distinguish a lack of memory from damage', async () => {
    const { jpeg, webp } = createImageCodecs(nodeCodecModules);
    // The coefficients of a progressive file take 2 bytes per pixel, 72 MB; the file counts too.
    const [width, height] = [6000, 6000];
    const scan = join(jpegSegment(0xda, [1, 1, 0, 0, 0, 0]), new Uint8Array(70_313));
    const progressive = join(SOI, DQT, sof(width, height, 1, 0xc2), DHT, scan, EOI);
    const ignore = () => undefined;
    for (const work of [
      () => jpeg.decode(progressive, width, height, 1e6, ignore),
      () => jpeg.decode(new Uint8Array(70e6), 8, 8, 1e6, ignore),
      () => webp.decode(new Uint8Array(70e6), 8, 8, 1e6, ignore),
    ])
      await expect(work()).rejects.toMatchObject({ name: 'CodecFailure', outOfMemory: true });
    let given = 0;
    const count = (rows: Uint8Array) => {
      given += rows.length;
    };
    expect(await jpeg.decode(progressive, width, height, 80e6, count)).toMatchObject({ warning: '' });
    expect(given).toBe(width * height * 3);
    await expect(webp.decode(badWebp, 8, 1, 1e6, ignore)).rejects.toMatchObject({ outOfMemory: false });
    await expect(jpeg.decode(fixture('420.jpg'), 8, 8, 1e6, ignore)).rejects.toThrow('another size');
    await expect(webp.decode(fixture('lossy.webp'), 8, 8, 1e6, ignore)).rejects.toThrow('another size');
  });

  test('report an image that lacks memory as too large, not damaged', async () => {
    const full = { decode: () => Promise.reject(new CodecFailure('out of memory')) } as unknown as Codec;
    for (const name of ['420.jpg', 'lossy.webp'])
      await refusal(fixture(name), 'IMAGE_TOO_LARGE', { codecs: { jpeg: full, webp: full } });
  });

  test('are loaded only when needed, and only once', async () => {
    const loaded: string[] = [];
    const note = (name: 'jpeg' | 'webp') => {
      loaded.push(name);
      return nodeCodecModules[name]();
    };
    const codecs = createImageCodecs({
      jpeg: () => note('jpeg'),
      webp: () => note('webp'),
    });
    await decodeImage(fixture('palette-5.png'), { codecs });
    await refusal(fixture('cmyk.jpg'), 'IMAGE_UNSUPPORTED', { codecs });
    expect(loaded).toEqual([]);
    await Promise.all([
      decodeImage(fixture('420.jpg'), { codecs }),
      decodeImage(fixture('444.jpg'), { codecs }),
    ]);
    await refusal(noTables, 'IMAGE_DAMAGED', { codecs });
    await decodeImage(fixture('420.jpg'), { codecs });
    expect(loaded).toEqual(['jpeg']);
  });

  test('report a decoder that cannot be loaded, and try again on the next call', async () => {
    let broken = true;
    const codecs = createImageCodecs({
      ...nodeCodecModules,
      jpeg: () => (broken ? Promise.reject(new Error('no such file')) : nodeCodecModules.jpeg()),
    });
    for (let i = 0; i < 2; i++)
      await expect(decodeImage(fixture('420.jpg'), { codecs })).rejects.toMatchObject({
        name: 'RuntimeError',
        code: 'CODEC_MISSING',
        message: expect.stringContaining('no such file'),
      });
    broken = false;
    expect((await decodeImage(fixture('420.jpg'), { codecs })).width).toBe(37);
  });
});

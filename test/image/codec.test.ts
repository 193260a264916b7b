import { describe, expect, test } from '@jest/globals';
import { createImageCodecs } from '../../src/image/codec.js';
import { nodeCodecModules } from '../../src/image/codecs-node.js';
import { decodeImage } from '../../src/image/decode.js';
import type { RgbImage } from '../../src/image/types.js';
import { DHT, EOI, fixture, join, refusal, riff, SOI, SOS, sof } from './support.js';

/** Sound segments without a quantisation table: only the decoder finds out. */
const noTables = join(SOI, sof(800, 800), DHT, SOS, new Uint8Array(5000), EOI);
const badWebp = riff(['VP8L', join([0x2f, 7, 0, 0, 0], fixture('lossless.webp').subarray(40, 90))]);

describe('the decoders', () => {
  test('1000 damaged files in a row leave them working', async () => {
    const jpeg = fixture('420.jpg');
    const webp = fixture('lossy.webp');
    const expectedJpeg = await decodeImage(jpeg);
    const expectedWebp = await decodeImage(webp);
    // mozjpeg throws, libwebp only gives nothing; an instance that is kept dies of 300 throws.
    for (let i = 0; i < 1000; i++)
      await expect(decodeImage(i % 5 < 2 ? noTables : badWebp)).rejects.toMatchObject({
        code: 'IMAGE_DAMAGED',
      });
    expect(await decodeImage(jpeg)).toEqual(expectedJpeg);
    expect(await decodeImage(webp)).toEqual(expectedWebp);
  });

  test('calls at the same time do not disturb each other', async () => {
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

  test('nothing is loaded before it is needed, and each only once', async () => {
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

  test('a decoder that cannot be loaded is an error of its own, and the next call tries again', async () => {
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

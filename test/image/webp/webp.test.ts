import { describe, expect, test } from '@jest/globals';
import { decodeImage } from '../../../src/image/decode.js';
import { BOUND_MS, expected, fixture, join, noise, refusal, riff, sha256 } from '../support.js';

const names = Object.keys(expected.decoded).filter((name) => name.endsWith('.webp'));

describe('WebP', () => {
  test.each(names)('%s decodes to the same bytes as in Pillow', async (file) => {
    const { width, height, data } = await decodeImage(fixture(file), { file });
    expect({ width, height, sha256: sha256(data) }).toEqual(expected.decoded[file]);
  });

  test('ignores bytes after the end', async () => {
    const plain = fixture('lossy.webp');
    expect(await decodeImage(join(plain, noise(99, 1)))).toEqual(await decodeImage(plain));
  });
});

describe('a WebP is refused', () => {
  test.each(['lossy.webp', 'lossless.webp', 'alpha-lossy.webp', 'exif-5.webp'])(
    'if it is truncated anywhere: %s',
    async (name) => {
      const bytes = fixture(name);
      for (let length = 1; length < bytes.length; length++)
        await refusal(bytes.subarray(0, length), 'IMAGE_TRUNCATED');
    },
  );

  test('by name if it is an animation', async () => {
    expect(await refusal(fixture('animated.webp'), 'IMAGE_UNSUPPORTED')).toContain('animated WebP');
  });

  test('for a missing, invalid or damaged image', async () => {
    await refusal(riff(), 'IMAGE_DAMAGED');
    await refusal(riff(['EXIF', noise(20, 1)]), 'IMAGE_DAMAGED');
    await refusal(riff(['VP8X', [0, 0, 0, 0, 7, 0, 0, 7, 0, 0]]), 'IMAGE_DAMAGED');
    await refusal(riff(['VP8X', []]), 'IMAGE_TRUNCATED');
    await refusal(riff(['VP8 ', noise(30, 1)]), 'IMAGE_DAMAGED');
    await refusal(riff(['VP8 ', [0, 0, 0]]), 'IMAGE_TRUNCATED');
    await refusal(riff(['VP8L', noise(30, 1)]), 'IMAGE_DAMAGED');
    await refusal(riff(['VP8L', join([0x2f, 7, 0, 0, 0], noise(30, 1))]), 'IMAGE_DAMAGED');
    // A canvas whose size differs from that of the image.
    const lossy = fixture('lossy.webp').subarray(20);
    await refusal(riff(['VP8X', [0, 0, 0, 0, 9, 0, 0, 9, 0, 0]], ['VP8 ', lossy]), 'IMAGE_DAMAGED');
  });

  test('for Huffman tables as in CVE-2023-4863, without harm to the next image', async () => {
    const attack = fixture('cve-2023-4863-shape.webp');
    const control = fixture('webp-control.webp');
    const image = await decodeImage(control);
    expect(await refusal(attack, 'IMAGE_DAMAGED')).toContain('the data are damaged');
    expect(await decodeImage(control)).toEqual(image);
    // The codes of the last table, which overflows, begin here. Try shorter, longer and no
    // overflows.
    for (let at = 530; at < 560; at++)
      for (let seed = 1; seed < 20; seed++) {
        const bytes = new Uint8Array(attack);
        bytes.set(noise(3, seed * 99 + at), at);
        await decodeImage(bytes).catch((error) => expect(error).toMatchObject({ code: 'IMAGE_DAMAGED' }));
      }
    expect(await decodeImage(control)).toEqual(image);
  });

  test('at once if it claims 30000×30000 or 16384×16384 pixels with little data', async () => {
    const start = performance.now();
    const canvas = [0, 0, 0, 0, 0x2f, 0x75, 0, 0x2f, 0x75, 0];
    expect(await refusal(riff(['VP8X', canvas]), 'IMAGE_TOO_LARGE')).toContain('30000×30000 = 900000000');
    await refusal(riff(['VP8L', [0x2f, 255, 255, 255, 255, 0, 0]]), 'IMAGE_TOO_LARGE');
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });
});

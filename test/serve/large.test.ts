import { expect, test } from '@jest/globals';
import { isLarge } from '../../src/serve/large.js';

const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat([
    ...parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
    Buffer.alloc(40),
  ]);
const be32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const be16 = (value: number) => [value >>> 8, value & 255];
const png = (width: number, height: number) =>
  bytes('\x89PNG\r\n\x1a\n', be32(13), 'IHDR', be32(width), be32(height));
const jpeg = (frame: number, width: number, height: number, between: number[] = []) =>
  bytes([
    0xff,
    0xd8,
    0xff,
    0xe0,
    0,
    4,
    1,
    2,
    ...between,
    0xff,
    frame,
    0,
    17,
    8,
    ...be16(height),
    ...be16(width),
  ]);
const le14 = (width: number, height: number) => {
  const bits = (width - 1) | ((height - 1) << 14);
  return [bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24];
};
const webp = (kind: string, data: number[]) => bytes('RIFF', be32(0), 'WEBP', kind, be32(0), data);

test.each<[string, Uint8Array, boolean]>([
  ['nothing', new Uint8Array(), false],
  ['no image', bytes('hello'), false],
  ['a PNG of 24 megapixels', png(6000, 4000), false],
  ['a PNG of 49', png(7000, 7000), true],
  ['a JPEG of 24', jpeg(0xc0, 6000, 4000), false],
  ['a JPEG of 36', jpeg(0xc0, 6000, 6000), true],
  ['a progressive JPEG of 3', jpeg(0xc2, 2000, 1500), false],
  ['a progressive JPEG of 4', jpeg(0xc2, 2000, 2000), true],
  ['fill bytes before the frame', jpeg(0xc0, 6000, 6000, [0xff, 0xff]), true],
  ['endless segments', bytes([0xff, 0xd8], '\xff\xe0\0\x02'.repeat(2000)), true],
  ['a JPEG without a frame', bytes([0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0, 0]), false],
  ['a lossless WebP of 36', webp('VP8L', [0x2f, ...le14(6000, 6000)]), true],
  ['a lossless WebP of 1', webp('VP8L', [0x2f, ...le14(1000, 1000)]), false],
  ['a lossy WebP of 36', webp('VP8 ', [0, 0, 0, 0x9d, 1, 0x2a, 0x70, 0x17, 0x70, 0x17]), true],
  ['an extended WebP of 36', webp('VP8X', [0, 0, 0, 0, 0x6f, 0x17, 0, 0x6f, 0x17, 0]), true],
])('%s', (_, image, expected) => {
  expect(isLarge(image)).toBe(expected);
});

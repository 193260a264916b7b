import { constants, deflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InflateError, Inflater } from '../../../src/image/png/inflate.js';
import { BOUND_MS, join, noise } from '../support.js';

/** The whole output of an inflater. */
function inflate(bytes: Uint8Array, limit = 2 ** 30): Uint8Array {
  const inflater = new Inflater(bytes, limit);
  const runs: Uint8Array[] = [];
  for (let run = inflater.next(); run.length > 0; run = inflater.next()) runs.push(run.slice());
  return join(...runs);
}

const { Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE, Z_DEFAULT_STRATEGY } = constants;
const settings = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  strategy: fc.constantFrom(Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE, Z_DEFAULT_STRATEGY),
  windowBits: fc.integer({ min: 9, max: 15 }),
});
/** Data with few different values, which gives matches and codes of all lengths. */
const contents = fc
  .tuple(fc.integer({ min: 0, max: 3000 }), fc.nat(), fc.constantFrom(1, 2, 60, 255))
  .map(([length, seed, values]) => noise(length, seed).map((byte) => byte % values));

describe('Inflater', () => {
  test('inflates what zlib deflated, or its beginning', () => {
    fc.assert(
      fc.property(contents, settings, fc.nat(), (data, options, cut) => {
        const stream = deflateSync(data, options);
        const limit = cut % (data.length + 1);
        expect(inflate(stream)).toEqual(data);
        expect(inflate(stream, limit)).toEqual(data.subarray(0, limit));
        // Bytes after the checksum and after the limit are never read.
        expect(inflate(join(stream, noise(20, 1)), data.length)).toEqual(data);
      }),
    );
  });

  test('inflates megabytes with matches that reach back across its buffers', () => {
    const data = join(noise(33_000, 1), new Uint8Array(500_000).fill(7), noise(33_000, 1), noise(33_000, 1));
    for (const level of [0, 1, 9])
      expect(Buffer.compare(inflate(deflateSync(data, { level })), data)).toBe(0);
  });

  test('refuses a wrong checksum if it is reached, but accepts a missing one', () => {
    const data = noise(500, 3);
    const stream = deflateSync(data);
    const wrong = join(stream.subarray(0, -1), [stream.at(-1)! ^ 1]);
    expect(() => inflate(wrong)).toThrow(new InflateError('incorrect data check'));
    expect(() => inflate(wrong, 500)).toThrow(new InflateError('incorrect data check'));
    expect(inflate(wrong, 499)).toEqual(data.subarray(0, 499));
    for (let missing = 1; missing <= 4; missing++)
      expect(inflate(stream.subarray(0, -missing))).toEqual(data);
  });

  test('inflates any beginning to a beginning', () => {
    const data = noise(300, 3).map((byte) => byte % 30);
    for (const strategy of [Z_FIXED, Z_DEFAULT_STRATEGY]) {
      const stream = deflateSync(data, { strategy });
      for (let length = 0; length < stream.length; length++) {
        const part = inflate(stream.subarray(0, length));
        expect(part).toEqual(data.subarray(0, part.length));
      }
    }
  });

  test('accepts a stream that declares a smaller window than it uses', () => {
    const data = join(noise(5000, 1), noise(5000, 1));
    const stream = deflateSync(data);
    // CINFO 1 declares a window of 512 bytes.
    expect(inflate(join([0x18, 0x19], stream.subarray(2)))).toEqual(data);
  });

  test.each<[string, number[]]>([
    ['incorrect header check', [0x78, 0x9d]],
    ['a preset dictionary is needed', [0x78, 0x20, 0, 0, 0, 0]],
    ['invalid block type', [0x78, 0x9c, 0x07]],
    ['invalid distance too far back', [0x78, 0x9c, 0x03, 0x02]],
  ])('throws "%s"', (message, bytes) => {
    expect(() => inflate(Uint8Array.from(bytes))).toThrow(new InflateError(message));
  });

  test('skips 100,000 empty blocks quickly', () => {
    const start = performance.now();
    expect(inflate(join([0x78, 0x9c], ...new Array(100_000).fill([0, 0, 0, 0xff, 0xff])))).toHaveLength(0);
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });
});

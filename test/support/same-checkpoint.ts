import { expect } from '@jest/globals';
import { readIntegerModel } from '../../src/checkpoint/integer/model.js';
import type { Quantized } from '../../src/quantize/index.js';

/** Expects the same bytes, except the SHA-256 of the source, which must differ, and the digest. */
export function expectSameButSource(found: Quantized, expected: Quantized): void {
  const [{ sourceSha256 }, { sourceSha256: source }] = [found.model.recipe, expected.model.recipe];
  expect(sourceSha256).not.toBe(source);
  const [text, wanted] = [found, expected].map(({ bytes }) => {
    const digest = readIntegerModel(bytes).sha256;
    return Buffer.from(bytes).toString('latin1').replace(digest, '').replace(sourceSha256, source);
  });
  expect(text === wanted).toBe(true);
}

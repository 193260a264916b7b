import { expect } from '@jest/globals';
import type { Quantized } from '../../src/quantize/index.js';

/** Two files of the same weights: the same bytes but for the SHA-256 of the source, which differs. */
export function expectSameButSource(found: Quantized, expected: Quantized): void {
  const [{ sourceSha256 }, { sourceSha256: source }] = [found.model.recipe, expected.model.recipe];
  expect(sourceSha256).not.toBe(source);
  const text = Buffer.from(found.bytes).toString('latin1').replace(sourceSha256, source);
  expect(Buffer.from(text, 'latin1').equals(Buffer.from(expected.bytes))).toBe(true);
}

import { expect } from '@jest/globals';
import type { Quantized } from '../../src/quantize/index.js';

/** Expects the same bytes, except the SHA-256 of the source, which must differ. */
export function expectSameButSource(found: Quantized, expected: Quantized): void {
  const [{ sourceSha256 }, { sourceSha256: source }] = [found.model.recipe, expected.model.recipe];
  expect(sourceSha256).not.toBe(source);
  const text = Buffer.from(found.bytes).toString('latin1').replace(sourceSha256, source);
  expect(Buffer.from(text, 'latin1').equals(Buffer.from(expected.bytes))).toBe(true);
}

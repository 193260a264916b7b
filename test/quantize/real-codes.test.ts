import { expect, test } from '@jest/globals';
import { networkOf } from '../../src/networks/index.js';
import { realCodes } from '../../src/quantize/real-codes.js';
import { EIGHTHS, RECIPE, tinyInteger, UNIFORM } from '../support/tiny-integer.js';

test.each([
  [RECIPE, { 0: 1, 1: 0.5, 14: 2 ** -14, 15: 2 ** -15, 16: 0, 255: 0 }],
  [EIGHTHS, { 0: 1, 1: 2 ** -0.125, 8: 0.5, 127: 2 ** -15.875, 128: 0, 255: 0 }],
  [UNIFORM, { 0: 0, 1: 1 / 255, 127: 127 / 255, 255: 1 }],
])('attention codes %#', (recipe, expected) => {
  const model = tinyInteger({}, recipe);
  const { values, scales } = realCodes(model, networkOf(model.architecture, false), 'blocks.0.attn.probs');
  for (const [code, value] of Object.entries(expected)) expect(values[Number(code)]).toBeCloseTo(value, 15);
  expect([...scales]).toEqual([1]);
});

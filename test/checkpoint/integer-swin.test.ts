import { describe, expect, jest, test } from '@jest/globals';
import { integerLayout } from '../../src/checkpoint/integer-layout.js';
import { readIntegerModel, writeIntegerModel } from '../../src/checkpoint/integer-model.js';
import { load } from '../../src/classify.js';
import { RuntimeError } from '../../src/errors.js';
import {
  tinySwinInteger,
  UNIFORM,
  withDescription,
  withTensors,
  withValue,
} from '../support/tiny-integer.js';
import { refusal } from './raw-file.js';

const valid = writeIntegerModel(tinySwinInteger());
const { architecture } = readIntegerModel(valid);

/**
 * Expects one CheckpointError with this code, the file name and all of `says`, within `limitMs`
 * (default: one second) and without any memory allocated.
 */
function expectRefusal(file: Uint8Array, code: string, says: readonly string[], limitMs?: number): void {
  const memory = jest.spyOn(WebAssembly, 'Memory');
  const error = refusal(() => readIntegerModel(file, { file: 'swin.safetensors' }), limitMs);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(/^swin\.safetensors: /);
  for (const part of says) expect(error.message).toContain(part);
  expect(error.message.length).toBeLessThan(600);
  expect(memory).not.toHaveBeenCalled();
  memory.mockRestore();
}

test.each([
  ['log2 attention', {}, undefined],
  ['uniform attention', {}, UNIFORM],
  ['windows larger than the last stages', { depths: [1, 1, 1], heads: [1, 2, 4] }, undefined],
])('a Swin with %s has the same bytes when read and written again', (_, sizes, recipe) => {
  const file = writeIntegerModel(tinySwinInteger(sizes, recipe));
  expect(writeIntegerModel(readIntegerModel(file))).toEqual(file);
});

describe('an invalid Swin architecture', () => {
  const A = 'description.architecture';
  test.each<[name: string, change: object, ...says: string[]]>([
    [
      'a stage that does not divide into windows',
      { window: 3 },
      `${A}.window`,
      'stage 0 has a map of 8×8 tokens',
      '3×3',
      'found 3',
    ],
    [
      'a later stage that does not divide into windows',
      { imageSize: 24, window: 4 },
      'stage 1 has a map of 6×6 tokens',
      '4×4',
    ],
    [
      'a map that cannot be merged',
      { imageSize: 14, window: 7 },
      'stage 0 has a map of 7×7 tokens',
      'merged',
    ],
    [
      'a map of half a token',
      { imageSize: 4, depths: [1, 1, 1], heads: [2, 2, 2], window: 1 },
      'stage 1',
      'merged',
    ],
    [
      'an image that is not a multiple of the patch',
      { imageSize: 17 },
      `${A}.imageSize: expected a multiple of the patch size 2`,
    ],
    [
      'too many patches',
      { imageSize: 2048, patchSize: 1, window: 8 },
      `${A}.imageSize: expected at most 65536 patches`,
    ],
    ['window 0', { window: 0 }, `${A}.window: expected an integer from 1 to 64, found 0`],
    ['a negative window', { window: -4 }, `${A}.window`, 'found -4'],
    ['window 65', { window: 65 }, `${A}.window`, 'from 1 to 64, found 65'],
    ['a fractional window', { window: 3.5 }, `${A}.window`, 'found 3.5'],
    ['a string as window', { window: '4' }, `${A}.window`, 'found "4"'],
    ['a missing window', { window: undefined }, `${A}.window`, 'found nothing'],
    ['no depths', { depths: [] }, `${A}.depths: expected a list of 1 to 8 integers`, 'found []'],
    ['a number as depths', { depths: 4 }, `${A}.depths`, 'found 4'],
    [
      'nine stages',
      { depths: Array(9).fill(1), heads: Array(9).fill(1) },
      `${A}.depths: expected a list of 1 to 8`,
    ],
    ['too many heads', { heads: [2, 4097] }, `${A}.heads`, 'from 1 to 4096'],
    ['1e9 heads', { heads: [1e9, 4] }, `${A}.heads`, 'found [1000000000, 4]'],
    ['fractional heads', { heads: [2, 0.5] }, `${A}.heads`],
    [
      'a list of a million depths',
      { depths: Array(1e6).fill(1) },
      `${A}.depths: expected a list of 1 to 8 integers`,
    ],
    ['image size 0', { imageSize: 0 }, `${A}.imageSize`, 'found 0'],
    ['a depth of 0', { depths: [2, 0] }, `${A}.depths`, 'from 1 to 256'],
    ['a depth of 1e9', { depths: [2, 1e9] }, `${A}.depths`, 'from 1 to 256'],
    ['a fractional depth', { depths: [2, 1.5] }, `${A}.depths`],
    ['heads for fewer stages', { heads: [2] }, `${A}.heads: expected as many stages as depths, 2`],
    ['a number as heads', { heads: 2 }, `${A}.heads`, 'found 2'],
    [
      'a number of heads that does not divide a stage',
      { heads: [2, 3] },
      `${A}.heads: expected a divisor of the dimension 32`,
    ],
    ['heads of 4 channels', { heads: [2, 8] }, `${A}.heads: expected a head dimension (32/8)`],
    ['dim 20', { dim: 20 }, `${A}.dim: expected a multiple of 8, found 20`],
    ['a merge of too many channels', { dim: 2048, heads: [1, 1] }, `${A}.dim: expected at most 4096`],
    [
      'a last stage of too many channels',
      { depths: Array(8).fill(1), heads: Array(8).fill(1), dim: 64 },
      `${A}.dim`,
    ],
    [
      'an MLP of too many channels',
      { mlpDim: 16384 },
      `${A}.mlpDim: expected at most 16384 in the last stage`,
    ],
    ['the depth of a DeiT', { depth: 2 }, `${A}: expected only the keys`, '"depth"'],
    ['a family with other keys', { family: 'deit' }, `${A}.heads`],
  ])('refuses %s', (_, change, ...says) => {
    expectRefusal(
      withValue(valid, ['architecture'], { ...architecture, ...change }),
      'MODEL_DESCRIPTION',
      says,
    );
  });

  test.each([
    { window: 2 },
    { window: 8 },
    { depths: [2, 3] },
    { heads: [1, 4] },
    { mlpDim: 64 },
    { dim: 32 },
    { patchSize: 1, imageSize: 8 },
    { classes: 4 },
    { depths: [256, 256], heads: [2, 4] },
  ])('refuses sizes that the tensors do not have: %j', (change) => {
    const file = withValue(valid, ['architecture'], { ...architecture, ...change });
    expect(['MODEL_DESCRIPTION', 'MODEL_SHAPE']).toContain(refusal(() => readIntegerModel(file), 500).code);
  });
});

test('refuses a file with the most blocks and all their scales in linear time', () => {
  const file = withDescription(valid, (json) => {
    const many = { depths: Array(8).fill(256), heads: Array(8).fill(1), dim: 8, imageSize: 256, window: 64 };
    Object.assign(json.architecture, many);
    json.preprocessing.imageSize = 256;
    json.quantizers = Object.fromEntries(
      integerLayout(json).quantizers.map((name) => [name, { scale: 1, zeroPoint: 0 }]),
    );
  });
  expect(file.length).toBeGreaterThan(1e6);
  // A fifth of a second on an idle machine; comparing all pairs of names would exceed the limit.
  const says = ['description.steps.layers.0.blocks.2.norm1: expected an object, found nothing'];
  expectRefusal(file, 'MODEL_DESCRIPTION', says, 2500);
});

describe('steps and quantisers', () => {
  const bias = ['steps', 'layers.0.blocks.1.attn.scores'];
  test.each<[name: string, path: string[], value: unknown, ...says: string[]]>([
    [
      'a missing step of the bias',
      bias,
      undefined,
      'layers.0.blocks.1.attn.scores: expected an object, found nothing',
    ],
    [
      'a multiplier below 0',
      [...bias, 'biasMultiplier'],
      -1,
      'biasMultiplier: expected an integer from 0 to 2147483647',
    ],
    ['a multiplier of 2^31', [...bias, 'multiplier'], 2 ** 31, 'multiplier', 'found 2147483648'],
    ['a shift of 31', [...bias, 'shift'], 31, 'shift: expected an integer from 1 to 30, found 31'],
    [
      'a pooling without a shift',
      ['steps', 'pooled', 'right'],
      undefined,
      'steps.pooled.right',
      'found nothing',
    ],
    ['an unknown step', ['steps', 'stem'], { shift: 1 }, 'expected only the keys', '"stem"'],
    [
      'a missing scale of q·kᵀ',
      ['quantizers', 'layers.1.blocks.0.attn.qk'],
      undefined,
      'attn.qk: expected an object',
    ],
    [
      'a scale of 0',
      ['quantizers', 'pooled', 'scale'],
      0,
      'quantizers.pooled.scale: expected a positive number',
    ],
    ['an unknown quantiser', ['quantizers', 'tokens'], { scale: 1, zeroPoint: 0 }, '"tokens"'],
  ])('refuses %s', (_, path, value, ...says) => {
    expectRefusal(withValue(valid, path, value), 'MODEL_DESCRIPTION', says);
  });
});

describe('tensors', () => {
  const table = 'layers.0.blocks.0.attn.bias_table';
  const factors = 'layers.0.downsample.reduction.factors';

  test('refuses a missing position bias', () => {
    const file = withTensors(valid, (all) => all.delete(table));
    expectRefusal(file, 'MODEL_TENSORS', [`missing "${table}"`]);
  });

  test('refuses a merge after the last stage', () => {
    const file = withTensors(valid, (all) =>
      all.set('extra', { ...all.get(factors)!, name: 'layers.1.downsample.reduction.factors' }),
    );
    expectRefusal(file, 'MODEL_TENSORS', ['extra "layers.1.downsample.reduction.factors"']);
  });

  test('refuses the position bias of another window', () => {
    const file = withTensors(valid, (all) =>
      all.set(table, { ...all.get(table)!, shape: [25, 2], data: new Uint8Array(50) }),
    );
    expectRefusal(file, 'MODEL_SHAPE', [`tensor ${table}: expected U8 [49,2], found U8 [25,2]`]);
  });

  test('refuses a position bias of another type', () => {
    const file = withTensors(valid, (all) => all.set(table, { ...all.get(table)!, dtype: 'I8' }));
    expectRefusal(file, 'MODEL_SHAPE', ['expected U8 [49,2], found I8 [49,2]']);
  });

  test('refuses a power-of-two factor of 4 on the merged patches', () => {
    const file = withTensors(valid, (all) => {
      all.get(factors)!.data[5] = 4;
    });
    expectRefusal(file, 'MODEL_VALUE', [`tensor ${factors}, element 5`, 'from 0 to 3, found 4']);
  });

  test('refuses exponentials that overflow over the scores of a window', () => {
    const name = 'layers.1.blocks.0.attn.probs.table';
    const file = withTensors(valid, (all) => {
      new DataView(all.get(name)!.data.buffer).setUint32(0, 2 ** 28 + 1, true);
    });
    expectRefusal(file, 'MODEL_VALUE', [
      `tensor ${name}, element 0: expected 1 to 268435455 for rows of 16 scores`,
    ]);
  });
});

test('refuses a valid file whose scores need too much memory, before allocating any', async () => {
  // attn.qk and attn.scores: 16 windows of 4096 tokens, 8 heads, 2 · 2.1 GB.
  const sizes = { imageSize: 256, patchSize: 1, depths: [1], heads: [8], window: 64, dim: 64, mlpDim: 8 };
  const file = writeIntegerModel(tinySwinInteger(sizes));
  const start = performance.now();
  const error = await load(file).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RuntimeError);
  expect(error).toMatchObject({
    code: 'MEMORY',
    message: expect.stringMatching(/needs \d{10} bytes of WebAssembly memory/),
  });
  expect(performance.now() - start).toBeLessThan(2000);
});

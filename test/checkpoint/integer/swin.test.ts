import { describe, expect, jest, test } from '@jest/globals';
import { readIntegerModel, writeIntegerModel } from '../../../src/checkpoint/integer/model.js';
import { RuntimeError } from '../../../src/errors.js';
import { load } from '../../../src/model/model.js';
import {
  sealed,
  tinySwinInteger,
  UNIFORM,
  withDescription,
  withLayer,
  withTensors,
} from '../../support/tiny-integer.js';
import { refusal } from '../raw-file.js';

const valid = sealed(writeIntegerModel(tinySwinInteger()));

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
  const file = sealed(writeIntegerModel(tinySwinInteger(sizes, recipe)));
  expect(sealed(writeIntegerModel(readIntegerModel(file)))).toEqual(file);
});

describe('layers of a Swin that do not fit', () => {
  const L = 'description.layers.layers';
  const norm = 'layers.0.blocks.1.norm1.out';
  const bias = 'layers.0.blocks.1.attn.scores';
  const merge = 'layers.0.downsample.norm.out';
  test.each<[name: string, layer: string, change: object, ...says: string[]]>([
    [
      'a map that does not divide into windows',
      norm,
      { window: { size: 3, shift: 1 } },
      `${L}.0.blocks.1.norm1.out: window: expected a size of at most 64 that divides the 8 tokens of a side`,
      'found 3 and 1',
    ],
    ['a shift of a whole window', norm, { window: { size: 4, shift: 4 } }, 'a shift below it, found 4 and 4'],
    ['window 0', norm, { window: { size: 0, shift: 0 } }, 'window.size: expected an integer from 1 to 64'],
    ['window 65', norm, { window: { size: 65, shift: 0 } }, 'window.size', 'from 1 to 64, found 65'],
    ['a fractional window', norm, { window: { size: 3.5, shift: 0 } }, 'window.size', 'found 3.5'],
    ['a string as window', norm, { window: { size: '4', shift: 0 } }, 'window.size', 'found "4"'],
    ['a negative shift', norm, { window: { size: 4, shift: -1 } }, 'window.shift', 'found -1'],
    ['a number as window', norm, { window: 4 }, 'norm1.out.window: expected an object, found 4'],
    [
      'another window than the table',
      norm,
      { window: { size: 2, shift: 0 } },
      'attn.scores: expected a table [9, 2]',
    ],
    ['no window', norm, { window: undefined }, 'attn.scores: expected a table [225, 2], found [49, 2]'],
    [
      'windows of merged patches',
      norm,
      { merge: true },
      'expected one of rows, window and merge, found several',
    ],
    ['a merge of what is in window order', merge, { reads: [norm] }, 'reading order, found window order'],
    [
      'heads that do not divide',
      'layers.1.blocks.0.attn.qk',
      { heads: 3 },
      'attn.qk: heads: expected q, k and v of 3',
    ],
    [
      'heads of 4 channels',
      'layers.1.blocks.0.attn.qk',
      { heads: 8 },
      'a multiple of 8 channels of a head, found 4',
    ],
    ['1e9 heads', 'layers.1.blocks.0.attn.qk', { heads: 1e9 }, 'attn.qk.heads', 'found 1000000000'],
    [
      'fewer queries in windows',
      'layers.0.blocks.0.attn.qk',
      { queries: 3 },
      'all of them in a map of windows',
    ],
    [
      'a multiplier below 0',
      bias,
      { biasMultiplier: -1 },
      'biasMultiplier: expected an integer from 0 to 2147483647',
    ],
    ['a multiplier of 2^31', bias, { multiplier: 2 ** 31 }, 'multiplier', 'found 2147483648'],
    ['a shift of 31', bias, { shift: 31 }, 'shift: expected an integer from 1 to 30, found 31'],
    [
      'a pooling without a shift',
      'pooled',
      { right: undefined },
      'description.layers.pooled.right',
      'found nothing',
    ],
    ['a pooling that skips all', 'pooled', { skip: 16 }, 'skip: expected fewer than 16 rows, found 16'],
    ['a scale of 0', 'pooled', { scale: 0 }, 'description.layers.pooled.scale: expected a positive number'],
    [
      'the rows of another map',
      'layers.1.blocks.0.residual1.out',
      { reads: ['layers.0.blocks.1.residual2.out', 'layers.1.blocks.0.attn.proj.out'] },
      'expected 16 columns, found 32',
    ],
  ])('refuses %s', (_, name, change, ...says) => {
    const file = withLayer(valid, name, (layer) => Object.assign(layer, change));
    expectRefusal(file, 'MODEL_DESCRIPTION', says);
  });

  test('refuses a map that is not merged', () => {
    const file = withLayer(valid, merge, (layer) => Object.assign(layer, { merge: undefined }));
    expectRefusal(file, 'MODEL_SHAPE', ['expected I32 [16], found I32 [64]']);
  });
});

describe('an architecture of a Swin', () => {
  const A = 'description.architecture';
  test.each<[name: string, change: object, ...says: string[]]>([
    ['without depths', { depths: undefined }, `${A}.depths: expected 1 to 8 integers from 1 to 256`],
    ['of nine stages', { depths: Array(9).fill(1) }, `${A}.depths: expected 1 to 8 integers`],
    ['of a depth in words', { depths: ['2', '2'] }, `${A}.depths`, 'found ["2", "2"]'],
    ['with heads of one stage', { heads: [2] }, `${A}.heads: expected 2 integers from 1 to`],
    ['with windows of one stage', { windows: [4] }, `${A}.windows: expected 2 integers from 1 to 64`],
    ['with window 65', { window: 65 }, `${A}.window: expected an integer from 1 to 64, found 65`],
  ])('refuses one %s', (_, change, ...says) => {
    const file = withDescription(valid, (json) => Object.assign(json.architecture, change));
    expectRefusal(file, 'MODEL_DESCRIPTION', says);
  });
});

test('refuses a file with the most layers in linear time', () => {
  const file = withDescription(valid, (json) => {
    const [input, embedded, stem] = json.layers;
    const norms = Array.from({ length: 4093 }, (_, i) => ({
      ...stem,
      name: `norm${i}`,
      parameters: `p${i}`,
      reads: [i === 0 ? stem.name : `norm${i - 1}`],
    }));
    json.layers = [input, embedded, stem, ...norms];
    json.outputs = { features: { layer: 'norm4092', tokens: 1 } };
  });
  // a fifth of a second on an idle machine; comparing all pairs of names would exceed the limit
  expectRefusal(
    file,
    'MODEL_DESCRIPTION',
    ['outputs.features.layer: expected a layer that makes one row'],
    2500,
  );
  const more = withDescription(file, (json) => {
    json.layers.push({ ...json.layers[2], name: 'one.more' });
  });
  expectRefusal(more, 'MODEL_DESCRIPTION', ['description.layers: expected a list of 1 to 4096 layers']);
});

describe('tensors', () => {
  const table = 'layers.0.blocks.0.attn.bias_table.codes';
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
  // scores of 64 windows of 1024 tokens in 8 heads, 0.5 GB: eight times before any is read
  const sizes = { imageSize: 256, patchSize: 1, depths: [1], heads: [8], window: 32, dim: 64, mlpDim: 8 };
  const file = withDescription(sealed(writeIntegerModel(tinySwinInteger(sizes))), (json) => {
    const at = json.layers.findIndex((layer: { kind: string }) => layer.kind === 'scores');
    const [scores, table, bias] = json.layers.slice(at, at + 3);
    const copies = Array.from({ length: 8 }, (_, i) => `copy${i}`);
    json.layers.splice(
      at,
      3,
      ...[scores, ...copies.map((name) => ({ ...scores, name })), table],
      ...copies.map((name) => ({ ...bias, name: `${name}.sum`, reads: [name, table.name] })),
      bias,
    );
  });
  const start = performance.now();
  const error = await load(file).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RuntimeError);
  expect(error).toMatchObject({
    code: 'MEMORY',
    message: expect.stringMatching(/needs \d{10} bytes of WebAssembly memory/),
  });
  expect(performance.now() - start).toBeLessThan(2000);
});

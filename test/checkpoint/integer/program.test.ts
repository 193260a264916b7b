/** The rules of a program: those of every layer, those of each kind, and its limits. */
import { createHash } from 'node:crypto';
import { describe, expect, jest, test } from '@jest/globals';
import { readIntegerModel } from '../../../src/checkpoint/integer/model.js';
import { readSafetensors, writeSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { load } from '../../../src/model/model.js';
import { hashParts } from '../../../src/platform/hash-browser.js';
import {
  type Json,
  tinyIntegerFile,
  tinySwinIntegerFile,
  withDescription,
  withLayer,
  withTensors,
} from '../../support/tiny-integer.js';
import { refusal } from '../raw-file.js';

const [vit, swin] = [tinyIntegerFile(), tinySwinIntegerFile()];
const BLOCK = 'blocks.0';
const STAGE = 'layers.0.blocks.1';

/** Expects one CheckpointError within a second, which allocates no memory of WebAssembly. */
function expectRefusal(file: Uint8Array, code: string, ...says: readonly string[]): void {
  const memory = jest.spyOn(WebAssembly, 'Memory');
  const error = refusal(() => readIntegerModel(file, { file: 'm.safetensors' }));
  expect([error.code, error.message]).toEqual([code, expect.stringMatching(/^m\.safetensors: /)]);
  for (const part of says) expect(error.message).toContain(part);
  expect(error.message.length).toBeLessThan(600);
  expect(memory).not.toHaveBeenCalled();
  memory.mockRestore();
}

const layerOf = (json: Json, name: string): Json => json.layers.find((one: Json) => one.name === name);

describe('every layer', () => {
  test.each<[name: string, change: (json: Json) => void, says: string]>([
    [
      'a layer with the name of the image',
      (json) => {
        layerOf(json, 'logits').name = 'pixels';
      },
      'layers.pixels: expected a name other than "pixels", which is the image',
    ],
    [
      'two layers of one name',
      (json) => json.layers.push({ ...layerOf(json, 'logits') }),
      'layers.logits: expected a name of its own, found that of an earlier layer',
    ],
    [
      'a layer that reads itself',
      (json) => (layerOf(json, 'norm.out').reads = ['norm.out']),
      'layers.norm.out: reads: expected an earlier layer, found "norm.out"',
    ],
    [
      'a layer that reads a later one',
      (json) => (layerOf(json, `${BLOCK}.norm1.out`).reads = [`${BLOCK}.residual1.out`]),
      `layers.${BLOCK}.norm1.out: reads: expected an earlier layer, found "${BLOCK}.residual1.out"`,
    ],
    [
      'layers in another order',
      (json) => json.layers.reverse(),
      'layers.logits: reads: expected an earlier layer, found "norm.out"',
    ],
    [
      'a layer that reads what no layer makes',
      (json) => (layerOf(json, 'norm.out').reads = ['constructor']),
      'reads: expected an earlier layer, found "constructor"',
    ],
    [
      'too few operands',
      (json) => (layerOf(json, 'stem.out').reads = ['tokens']),
      'layers.stem.out: reads: expected 2 names, found 1',
    ],
    [
      'too many operands',
      (json) => (layerOf(json, 'norm.out').reads = ['tokens', 'tokens']),
      'layers.norm.out: reads: expected 1 names, found 2',
    ],
    [
      'an operand of a layer that reads none',
      (json) => (layerOf(json, 'pos_embed').reads = ['tokens']),
      'layers.pos_embed: reads: expected 0 names, found 1',
    ],
    [
      'three operands',
      (json) => (layerOf(json, 'stem.out').reads = ['tokens', 'tokens', 'tokens']),
      'layers.stem.out.reads: expected a list of at most 2 strings',
    ],
    [
      'layers that do not read the image',
      (json) => {
        const constant = { ...layerOf(json, 'pos_embed'), shape: [1, 16] };
        json.layers = [constant];
        json.outputs = { features: { layer: constant.name, tokens: 1 } };
      },
      'description.layers: expected a layer of patches, found none: no layer reads the image',
    ],
    [
      'two layers with the same tensors',
      (json) => (layerOf(json, `${BLOCK}.norm2.out`).parameters = `${BLOCK}.norm1`),
      'description.layers: expected tensors of its own for each layer, found two layers with the same',
    ],
  ])('refuses %s', (_, change, says) => {
    expectRefusal(withDescription(vit, change), 'MODEL_DESCRIPTION', says);
  });

  test('names a kind of a newer version', () => {
    const file = withLayer(vit, 'norm.out', (layer) => Object.assign(layer, { kind: 'rope' }));
    expectRefusal(
      file,
      'MODEL_VERSION',
      'layers.norm.out.kind: expected one of patches, tokens,',
      'found "rope"; it needs a newer fqvit',
    );
  });
});

describe('each kind refuses what its kernels cannot compute', () => {
  const fine = `${BLOCK}.mlp.fc1.out`;
  const qkv = `${BLOCK}.attn.qkv.out`;
  const scores = `${BLOCK}.attn.scores`;
  const probs = `${BLOCK}.attn.probs`;
  const windows = `${STAGE}.attn.proj.out`;

  type Case = [kind: string, what: string, file: Uint8Array, layer: string, change: object, says: string];
  const cases: Case[] = [
    [
      'patches',
      'that do not divide the image',
      vit,
      'input',
      { patch: 3 },
      'expected a divisor of the image',
    ],
    ['tokens', 'before fine codes', vit, 'tokens', { reads: [fine] }, 'reads: expected an earlier layer'],
    ['constant', 'without columns', vit, 'pos_embed', { shape: [5] }, 'shape: expected 2 integers from 1'],
    ['constant', 'of another size', vit, 'pos_embed', { shape: [6, 16] }, 'expected at most 5 rows, found 6'],
    ['add', 'of other columns', vit, 'pos_embed', { shape: [5, 8] }, 'expected 16 columns, found 8'],
    [
      'add',
      'of scores',
      vit,
      `${BLOCK}.residual1.out`,
      { reads: ['stem.out', probs] },
      'expected rows of tokens, found scores of attention',
    ],
    [
      'add',
      'of a map in window order',
      swin,
      `${STAGE}.residual1.out`,
      { reads: [windows, 'stem.out'] },
      'expected rows in reading order, found window order',
    ],
    [
      'add',
      'of rows computed in part',
      vit,
      'blocks.1.residual1.out',
      { reads: ['blocks.1.attn.qkv.out', 'blocks.1.attn.proj.out'] },
      'expected whole rows, found some that are computed in part',
    ],
    ['linear', 'of power-of-two factors', vit, qkv, { reads: ['stem.out'] }, 'found power-of-two factors'],
    ['linear', 'of fine codes', vit, `${BLOCK}.mlp.fc2.out`, { reads: [fine] }, 'found fine codes'],
    ['linear', 'of scores', vit, `${BLOCK}.attn.proj.out`, { reads: [scores] }, 'found scores of attention'],
    [
      'linear',
      'of part of a map of windows',
      swin,
      `${STAGE}.attn.qkv.out`,
      { partial: { rows: 16, columns: 16 } },
      'partial: expected rows in reading order, found window order',
    ],
    [
      'linear',
      'of part of all rows',
      vit,
      qkv,
      { partial: { rows: 5, columns: 16 } },
      'partial: expected fewer than 5 rows and 48 columns, found 5 and 16',
    ],
    [
      'linear',
      'of part of a panel',
      vit,
      qkv,
      { partial: { rows: 1, columns: 12 } },
      'a multiple of 8 columns, found 12',
    ],
    [
      'gelu',
      'of codes that are not fine',
      vit,
      fine,
      { fine: undefined, zeroPoint: 0 },
      'expected fine codes, found affine codes',
    ],
    [
      'scores',
      'of a width that heads do not divide',
      vit,
      scores,
      { heads: 5 },
      'heads: expected q, k and v of 5',
    ],
    ['scores', 'of heads of 4 channels', vit, scores, { heads: 4 }, 'a multiple of 8 channels of a head'],
    [
      'scores',
      'of scores',
      vit,
      scores,
      { reads: [qkv], queries: 6 },
      'queries: expected at most the 5 tokens',
    ],
    [
      'scores',
      'of queries that are not computed',
      vit,
      'blocks.1.attn.scores',
      { queries: 2 },
      'expected q of 2 tokens, found 16 of 16 columns for 1 tokens',
    ],
    [
      'bias',
      'of rows that are no scores',
      swin,
      `${STAGE}.attn.scores`,
      { reads: ['stem.out', `${STAGE}.attn.bias_table`] },
      'expected scores of attention, found rows of tokens',
    ],
    [
      'bias',
      'of a table of other heads',
      swin,
      `${STAGE}.attn.bias_table`,
      { shape: [49, 3] },
      'expected a table [49, 2], found [49, 3]',
    ],
    ['softmax', 'of tokens', vit, probs, { reads: ['stem.out'] }, 'expected scores of attention'],
    ['softmax', 'without levels', vit, probs, { codes: 'uniform' }, 'levels: expected an integer from 1'],
    [
      'softmax',
      'with levels',
      vit,
      probs,
      { levels: 16 },
      'expected only keys of this version, found "levels"',
    ],
    [
      'softmax',
      'of probabilities',
      vit,
      'blocks.1.attn.probs',
      { reads: [probs] },
      'expected affine codes, found log2 codes',
    ],
    [
      'context',
      'of scores',
      vit,
      `${BLOCK}.attn.context`,
      { reads: [scores, qkv] },
      'expected probabilities, found affine codes',
    ],
    [
      'context',
      'of tokens',
      vit,
      `${BLOCK}.attn.context`,
      { reads: ['stem.out', qkv] },
      'expected probabilities of attention, found rows of tokens',
    ],
    [
      'context',
      'of the values of another window',
      swin,
      `${STAGE}.attn.context`,
      { reads: [`${STAGE}.attn.probs`, `${STAGE}.attn.qk`] },
      'expected rows of tokens, found scores of attention',
    ],
    [
      'layernorm',
      'of more rows than there are',
      vit,
      'norm.out',
      { rows: 2 },
      'rows: expected at most 1 rows',
    ],
    [
      'layernorm',
      'of rows that become one, unsaid',
      vit,
      'norm.out',
      { rows: undefined, joined: true },
      'joined',
    ],
    [
      'layernorm',
      'of fine codes',
      vit,
      `${BLOCK}.norm2.out`,
      { reads: [probs] },
      'found scores of attention',
    ],
    [
      'layernorm',
      'of a map that is no square',
      vit,
      `${BLOCK}.norm2.out`,
      { window: { size: 1, shift: 0 } },
      'expected a square map of tokens, found 5 rows',
    ],
    ['pool', 'of scores', swin, 'pooled', { reads: [`${STAGE}.attn.probs`] }, 'found scores of attention'],
    ['pool', 'without factors', swin, 'pooled', { reads: ['layers.1.blocks.1.residual2.out'] }, 'factors'],
    [
      'pool',
      'of some rows in window order',
      swin,
      'pooled',
      { reads: ['layers.1.blocks.1.norm1.out'], skip: 1 },
      'expected rows in reading order, found window order',
    ],
  ];

  test.each(cases)('%s %s', (_kind, _what, base, name, change, says) => {
    const file = withLayer(base, name, (layer) => Object.assign(layer, change));
    expectRefusal(file, 'MODEL_DESCRIPTION', 'description.layers.', says);
  });
});

describe('outputs', () => {
  test.each<[name: string, change: object, ...says: string[]]>([
    ['logits that no layer makes', { logits: 'x' }, 'outputs.logits: expected a layer that makes one row'],
    ['logits of several rows', { logits: 'tokens' }, 'outputs.logits: expected a layer that makes one row'],
    ['features of several rows', { features: { layer: 'stem.out', tokens: 1 } }, 'features.layer: expected'],
    ['features of 3 tokens', { features: { layer: 'norm.out', tokens: 3 } }, 'a divisor of the 16 columns'],
    [
      'features with factors',
      { features: { layer: 'blocks.1.residual2.out', tokens: 1 } },
      'features.layer: expected codes of one scale',
    ],
    ['no attention', { attention: { layers: [], prefix: 1, read: [0, 1] } }, 'at least one softmax layer'],
    [
      'the attention of tokens',
      { attention: { layers: ['stem.out'], prefix: 1, read: [0, 1] } },
      'softmax layers of the same square of patches',
    ],
    [
      'the attention of scores',
      { attention: { layers: ['blocks.0.attn.scores'], prefix: 1, read: [0, 1] } },
      'softmax layers of the same square of patches',
    ],
    [
      'patches that are no square',
      { attention: { layers: ['blocks.0.attn.probs'], prefix: 2, read: [0, 1] } },
      'softmax layers of the same square of patches',
    ],
    [
      'tokens that do not exist',
      { attention: { layers: ['blocks.0.attn.probs'], prefix: 1, read: [0, 6] } },
      'read: expected a range of the 5 tokens',
    ],
    ['an unknown role', { boxes: 'logits' }, 'outputs: expected only keys of this version, found "boxes"'],
  ])('refuses %s', (_, change, ...says) => {
    const file = withDescription(vit, (json) => Object.assign(json.outputs, change));
    expectRefusal(file, 'MODEL_DESCRIPTION', 'description.outputs', ...says);
  });
});

describe('limits', () => {
  test.each<
    [name: string, base: Uint8Array, imageSize: number, change: (json: Json) => void, ...says: string[]]
  >([
    [
      'of bytes',
      vit,
      2048,
      (json) => Object.assign(layerOf(json, 'patch_embed.out'), { outputs: 8192 }),
      'layers.patch_embed.out: expected at most 1073741824 bytes, found',
    ],
    [
      'of work',
      vit,
      2048,
      (json) => {
        const embedded = { ...layerOf(json, 'patch_embed.out'), outputs: 3072 };
        json.layers.splice(1, 0, ...Array.from({ length: 300 }, (_, i) => ({ ...embedded, name: `p${i}` })));
      },
      'expected at most 8000000000000 multiply-accumulates per image up to here, found',
    ],
    [
      'of heads',
      swin,
      2048,
      (json) => {
        layerOf(json, 'input').patch = 8;
        layerOf(json, 'layers.0.blocks.0.norm1.out').window.size = 1;
        const qk = layerOf(json, 'layers.0.blocks.0.attn.qk');
        const copies = Array.from({ length: 9 }, (_, i) => ({ ...qk, name: `qk${i}` }));
        json.layers.splice(json.layers.indexOf(qk), 1, ...copies);
      },
      'expected at most 524288 heads in all windows up to here, found',
    ],
  ])('refuses a program beyond those %s', (_, base, imageSize, change, ...says) => {
    const file = withDescription(base, (json) => {
      json.preprocessing.imageSize = imageSize;
      json.architecture.imageSize = imageSize;
      change(json);
    });
    expectRefusal(file, 'MODEL_DESCRIPTION', ...says);
  });
});

describe('the digest', () => {
  const damaged = vit.slice();
  damaged[damaged.length - 1]! ^= 1;

  test('finds a flipped bit', async () => {
    await expect(load(damaged)).rejects.toMatchObject({
      code: 'MODEL_DIGEST',
      message: expect.stringMatching(
        /expected the SHA-256 \w{64}, as the file says, found \w{64}: .* damaged$/,
      ),
    });
  });

  test('is not checked again if the caller knows the SHA-256 of the file', async () => {
    const sha256 = createHash('sha256').update(damaged).digest('hex');
    (await load(damaged, { sha256 })).dispose();
    await expect(load(vit, { sha256 })).rejects.toMatchObject({ code: 'INTEGRITY' });
  });

  test('is the same in browsers', async () => {
    const expected = createHash('sha256').update(vit).digest('hex');
    expect(await hashParts([vit.subarray(0, 5), vit.subarray(5)])).toBe(expected);
  });

  test('is not checked in a browser without crypto.subtle', async () => {
    const { crypto } = globalThis;
    Object.defineProperty(globalThis, 'crypto', { value: {}, configurable: true });
    try {
      expect(await hashParts([vit])).toBeUndefined();
    } finally {
      Object.defineProperty(globalThis, 'crypto', { value: crypto, configurable: true });
    }
  });

  test.each([
    ['missing', undefined],
    ['too short', 'abc'],
    ['in capitals', 'A'.repeat(64)],
  ])('must not be %s', (_name, digest) => {
    const { tensors, metadata } = readSafetensors(vit);
    const { sha256: _, ...rest } = metadata;
    const file = writeSafetensors(
      tensors.values(),
      digest === undefined ? rest : { ...rest, sha256: digest },
    );
    expectRefusal(file, 'MODEL_DIGEST', 'metadata sha256: expected 64 hexadecimal digits');
  });

  test('covers the tensors', async () => {
    const other = withTensors(vit, (tensors) => {
      tensors.get('head.bias')!.data[0]! ^= 1;
    });
    expect(readIntegerModel(other).sha256).not.toBe(readIntegerModel(vit).sha256);
    (await load(other)).dispose();
  });
});

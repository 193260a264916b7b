import { readFileSync } from 'node:fs';
import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { readFloatModel } from '../../../src/checkpoint/float/model.js';
import { MAX_DESCRIPTION_CHARACTERS } from '../../../src/checkpoint/integer/description.js';
import { readIntegerModel, writeIntegerModel } from '../../../src/checkpoint/integer/model.js';
import { readSafetensors, writeSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { CheckpointError } from '../../../src/errors.js';
import { IntegerRunner } from '../../../src/forward/integer/runner.js';
import { load } from '../../../src/model/model.js';
import { randomPixels } from '../../forward/float/support.js';
import {
  EIGHTHS,
  type Json,
  RECIPE,
  sealed,
  tinyFloatFile,
  tinyIntegerFile,
  tinySwinIntegerFile,
  UNIFORM,
  withDescription,
  withDescriptionText,
  withLayer,
  withTensors,
  withValue,
} from '../../support/tiny-integer.js';
import { refusal } from '../raw-file.js';

const modules = ['scalar', 'simd'].map(
  (tier) =>
    new WebAssembly.Module(readFileSync(new URL(`../../../wasm/fqvit.${tier}.wasm`, import.meta.url))),
);

/**
 * Sizes that suit the kernels worst: 2 and 17 tokens, windows of 3, 3 classes, one head, heads and
 * MLPs of 8.
 */
const SHAPES: [name: string, file: Uint8Array][] = [
  ['a DeiT with log2 attention', tinyIntegerFile()],
  ['a DeiT with uniform attention', tinyIntegerFile({}, UNIFORM)],
  ['a DeiT with attention in eighths', tinyIntegerFile({}, EIGHTHS)],
  ['a ViT', tinyIntegerFile({ family: 'vit' })],
  [
    'a DeiT with one patch, one class and one block',
    tinyIntegerFile({ grid: 1, classes: 1, depth: 1, heads: 1 }),
  ],
  [
    'a DeiT with seventeen tokens',
    tinyIntegerFile({ grid: 4, patchSize: 3, dim: 24, mlpDim: 8, heads: 3, classes: 17 }, UNIFORM),
  ],
  ['a Swin with shifted windows of 3', tinySwinIntegerFile({ imageSize: 12, window: 3 })],
  [
    'a Swin with uniform attention and windows larger than the last stages',
    tinySwinIntegerFile({ imageSize: 16, depths: [2, 1, 1], heads: [1, 2, 4], mlpDim: 8 }, UNIFORM),
  ],
  [
    'a DeiT with 4-bit weights and 7-bit activations',
    tinyIntegerFile({}, { ...RECIPE, weightBits: 4, activationBits: 7 }),
  ],
  ['a Swin with 6-bit weights', tinySwinIntegerFile({}, { ...RECIPE, weightBits: 6, activationBits: 7 })],
];

const valid = tinyIntegerFile();
const uniform = tinyIntegerFile({}, UNIFORM);
const eighths = tinyIntegerFile({}, EIGHTHS);

/** Expects one CheckpointError with this code and all of `says`, without any memory allocated. */
function expectRefusal(file: Uint8Array, code: string, says: readonly string[]): void {
  const memory = jest.spyOn(WebAssembly, 'Memory');
  const error = refusal(() => readIntegerModel(file, { file: 'model.safetensors' }), 500);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(/^model\.safetensors: /);
  for (const part of says) expect(error.message).toContain(part);
  expect(error.message.length).toBeLessThan(600);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not reach a terminal
  expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  expect(memory).not.toHaveBeenCalled();
  memory.mockRestore();
}

test.each(SHAPES)('%s has the same bytes when read and written again', (_, file) => {
  expect(sealed(writeIntegerModel(readIntegerModel(file)))).toEqual(file);
});

test('reads the same from an offset that is not a multiple of 4', () => {
  const shifted = new Uint8Array(valid.length + 1);
  shifted.set(valid, 1);
  expect(sealed(writeIntegerModel(readIntegerModel(shifted.subarray(1))))).toEqual(valid);
});

test('reads the labels of 100,000 classes', () => {
  const classes = 100_000;
  const labels = Array.from({ length: classes }, (_, i) => `class ${i} `.padEnd(150, 'é'));
  const file = tinyIntegerFile({ classes, dim: 8, heads: 1, depth: 1, mlpDim: 8 });
  const named = withDescription(file, (json) => {
    json.labels = labels;
  });
  const start = performance.now();
  expect(readIntegerModel(named).labels).toEqual(labels);
  expect(performance.now() - start).toBeLessThan(5000);
});

describe('a file of another kind', () => {
  test.each([
    ['without a document', writeSafetensors(readSafetensors(tinyFloatFile()).tensors.values(), {})],
    ['with a config', tinyFloatFile()],
    ['with an empty config', withDescriptionText(tinyFloatFile(), () => '{}')],
  ])('a float checkpoint %s: the error says how to make an integer one', async (_, file) => {
    expectRefusal(file, 'MODEL_KIND', ['an integer checkpoint', 'fqvit quantize']);
    await expect(load(file)).rejects.toThrow(CheckpointError);
    await expect(load(file)).rejects.toMatchObject({ code: 'MODEL_KIND' });
  });

  test.each([
    ['valid', valid],
    ['with a later version', withValue(valid, ['version'], 3)],
    ['broken', withValue(valid, ['architecture'], undefined)],
  ])('an integer checkpoint (%s) read as a float one: the error says that it is one already', (_, file) => {
    const error = refusal(() => readFloatModel(file, { file: 'model.safetensors' }));
    expect(error.code).toBe('MODEL_KIND');
    expect(error.message).toContain('expected a float checkpoint, found an integer checkpoint');
  });

  test('a damaged container: the error says so', () => {
    expectRefusal(valid.subarray(0, valid.length - 1), 'CHECKPOINT_TRUNCATED', []);
    expectRefusal(new Uint8Array(0), 'CHECKPOINT_TRUNCATED', ['found 0']);
    expectRefusal(new TextEncoder().encode('<!DOCTYPE html>'), 'CHECKPOINT_FORMAT', ['web page']);
  });
});

type DescriptionCase = [name: string, path: string[], value: unknown, ...says: string[]];

describe('a description with one error', () => {
  const D = 'MODEL_DESCRIPTION';

  test.each<[name: string, text: (text: string) => string, code: string, ...says: string[]]>([
    ['empty', () => '', D, 'description: expected JSON', 'found ""'],
    ['cut off', (t) => t.slice(0, -1), D, 'description: expected JSON'],
    ['not JSON, with control characters', () => '\u001b[31m\u0007', D, 'found "\\u001b[31m\\u0007"'],
    ['not JSON, and long', () => 'x'.repeat(1e6), D, `found "${'x'.repeat(80)}"...`],
    ['null', () => 'null', D, 'description: expected an object, found null'],
    ['a number', () => '1', D, 'expected an object, found 1'],
    ['an array', () => '[]', D, 'expected an object, found []'],
    ['an empty object', () => '{}', 'MODEL_KIND', 'fqvit quantize'],
    ['only a format', () => '{"format":"fqvit-integer"}', 'MODEL_VERSION', 'version 2', 'found undefined'],
    [
      'arrays 10,000 deep',
      () => '['.repeat(1e4) + ']'.repeat(1e4),
      D,
      'expected an object, found [an array]',
    ],
    [
      'a value 10,000 arrays deep',
      (t) => t.replace(/"labels":\[[^\]]*\]/, `"labels":${'['.repeat(1e4)}${']'.repeat(1e4)}`),
      D,
      'description.labels: expected a list of strings, found [an array]',
    ],
    [
      'one character too long',
      (t) => t + ' '.repeat(MAX_DESCRIPTION_CHARACTERS + 1 - t.length),
      D,
      `at most ${MAX_DESCRIPTION_CHARACTERS} characters, found ${MAX_DESCRIPTION_CHARACTERS + 1}`,
    ],
    [
      'key __proto__',
      (t) => t.replace('{', '{"__proto__":{"format":"x"},'),
      D,
      'description: expected only keys of this version',
      'found "__proto__"',
    ],
    [
      'key __proto__ in place of a key',
      (t) => t.replace('"architecture":', '"__proto__":'),
      D,
      'description.architecture: expected an object, found nothing',
    ],
    [
      'keys of the architecture inside __proto__',
      (t) => t.replace(/"architecture":(\{[^}]*\})/, '"architecture":{"__proto__":$1}'),
      D,
      'description.architecture.name: expected a string, found nothing',
    ],
    [
      'a key __proto__ in a layer',
      (t) => t.replace('"name":"tokens",', '"name":"tokens","__proto__":{"scale":1},'),
      D,
      'description.layers.tokens: expected only keys of this version',
      'found "__proto__"',
    ],
    [
      'a kind called constructor',
      (t) => t.replace('"kind":"tokens"', '"kind":"constructor"'),
      'MODEL_VERSION',
      'description.layers.tokens.kind: expected one of patches, tokens,',
      'found "constructor"; it needs a newer fqvit',
    ],
    [
      'scale 1e999',
      (t) => t.replace(/("name":"tokens"[^}]*"scale":)[^,]+/, '$11e999'),
      D,
      'description.layers.tokens.scale: expected a finite number, found Infinity',
    ],
    [
      'scale NaN, which JSON does not have',
      (t) => t.replace(/("name":"tokens"[^}]*"scale":)[^,]+/, '$1NaN'),
      D,
      'description: expected JSON',
    ],
    [
      'outputs 1e999',
      (t) => t.replace(/("name":"logits"[^}]*"outputs":)\d+/, '$11e999'),
      D,
      'description.layers.logits.outputs: expected an integer from 1 to 100000, found Infinity',
    ],
  ])('refuses the text: %s', (_, text, code, ...says) => {
    expectRefusal(withDescriptionText(valid, text), code, says);
  });

  test.each<[name: string, path: string[], value: unknown, code: string, ...says: string[]]>([
    ['format', ['format'], 'onnx', 'MODEL_KIND', 'format "fqvit-integer"', 'found format "onnx"'],
    ['a number as format', ['format'], 1, 'MODEL_KIND', 'found format 1'],
    [
      'a format that would write to a terminal',
      ['format'],
      '\u009b2J\u202e'.repeat(50),
      'MODEL_KIND',
      '\\u{9b}2J\\u{202e}',
    ],
    [
      'version 3',
      ['version'],
      3,
      'MODEL_VERSION',
      'expected format version 2, found 3; it needs a newer fqvit',
    ],
    ['version 1', ['version'], 1, 'MODEL_VERSION', 'found 1; quantise it again'],
    ['version "2"', ['version'], '2', 'MODEL_VERSION', 'found "2"'],
    ['a missing version', ['version'], undefined, 'MODEL_VERSION', 'expected format version 2'],
  ])('refuses the kind: %s', (_, path, value, code, ...says) => {
    expectRefusal(withValue(valid, path, value), code, says);
  });

  const A = 'description.architecture';
  test.each<DescriptionCase>([
    ['null', ['architecture'], null, `${A}: expected an object, found null`],
    ['an array', ['architecture'], [1], `${A}: expected an object, found [1]`],
    ['a missing family', ['architecture', 'family'], undefined, `${A}.family: expected one of deit, vit`],
    ['family resnet', ['architecture', 'family'], 'resnet', `${A}.family`, 'found "resnet"'],
    ['a number as name', ['architecture', 'name'], 5, `${A}.name: expected a string, found 5`],
    ['a name with a line break', ['architecture', 'name'], 'a\nb', `${A}.name`, 'found "a\\nb"'],
    ['a name of 101 letters', ['architecture', 'name'], 'a'.repeat(101), `${A}.name: expected 1 to 100`],
    [
      'another image size',
      ['architecture', 'imageSize'],
      16,
      `${A}.imageSize: expected 8, as in`,
      'found 16',
    ],
    ['other classes than logits', ['architecture', 'classes'], 4, `${A}.classes: expected 3, as many as`],
    ['an object as a size', ['architecture', 'dim'], { a: 1 }, `${A}.dim: expected an integer from 1 to`],
    ['a list of heads', ['architecture', 'heads'], [1], `${A}.heads: expected an integer from 1 to`],
    ['depth 1e6', ['architecture', 'depth'], 1e6, `${A}.depth: expected an integer from 1 to 4096`],
    ['the family of other keys', ['architecture', 'family'], 'swin', `${A}: expected only keys`, '"depth"'],
    ['an unknown GELU', ['architecture', 'gelu'], 'relu', `${A}.gelu: expected one of exact, tanh, quick`],
    ['an unknown pooling', ['architecture', 'pool'], 'max', `${A}.pool: expected one of token, two-tokens`],
    ['an unknown key', ['architecture', 'blocks'], 1, `${A}: expected only keys of this version`, '"blocks"'],
  ])('refuses an architecture: %s', (_, path, value, ...says) => {
    expectRefusal(withValue(valid, path, value), D, says);
  });

  const P = 'description.preprocessing';
  test.each<DescriptionCase>([
    ['no object', ['preprocessing'], undefined, `${P}: expected an object, found nothing`],
    [
      'another image size',
      ['preprocessing', 'imageSize'],
      12,
      `${A}.imageSize: expected 12, as in the preprocessing, found 8`,
    ],
    [
      'image size 10',
      ['preprocessing', 'imageSize'],
      10,
      'description.layers.input: patch: expected a divisor',
    ],
    ['image size 2049', ['preprocessing', 'imageSize'], 2049, `${P}.imageSize`, 'from 1 to 2048'],
    ['image size 0', ['preprocessing', 'imageSize'], 0, `${P}.imageSize`, 'found 0'],
    ['crop 0', ['preprocessing', 'cropPct'], 0, `${P}.cropPct: expected a number from 0.01 to 1`],
    ['crop 1e-9', ['preprocessing', 'cropPct'], 1e-9, `${P}.cropPct`, 'found 1e-9'],
    ['crop 1.5', ['preprocessing', 'cropPct'], 1.5, `${P}.cropPct`, 'found 1.5'],
    ['crop null, which is NaN in JSON', ['preprocessing', 'cropPct'], NaN, `${P}.cropPct`, 'found null'],
    [
      'interpolation hamming',
      ['preprocessing', 'interpolation'],
      'hamming',
      `${P}.interpolation: expected one of nearest, lanczos, bilinear, bicubic, found "hamming"`,
    ],
    ['squash false', ['preprocessing', 'squash'], false, `${P}.squash: expected true, or nothing`],
    ['a mean of two numbers', ['preprocessing', 'mean'], [0, 0], `${P}.mean: expected three numbers`],
    ['a mean of strings', ['preprocessing', 'mean'], ['0', '0', '0'], `${P}.mean`],
    ['std 0', ['preprocessing', 'std'], [1, 0, 1], `${P}.std: expected positive numbers`],
    ['an object as std', ['preprocessing', 'std'], { length: 3 }, `${P}.std`, 'found an object'],
    ['an unknown key', ['preprocessing', 'size'], 1, `${P}: expected only keys`, '"size"'],
  ])('refuses a preprocessing: %s', (_, path, value, ...says) => {
    expectRefusal(withValue(valid, path, value), D, says);
  });

  test.each<DescriptionCase>([
    ['too few labels', ['labels'], ['a', 'b'], 'description.labels: expected 3 labels', 'found 2'],
    ['too many labels', ['labels'], ['a', 'b', 'c', 'd'], 'description.labels: expected 3 labels', 'found 4'],
    ['no labels', ['labels'], undefined, 'description.labels: expected a list of strings, found nothing'],
    ['a label that is null', ['labels'], ['a', null, 'c'], 'expected a list of strings, found ["a", null'],
    ['labels in an object', ['labels'], { length: 3 }, 'expected a list of strings, found an object'],
    ['too few WordNet ids', ['wnids'], ['n01440764'], 'description.wnids: expected 3 wnids', 'found 1'],
    ['WordNet ids that are numbers', ['wnids'], [1, 2, 3], 'description.wnids: expected a list of strings'],
    [
      'unknown',
      ['output'],
      'logistic',
      'description.output: expected softmax or sigmoid for 3 classes',
      'found "logistic"',
    ],
    [
      'the output of a regression',
      ['output'],
      'value',
      'description.output: expected softmax or sigmoid for 3 classes',
    ],
    ['null as output', ['output'], null, 'description.output: expected softmax or sigmoid', 'found null'],
  ])('refuses labels or an output: %s', (_, path, value, ...says) => {
    expectRefusal(withValue(valid, path, value), D, says);
  });

  const R = 'description.recipe';
  test.each<DescriptionCase>([
    ['method', ['recipe', 'method'], 'ptf', `${R}.method: expected one of fq, best,`, 'found "ptf"'],
    ['observer', ['recipe', 'observer'], null, `${R}.observer`, 'found null'],
    ['ptf', ['recipe', 'ptf'], 1, `${R}.ptf: expected true or false, found 1`],
    ['attention', ['recipe', 'attention'], 'log', `${R}.attention: expected one of log2, eighths, uniform`],
    ['no images', ['recipe', 'calibrationImages'], 0, `${R}.calibrationImages`, 'found 0'],
    ['seed', ['recipe', 'seed'], -1, `${R}.seed`, 'found -1'],
    ['a missing seed', ['recipe', 'seed'], undefined, `${R}.seed`, 'found nothing'],
    ['hash', ['recipe', 'sourceSha256'], 'abc', `${R}.sourceSha256: expected 64 hexadecimal digits`],
    ['an unknown key', ['recipe', 'date'], 'today', `${R}: expected only keys`, '"date"'],
  ])('refuses a recipe: %s', (_, path, value, ...says) => {
    expectRefusal(withValue(valid, path, value), D, says);
  });

  const L = 'description.layers';
  type LayerCase = [name: string, layer: string, key: string, value: unknown, ...says: string[]];
  test.each<LayerCase>([
    ['scale 0', 'input', 'scale', 0, `${L}.input.scale: expected a positive number`],
    ['a negative scale', 'input', 'scale', -0.1, `${L}.input.scale`, 'found -0.1'],
    ['scale null, which is NaN in JSON', 'input', 'scale', NaN, 'found null'],
    ['scale 1e37', 'logits', 'scale', 1e37, `${L}.logits.scale`, 'at most 1e+36'],
    ['a string as scale', 'input', 'scale', '1', `${L}.input.scale`, 'found "1"'],
    ['zero point -1', 'input', 'zeroPoint', -1, `${L}.input.zeroPoint`, 'from 0 to 4095'],
    ['zero point 256', 'input', 'zeroPoint', 256, `${L}.input: zeroPoint`, 'from 0 to 255, found 256'],
    ['zero point 1.5', 'input', 'zeroPoint', 1.5, `${L}.input.zeroPoint`, 'found 1.5'],
    ['a missing zero point', 'input', 'zeroPoint', undefined, `${L}.input.zeroPoint`, 'nothing'],
    ['an unknown key', 'input', 'bits', 8, `${L}.input: expected only keys`, '"bits"'],
    ['a name with a slash', 'input', 'name', 'a/b', 'layers[0].name: expected 1 to 200 letters'],
    ['a name of 201 letters', 'input', 'name', 'a'.repeat(201), 'layers[0].name: expected 1 to 200'],
    ['reads that are no list', 'tokens', 'reads', 'input', `${L}.tokens.reads: expected a list`],
    ['no prefix', 'tokens', 'prefix', undefined, `${L}.tokens.prefix`, 'found nothing'],
    ['65 registers', 'tokens', 'prefix', 65, `${L}.tokens.prefix: expected an integer from 0 to 64`],
    ['patch 65', 'input', 'patch', 65, `${L}.input.patch`, 'from 1 to 64, found 65'],
    ['weights of 3 bits', 'logits', 'weightBits', 3, `${L}.logits.weightBits: expected one of 8, 7, 6, 5, 4`],
    ['fine: false', 'logits', 'fine', false, `${L}.logits.fine: expected true, or nothing`],
  ])('refuses layers: %s', (_, name, key, value, ...says) => {
    const file = withLayer(valid, name, (layer) => {
      layer[key] = value;
    });
    expectRefusal(file, D, says);
  });

  const outside: [layer: string, key: string, value: unknown, range: string][] = [
    ['logits', 'left', -1, '0 to 15'],
    ['logits', 'left', 16, '0 to 15'],
    ['logits', 'right', 31, '32 to 62'],
    ['logits', 'right', 63, '32 to 62'],
    ['logits', 'right', 40.5, '32 to 62'],
    ['logits', 'right', '40', '32 to 62'],
    ['logits', 'right', undefined, '32 to 62'],
    ['blocks.1.mlp.fc1.out', 'left', 16, '0 to 15'],
    ['blocks.1.mlp.fc1.out', 'right', 63, '32 to 62'],
    ['blocks.1.mlp.fc1.out', 'zeroPoint', -1, '0 to 4095'],
    ['blocks.1.mlp.fc1.out', 'zeroPoint', 4096, '0 to 4095'],
    ['blocks.0.attn.scores', 'multiplier', -(2 ** 31), '-2147483647 to 2147483647'],
    ['blocks.0.attn.scores', 'multiplier', 2 ** 31, '-2147483647 to 2147483647'],
    ['blocks.0.attn.context', 'right', 31, '32 to 62'],
    ['blocks.0.residual1.out', 'shift', 0, '1 to 30'],
    ['blocks.0.residual1.out', 'shift', 31, '1 to 30'],
    ['blocks.0.norm1.out', 'shift', 0, '1 to 62'],
    ['norm.out', 'shift', 63, '1 to 62'],
    ['blocks.0.attn.probs', 'levels', 0, '1 to 1073741823'],
    ['blocks.0.attn.probs', 'levels', 2 ** 30, '1 to 1073741823'],
    ['blocks.0.attn.probs', 'slope', 0, '1 to 32767'],
    ['blocks.0.attn.probs', 'slope', 2 ** 15, '1 to 32767'],
    ['blocks.0.attn.probs', 'slope', 147.5, '1 to 32767'],
  ];
  test.each(outside)('refuses the layer %s with %s = %p', (name, key, value, range) => {
    const file = withLayer(key === 'slope' ? eighths : uniform, name, (layer) => {
      layer[key] = value;
    });
    expectRefusal(file, D, [`${L}.${name}.${key}: expected an integer from ${range}, found `]);
  });

  test.each<DescriptionCase>([
    ['no list', ['layers'], {}, 'description.layers: expected a list of 1 to 4096 layers, found an object'],
    ['none', ['layers'], [], 'description.layers: expected a list of 1 to 4096 layers'],
    ['a number', ['layers'], [1], 'description.layers[0]: expected an object, found 1'],
    ['outputs without features', ['outputs'], {}, 'description.outputs.features: expected an object'],
    [
      'an unknown key of the description',
      ['author'],
      'x',
      'description: expected only keys of this version',
      'found "author"',
    ],
    [
      'a key that would write to a terminal',
      ['\u001b]0;\u0007'.repeat(100)],
      1,
      'description: expected only keys of this version',
      'found "\\u001b]0;\\u0007',
    ],
  ])('refuses a list of layers: %s', (_, path, value, ...says) => {
    expectRefusal(withValue(valid, path, value), D, says);
  });
});

describe('tensors that do not fit the description', () => {
  type Tensors = Parameters<Parameters<typeof withTensors>[1]>[0];
  const set = (tensors: Tensors, name: string, fields: object) =>
    tensors.set(name, { ...tensors.get(name)!, ...fields });
  const floats = (tensors: Tensors, name: string) =>
    set(tensors, name, { dtype: 'F32', data: new Uint8Array(4 * tensors.get(name)!.data.length) });
  const extra = (tensors: Tensors, name: string) =>
    tensors.set(name, { name, dtype: 'U8', shape: [1], data: new Uint8Array(1) });

  test.each<[name: string, change: (tensors: Tensors) => void, code: string, ...says: string[]]>([
    ['a missing tensor', (t) => t.delete('head.bias'), 'MODEL_TENSORS', 'found missing "head.bias"'],
    [
      'an extra tensor',
      (t) => extra(t, 'blocks.2.norm1.gain'),
      'MODEL_TENSORS',
      'extra "blocks.2.norm1.gain"',
    ],
    ['a tensor called __proto__', (t) => extra(t, '__proto__'), 'MODEL_TENSORS', 'extra "__proto__"'],
    [
      'a tensor whose name has control characters',
      (t) => extra(t, `\u001b[2J${'x'.repeat(9999)}`),
      'MODEL_TENSORS',
      '"\\u001b[2Jxxx',
    ],
    [
      'a tensor under another name',
      (t) => {
        t.delete('tokens.first');
        extra(t, 'class_token');
      },
      'MODEL_TENSORS',
      'missing "tokens.first"; extra "class_token"',
    ],
    ['no tensors', (t) => t.clear(), 'MODEL_TENSORS', '"input.table", ', 'more'],
    [
      'a transposed shape',
      (t) => set(t, 'head.weight', { shape: [16, 3] }),
      'MODEL_SHAPE',
      'tensor head.weight: expected I8 [3,16], found I8 [16,3]',
    ],
    ['a flat shape', (t) => set(t, 'head.weight', { shape: [48] }), 'MODEL_SHAPE', 'found I8 [48]'],
    [
      'a rank of 64',
      (t) => set(t, 'norm.gain', { shape: [16, ...Array(63).fill(1)] }),
      'MODEL_SHAPE',
      'norm.gain',
    ],
    [
      'a wrong size',
      (t) => set(t, 'pos_embed.codes', { shape: [4, 16], data: new Uint8Array(64) }),
      'MODEL_SHAPE',
      'tensor pos_embed.codes: expected U8 [5,16], found U8 [4,16]',
    ],
    [
      'an empty tensor',
      (t) => set(t, 'norm.gain', { shape: [0], data: new Uint8Array(0) }),
      'MODEL_SHAPE',
      'I32 [0]',
    ],
    [
      'signed codes',
      (t) => set(t, 'tokens.first', { dtype: 'I8' }),
      'MODEL_SHAPE',
      'expected U8 [1,16], found I8 [1,16]',
    ],
    ['unsigned weights', (t) => set(t, 'head.weight', { dtype: 'U8' }), 'MODEL_SHAPE', 'found U8 [3,16]'],
    [
      'unsigned biases',
      (t) => set(t, 'head.bias', { dtype: 'U32' }),
      'MODEL_SHAPE',
      'expected I32 [3], found U32',
    ],
    ['float weights', (t) => floats(t, 'head.weight'), 'MODEL_SHAPE', 'expected I8 [3,16], found F32 [3,16]'],
    ['a boolean table', (t) => set(t, 'tokens.table', { dtype: 'BOOL' }), 'MODEL_SHAPE', 'found BOOL [256]'],
  ])('refuses %s', (_, change, code, ...says) => {
    expectRefusal(
      withTensors(valid, (tensors) => void change(tensors)),
      code,
      says,
    );
  });

  test.each([
    ['logits', 'outputs', 100_000],
    ['blocks.0.mlp.fc1.out', 'outputs', 16384],
    ['tokens', 'prefix', 2],
    ['blocks.0.attn.proj.out', 'factors', true],
    ['blocks.1.norm2.out', 'parameters', 'other'],
    ['blocks.1.mlp.fc2.out', 'weightBits', 4],
  ])('refuses sizes that the tensors do not have: %s with %s = %p', (name, key, value) => {
    const file = withDescription(valid, (json) => {
      json.layers.find((layer: Json) => layer.name === name)[key] = value;
      if (name === 'logits') {
        json.labels = Array(value).fill('');
        json.architecture.classes = value;
      }
    });
    const { code } = refusal(() => readIntegerModel(file), 500);
    expect(['MODEL_SHAPE', 'MODEL_TENSORS', 'MODEL_DESCRIPTION']).toContain(code);
  });
});

describe('values on which a kernel relies', () => {
  const put = (
    file: Uint8Array,
    name: string,
    type: 'Int32' | 'Uint32' | 'Uint8',
    at: number,
    value: number,
  ) =>
    withTensors(file, (tensors) => {
      const { data } = tensors.get(name)!;
      new DataView(data.buffer)[`set${type}`](at, value, true);
    });
  const table = 'blocks.1.attn.probs.table';
  const widest = Math.floor((2 ** 32 - 1) / 5);

  test.each<[name: string, file: Uint8Array, ...says: string[]]>([
    [
      'a power-of-two factor of 4',
      put(valid, 'blocks.0.residual1.out.factors', 'Uint8', 7, 4),
      'tensor blocks.0.residual1.out.factors, element 7: expected a power-of-two factor from 0 to 3, found 4',
    ],
    [
      'a factor of 255',
      put(valid, 'stem.out.factors', 'Uint8', 0, 255),
      'stem.out.factors, element 0',
      'found 255',
    ],
    [
      'a multiplier of -2^31',
      put(valid, 'head.multiplier', 'Int32', 8, -(2 ** 31)),
      'tensor head.multiplier, element 2: expected a multiplier above -2^31, found -2147483648',
    ],
    [
      'a multiplier of -2^31 in an addition',
      put(valid, 'blocks.1.residual2.out.multiplier', 'Int32', 4 * 31, -(2 ** 31)),
      'residual2.out.multiplier, element 31',
    ],
    [
      'e[0] = 0',
      put(valid, table, 'Uint32', 0, 0),
      `${table}, element 0: expected 1 to ${widest} for rows of 5 scores, found 0`,
    ],
    ['e whose sum overflows', put(valid, table, 'Uint32', 0, widest + 1), `element 0`, `found ${widest + 1}`],
    [
      'e that rises',
      put(valid, table, 'Uint32', 4, 2 ** 32 - 1),
      `${table}, element 1: expected at most the previous entry`,
    ],
    [
      'e that rises at the end',
      put(valid, table, 'Uint32', 1020, 2 ** 32 - 1),
      'element 255',
      'found 4294967295',
    ],
  ])('refuses %s', (_, file, ...says) => {
    expectRefusal(file, 'MODEL_VALUE', says);
  });

  test('accepts the ends of every range', () => {
    const ends: Record<string, object> = {
      logits: { left: 15, right: 62 },
      'norm.out': { shift: 62 },
      'stem.out': { shift: 30 },
      input: { scale: 1e36, zeroPoint: 255 },
      tokens: { scale: Number.MIN_VALUE, zeroPoint: 0 },
    };
    const tensors = put(put(valid, table, 'Uint32', 0, widest), 'stem.out.factors', 'Uint8', 0, 3);
    const file = withDescription(tensors, (json) => {
      for (const layer of json.layers) Object.assign(layer, ends[layer.name]);
      json.preprocessing.cropPct = 0.01;
    });
    expect(sealed(writeIntegerModel(readIntegerModel(file)))).toEqual(file);
  });
});

/** Runs a model on both tiers. */
async function run(file: Uint8Array): Promise<Uint8Array[]> {
  const model = readIntegerModel(file);
  const pixels = randomPixels(model.architecture.imageSize ** 2 * 3, 5);
  const tiers = await Promise.all(modules.map((module) => IntegerRunner.create(model, module)));
  return tiers.map((tier) => tier.run(pixels));
}

describe('a file that loads runs with the same bits on both tiers', () => {
  const anyFile = fc.constantFrom(...SHAPES.map(([, file]) => file));

  test('after any flip, cut or insertion', async () => {
    const place = fc.integer({ min: 0, max: 2 ** 24 - 1 }).map((n) => n / 2 ** 24);
    // Half of the damage is in the header, which most checks are about.
    const damage = fc.record({
      kind: fc.constantFrom('flip', 'flip', 'flip', 'digit', 'digit', 'cut', 'insert'),
      inHeader: fc.boolean(),
      place,
      byte: fc.integer({ min: 1, max: 255 }),
    });
    let loaded = 0;
    await fc.assert(
      fc.asyncProperty(anyFile, fc.array(damage, { minLength: 1, maxLength: 3 }), async (file, damages) => {
        const headerEnd = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
        let bytes = Buffer.from(file);
        for (const { kind, inHeader, place: at, byte } of damages) {
          const i = Math.floor(at * Math.min(inHeader ? headerEnd : bytes.length, bytes.length));
          if (kind === 'cut')
            bytes = Buffer.concat([bytes.subarray(0, i), bytes.subarray(i + (byte % 8) + 1)]);
          else if (kind === 'insert')
            bytes = Buffer.concat([bytes.subarray(0, i), Buffer.alloc(1, byte), bytes.subarray(i)]);
          else if (kind === 'flip') bytes[i]! ^= byte;
          else {
            const digit = bytes.subarray(0, headerEnd).findIndex((b, j) => j >= i && b >= 0x30 && b <= 0x39);
            if (digit >= 0) bytes[digit] = 0x30 + (byte % 10);
          }
        }
        let codes: Uint8Array[];
        try {
          codes = await run(new Uint8Array(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(CheckpointError);
          return;
        }
        loaded++;
        expect(codes[1]).toEqual(codes[0]);
      }),
      { numRuns: 800 },
    );
    expect(loaded).toBeGreaterThan(60);
  });

  test('with any accepted values', async () => {
    const seeds = fc.infiniteStream(
      fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 127, 128, 255)),
    );
    await fc.assert(
      fc.asyncProperty(anyFile, seeds, async (file, stream) => {
        const bytes = stream[Symbol.iterator]();
        const byte = () => bytes.next().value as number;
        const u32 = () => (byte() | (byte() << 8) | (byte() << 16) | (byte() << 24)) >>> 0;
        const between = (low: number, high: number) => low + (u32() % (high - low + 1));
        const model = readIntegerModel(file);
        const specs = new Map(model.program.tensors.map((spec) => [spec.name, spec]));
        const wild = withDescription(
          withTensors(file, (tensors) => {
            for (const { name, data } of tensors.values()) {
              if (name.endsWith('.probs.table')) {
                const scores = specs.get(name)!.scores!;
                const falling = Array.from({ length: 256 }, () => Math.floor(u32() / scores)).sort(
                  (a, b) => b - a,
                );
                falling[0] = Math.max(falling[0]!, 1);
                new Uint32Array(data.buffer).set(falling);
              } else if (name.endsWith('.multiplier')) {
                new Int32Array(data.buffer).forEach((_, i, m) => {
                  m[i] = Math.max(u32() | 0, -0x7fffffff);
                });
              } else {
                const { low, high } = specs.get(name)!.range ?? { low: 0, high: 255 };
                for (let i = 0; i < data.length; i++) data[i] = low + (byte() % (high - low + 1));
              }
            }
          }),
          (json) => {
            for (const layer of json.layers) {
              const { highest } = model.program.activations.get(layer.name)!;
              if ('zeroPoint' in layer) layer.zeroPoint = u32() % (highest + 1);
              if ('left' in layer) layer.left = between(0, 15);
              if ('right' in layer) layer.right = between(32, 62);
              if ('biasMultiplier' in layer) {
                layer.multiplier = between(0, 0x7fffffff);
                layer.biasMultiplier = between(0, 0x7fffffff);
              } else if ('multiplier' in layer) layer.multiplier = between(-0x7fffffff, 0x7fffffff);
              if ('levels' in layer) layer.levels = between(1, 2 ** 30 - 1);
              if ('shift' in layer) layer.shift = between(1, layer.kind === 'layernorm' ? 62 : 30);
            }
          },
        );
        const [scalar, simd] = await run(wild);
        expect(simd).toEqual(scalar);
      }),
      { numRuns: 60 },
    );
  });
});

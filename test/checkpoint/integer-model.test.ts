import { readFileSync } from 'node:fs';
import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { readFloatModel } from '../../src/checkpoint/float-model.js';
import { MAX_DESCRIPTION_CHARACTERS } from '../../src/checkpoint/integer-description.js';
import { highestCode, integerLayout } from '../../src/checkpoint/integer-layout.js';
import { readIntegerModel, writeIntegerModel } from '../../src/checkpoint/integer-model.js';
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { load } from '../../src/classify.js';
import { CheckpointError } from '../../src/errors.js';
import { IntegerRunner } from '../../src/models/integer.js';
import { randomPixels } from '../float/support.js';
import {
  EIGHTHS,
  type Json,
  RECIPE,
  tinyFloatFile,
  tinyIntegerFile,
  tinySwinIntegerFile,
  UNIFORM,
  withDescription,
  withDescriptionText,
  withTensors,
  withValue,
} from '../support/tiny-integer.js';
import { refusal } from './raw-file.js';

const modules = ['scalar', 'simd'].map(
  (tier) => new WebAssembly.Module(readFileSync(new URL(`../../wasm/fqvit.${tier}.wasm`, import.meta.url))),
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
const ARCHITECTURE = readIntegerModel(valid).architecture;

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
  expect(writeIntegerModel(readIntegerModel(file))).toEqual(file);
});

test('reads the same from an offset that is not a multiple of 4', () => {
  const shifted = new Uint8Array(valid.length + 1);
  shifted.set(valid, 1);
  expect(writeIntegerModel(readIntegerModel(shifted.subarray(1)))).toEqual(valid);
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
    ['with a later version', withValue(valid, ['version'], 2)],
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
    ['only a format', () => '{"format":"fqvit-integer"}', 'MODEL_VERSION', 'version 1', 'found undefined'],
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
      'description: expected only the keys',
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
      'description.architecture.family: expected one of deit, vit, swin, found nothing',
    ],
    [
      'a quantiser called __proto__',
      (t) => t.replace('"quantizers":{', '"quantizers":{"__proto__":{"scale":1,"zeroPoint":0},'),
      D,
      'description.quantizers: expected only the keys',
      'found "__proto__"',
    ],
    [
      'a step called constructor',
      (t) => t.replace('"steps":{', '"steps":{"constructor":{},'),
      D,
      'description.steps: expected only the keys',
      'found "constructor"',
    ],
    [
      'scale 1e999',
      (t) => t.replace(/("tokens":\{"scale":)[^,]+/, '$11e999'),
      D,
      'description.quantizers.tokens.scale: expected a finite number, found Infinity',
    ],
    [
      'scale NaN, which JSON does not have',
      (t) => t.replace(/("tokens":\{"scale":)[^,]+/, '$1NaN'),
      D,
      'description: expected JSON',
    ],
    [
      'dim 1e999',
      (t) => t.replace('"dim":16', '"dim":1e999'),
      D,
      'description.architecture.dim: expected an integer from 8 to 4096, found Infinity',
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
    ['version 2', ['version'], 2, 'MODEL_VERSION', 'expected format version 1, found 2'],
    ['version "1"', ['version'], '1', 'MODEL_VERSION', 'found "1"'],
    ['a missing version', ['version'], undefined, 'MODEL_VERSION', 'expected format version 1'],
  ])('refuses the kind: %s', (_, path, value, code, ...says) => {
    expectRefusal(withValue(valid, path, value), code, says);
  });

  const A = 'description.architecture';
  test.each<DescriptionCase>([
    ['null', ['architecture'], null, `${A}: expected an object, found null`],
    ['an array', ['architecture'], [1], `${A}: expected an object, found [1]`],
    ['a missing family', ['architecture', 'family'], undefined, `${A}.family: expected one of deit, vit`],
    ['family resnet', ['architecture', 'family'], 'resnet', `${A}.family`, 'found "resnet"'],
    ['a family with other sizes', ['architecture', 'family'], 'swin', `${A}.depths`, 'found nothing'],
    ['a number as name', ['architecture', 'name'], 5, `${A}.name: expected a string, found 5`],
    ['a name with a line break', ['architecture', 'name'], 'a\nb', `${A}.name`, 'found "a\\nb"'],
    ['a name of 101 letters', ['architecture', 'name'], 'a'.repeat(101), `${A}.name: expected 1 to 100`],
    ['image size 0', ['architecture', 'imageSize'], 0, `${A}.imageSize`, 'found 0'],
    ['a negative image size', ['architecture', 'imageSize'], -8, `${A}.imageSize`, 'found -8'],
    ['a fractional image size', ['architecture', 'imageSize'], 8.5, `${A}.imageSize`, 'found 8.5'],
    ['a string as image size', ['architecture', 'imageSize'], '8', `${A}.imageSize`, 'found "8"'],
    [
      'an image size that is not a multiple of the patch size',
      ['architecture', 'imageSize'],
      10,
      `${A}.imageSize: expected a multiple of the patch size 4, found 10`,
    ],
    ['image size 2052', ['architecture', 'imageSize'], 2052, `${A}.imageSize`, 'from 1 to 2048'],
    [
      'too many patches',
      ['architecture'],
      { ...ARCHITECTURE, imageSize: 2048, patchSize: 1 },
      `${A}.imageSize: expected fewer than 4097 patches, found 2048`,
    ],
    ['patch size 0', ['architecture', 'patchSize'], 0, `${A}.patchSize`, 'found 0'],
    ['patch size 65', ['architecture', 'patchSize'], 65, `${A}.patchSize`, 'from 1 to 64, found 65'],
    ['dim 0', ['architecture', 'dim'], 0, `${A}.dim`, 'from 8 to 4096, found 0'],
    ['dim 20', ['architecture', 'dim'], 20, `${A}.dim: expected a multiple of 8, found 20`],
    ['dim 2^53', ['architecture', 'dim'], 2 ** 53, `${A}.dim`, 'found 9007199254740992'],
    ['depth 0', ['architecture', 'depth'], 0, `${A}.depth`, 'from 1 to 256, found 0'],
    ['depth 1e9', ['architecture', 'depth'], 1e9, `${A}.depth`, 'found 1000000000'],
    ['heads 0', ['architecture', 'heads'], 0, `${A}.heads`, 'found 0'],
    [
      'a number of heads that does not divide dim',
      ['architecture', 'heads'],
      3,
      `${A}.heads: expected a divisor`,
    ],
    [
      'heads of 4 channels',
      ['architecture', 'heads'],
      4,
      `${A}.heads: expected a head dimension (16/4) that is a multiple of 8, found 4`,
    ],
    ['MLP 12', ['architecture', 'mlpDim'], 12, `${A}.mlpDim: expected a multiple of 8, found 12`],
    ['MLP 16392', ['architecture', 'mlpDim'], 16392, `${A}.mlpDim`, 'from 8 to 16384'],
    ['classes -1', ['architecture', 'classes'], -1, `${A}.classes`, 'found -1'],
    ['labels without classes', ['architecture', 'classes'], 0, 'description.labels: expected 0 labels'],
    ['65 registers', ['architecture', 'prefix'], 65, `${A}.prefix`, 'from 0 to 64'],
    [
      'a missing token that the head reads',
      ['architecture', 'prefix'],
      0,
      `${A}.prefix: expected at least the tokens that the head reads`,
    ],
    ['an unknown pool', ['architecture', 'pool'], 'max', `${A}.pool`, 'found "max"'],
    ['an unknown GELU', ['architecture', 'gelu'], 'relu', `${A}.gelu`, 'found "relu"'],
    ['classes 1e9', ['architecture', 'classes'], 1e9, `${A}.classes`, 'from 0 to 100000'],
    ['a missing key', ['architecture', 'heads'], undefined, `${A}.heads`, 'found nothing'],
    ['an unknown key', ['architecture', 'windows'], 7, `${A}: expected only the keys`, '"windows"'],
  ])('refuses an architecture: %s', (_, path, value, ...says) => {
    expectRefusal(withValue(valid, path, value), D, says);
  });

  const P = 'description.preprocessing';
  test.each<DescriptionCase>([
    ['no object', ['preprocessing'], undefined, `${P}: expected an object, found nothing`],
    ['another image size', ['preprocessing', 'imageSize'], 12, `${P}.imageSize: expected 8`, 'found 12'],
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
    ['an unknown key', ['preprocessing', 'size'], 1, `${P}: expected only the keys`, '"size"'],
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
    ['an unknown key', ['recipe', 'date'], 'today', `${R}: expected only the keys`, '"date"'],
    [
      'another attention than that of the steps',
      ['recipe', 'attention'],
      'uniform',
      'description.quantizers.blocks.0.attn.probs: expected an object, found nothing',
    ],
  ])('refuses a recipe: %s', (_, path, value, ...says) => {
    expectRefusal(withValue(valid, path, value), D, says);
  });

  const Q = 'description.quantizers';
  test.each<DescriptionCase>([
    [
      'a missing quantiser',
      ['quantizers', 'norm.out'],
      undefined,
      `${Q}.norm.out: expected an object, found nothing`,
    ],
    [
      'an unknown quantiser',
      ['quantizers', 'blocks.2.x'],
      {},
      `${Q}: expected only the keys`,
      '"blocks.2.x"',
    ],
    [
      'a quantiser of another attention',
      ['quantizers', 'blocks.0.attn.probs'],
      { scale: 1, zeroPoint: 0 },
      `${Q}: expected only the keys`,
      '"blocks.0.attn.probs"',
    ],
    ['scale 0', ['quantizers', 'input', 'scale'], 0, `${Q}.input.scale: expected a positive number`],
    ['a negative scale', ['quantizers', 'input', 'scale'], -0.1, `${Q}.input.scale`, 'found -0.1'],
    ['scale null, which is NaN in JSON', ['quantizers', 'input', 'scale'], NaN, 'found null'],
    ['scale 1e37', ['quantizers', 'logits', 'scale'], 1e37, `${Q}.logits.scale`, 'at most 1e+36'],
    ['a string as scale', ['quantizers', 'input', 'scale'], '1', `${Q}.input.scale`, 'found "1"'],
    ['zero point -1', ['quantizers', 'input', 'zeroPoint'], -1, `${Q}.input.zeroPoint`, 'from 0 to 255'],
    ['zero point 256', ['quantizers', 'input', 'zeroPoint'], 256, `${Q}.input.zeroPoint`, 'found 256'],
    ['zero point 1.5', ['quantizers', 'input', 'zeroPoint'], 1.5, `${Q}.input.zeroPoint`, 'found 1.5'],
    [
      'a missing zero point',
      ['quantizers', 'input', 'zeroPoint'],
      undefined,
      `${Q}.input.zeroPoint`,
      'nothing',
    ],
    ['an unknown key', ['quantizers', 'input', 'bits'], 8, `${Q}.input: expected only the keys`, '"bits"'],
    ['all quantisers in an array', ['quantizers'], [], `${Q}: expected an object, found []`],
    [
      'an array as quantiser',
      ['quantizers', 'input'],
      [1, 2],
      `${Q}.input: expected an object, found [1, 2]`,
    ],
  ])('refuses quantisers: %s', (_, path, value, ...says) => {
    expectRefusal(withValue(valid, path, value), D, says);
  });

  const outside: [step: string, key: string, value: unknown, range: string][] = [
    ['head', 'left', -1, '0 to 15'],
    ['head', 'left', 16, '0 to 15'],
    ['head', 'right', 31, '32 to 62'],
    ['head', 'right', 63, '32 to 62'],
    ['head', 'right', 40.5, '32 to 62'],
    ['head', 'right', '40', '32 to 62'],
    ['head', 'right', undefined, '32 to 62'],
    ['blocks.1.mlp.fc1', 'left', 16, '0 to 15'],
    ['blocks.1.mlp.fc1', 'right', 63, '32 to 62'],
    ['blocks.1.mlp.fc1', 'zeroPoint', -1, '0 to 4095'],
    ['blocks.1.mlp.fc1', 'zeroPoint', 4096, '0 to 4095'],
    ['blocks.0.attn.scores', 'multiplier', -(2 ** 31), '-2147483647 to 2147483647'],
    ['blocks.0.attn.scores', 'multiplier', 2 ** 31, '-2147483647 to 2147483647'],
    ['blocks.0.attn.context', 'right', 31, '32 to 62'],
    ['blocks.0.residual1', 'shift', 0, '1 to 30'],
    ['blocks.0.residual1', 'shift', 31, '1 to 30'],
    ['blocks.0.norm1', 'shift', 0, '1 to 62'],
    ['norm', 'shift', 63, '1 to 62'],
    ['blocks.0.attn.probs', 'levels', 0, '1 to 1073741823'],
    ['blocks.0.attn.probs', 'levels', 2 ** 30, '1 to 1073741823'],
    ['blocks.0.attn.probs', 'slope', 0, '1 to 32767'],
    ['blocks.0.attn.probs', 'slope', 2 ** 15, '1 to 32767'],
    ['blocks.0.attn.probs', 'slope', 147.5, '1 to 32767'],
  ];
  test.each(outside)('refuses the step %s with %s = %p', (step, key, value, range) => {
    const file = key === 'slope' ? eighths : uniform;
    expectRefusal(withValue(file, ['steps', step, key], value), D, [
      `description.steps.${step}.${key}: expected an integer from ${range}, found `,
    ]);
  });

  test.each<DescriptionCase>([
    ['a missing step', ['steps', 'head'], undefined, 'steps.head: expected an object, found nothing'],
    ['an unknown step', ['steps', 'tail'], {}, 'steps: expected only the keys', 'found "tail"'],
    ['an unknown key', ['steps', 'head', 'up'], 1, 'steps.head: expected only the keys', 'found "up"'],
    [
      'a key that would write to a terminal',
      ['steps', '\u001b]0;\u0007'.repeat(100)],
      1,
      'steps: expected only the keys',
      'found "\\u001b]0;\\u0007',
    ],
    [
      'an unknown key of the description',
      ['author'],
      'x',
      'description: expected only the keys',
      'found "author"',
    ],
  ])('refuses steps: %s', (_, path, value, ...says) => {
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
        t.delete('cls_token');
        extra(t, 'class_token');
      },
      'MODEL_TENSORS',
      'missing "cls_token"; extra "class_token"',
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
      (t) => set(t, 'pos_embed', { shape: [4, 16], data: new Uint8Array(64) }),
      'MODEL_SHAPE',
      'tensor pos_embed: expected U8 [5,16], found U8 [4,16]',
    ],
    [
      'an empty tensor',
      (t) => set(t, 'norm.gain', { shape: [0], data: new Uint8Array(0) }),
      'MODEL_SHAPE',
      'I32 [0]',
    ],
    [
      'signed codes',
      (t) => set(t, 'cls_token', { dtype: 'I8' }),
      'MODEL_SHAPE',
      'expected U8 [16], found I8 [16]',
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
    { imageSize: 2048, patchSize: 32 },
    { depth: 256 },
    { dim: 4096, heads: 512, mlpDim: 16384 },
    { classes: 100_000 },
  ])('refuses sizes that the tensors do not have: %j', (sizes) => {
    const file = withDescription(valid, (json) => {
      Object.assign(json.architecture, sizes);
      json.preprocessing.imageSize = json.architecture.imageSize;
      json.labels = Array(json.architecture.classes).fill('');
      json.quantizers = Object.fromEntries(
        integerLayout(json).quantizers.map((name) => [name, { scale: 1, zeroPoint: 0 }]),
      );
      for (let i = 2; i < json.architecture.depth; i++) {
        for (const step of Object.keys(json.steps).filter((name) => name.startsWith('blocks.1.'))) {
          json.steps[step.replace('1', `${i}`)] = json.steps[step];
        }
      }
    });
    const error = refusal(() => readIntegerModel(file), 500);
    expect(['MODEL_SHAPE', 'MODEL_TENSORS']).toContain(error.code);
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
      put(valid, 'blocks.0.residual1.factors', 'Uint8', 7, 4),
      'tensor blocks.0.residual1.factors, element 7: expected a power-of-two factor from 0 to 3, found 4',
    ],
    ['a factor of 255', put(valid, 'stem.factors', 'Uint8', 0, 255), 'stem.factors, element 0', 'found 255'],
    [
      'a multiplier of -2^31',
      put(valid, 'head.multiplier', 'Int32', 8, -(2 ** 31)),
      'tensor head.multiplier, element 2: expected a multiplier above -2^31, found -2147483648',
    ],
    [
      'a multiplier of -2^31 in an addition',
      put(valid, 'blocks.1.residual2.multiplier', 'Int32', 4 * 31, -(2 ** 31)),
      'residual2.multiplier, element 31',
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
    const file = withDescription(
      put(put(valid, table, 'Uint32', 0, widest), 'stem.factors', 'Uint8', 0, 3),
      (json) => {
        json.steps.head = { left: 15, right: 62 };
        json.steps.norm.shift = 62;
        json.steps.stem.shift = 30;
        json.quantizers.input = { scale: 1e36, zeroPoint: 255 };
        json.quantizers.tokens = { scale: Number.MIN_VALUE, zeroPoint: 0 };
        json.preprocessing.cropPct = 0.01;
      },
    );
    expect(writeIntegerModel(readIntegerModel(file))).toEqual(file);
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
        const specs = new Map(integerLayout(model).tensors.map((spec) => [spec.name, spec]));
        const wild = withDescription(
          withTensors(file, (tensors) => {
            for (const { name, data } of tensors.values()) {
              if (name.endsWith('.softmax.table')) {
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
                const all = name.endsWith('.factors') ? ([0, 3] as const) : ([0, 255] as const);
                const [low, high] = specs.get(name)!.range ?? all;
                for (let i = 0; i < data.length; i++) data[i] = low + (byte() % (high - low + 1));
              }
            }
          }),
          (json) => {
            for (const [name, quantizer] of Object.entries<Json>(json.quantizers))
              quantizer.zeroPoint = byte() % (highestCode(name, model.recipe) + 1);
            for (const [name, step] of Object.entries<Json>(json.steps)) {
              if ('left' in step) step.left = between(0, 15);
              if ('right' in step) step.right = between(32, 62);
              if ('biasMultiplier' in step) {
                step.multiplier = between(0, 0x7fffffff);
                step.biasMultiplier = between(0, 0x7fffffff);
              } else if ('multiplier' in step) step.multiplier = between(-0x7fffffff, 0x7fffffff);
              if ('zeroPoint' in step) step.zeroPoint = between(0, 4095);
              if ('levels' in step) step.levels = between(1, 2 ** 30 - 1);
              if ('shift' in step) step.shift = between(1, /norm\d?$/.test(name) ? 62 : 30);
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

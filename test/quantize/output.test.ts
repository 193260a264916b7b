import { expect, test } from '@jest/globals';
import type { Output } from '../../src/architecture/output.js';
import { readIntegerModel, writeIntegerModel } from '../../src/checkpoint/integer/model.js';
import { readSafetensors } from '../../src/checkpoint/safetensors/safetensors.js';
import { CheckpointError, UsageError } from '../../src/errors.js';
import { loadFloat } from '../../src/float.js';
import { load } from '../../src/model/model.js';
import { quantize, readFloatModel } from '../../src/quantize/index.js';
import { randomPixels } from '../forward/float/support.js';
import { refusal } from '../support/refusal.js';
import { sealed, tinyFloatFile, withTensors, withValue } from '../support/tiny-integer.js';

const photo = { width: 8, height: 8, data: randomPixels(8 * 8 * 3, 1) };

/** A float model whose logits are these numbers, whatever the photo. */
function constant(logits: readonly number[], config: object = {}): Uint8Array {
  return withTensors(tinyFloatFile({ classes: logits.length, config }), (tensors) => {
    tensors.get('head.weight')!.data.fill(0);
    const { data } = tensors.get('head.bias')!;
    new Float32Array(data.buffer, data.byteOffset).set(logits);
  });
}

const integer = (float: Uint8Array, output?: Output) =>
  quantize(float, [photo], { method: 'minmax', ...(output ? { output } : {}) });

/** The output that a checkpoint says, without its metadata being interpreted. */
const written = (bytes: Uint8Array) => JSON.parse(readSafetensors(bytes).metadata.fqvit!).output;

test.each<[string, number[], Output | undefined, Output, string | undefined, number[]]>([
  ['classes', [2, 2, -2], undefined, 'softmax', undefined, [0.4955, 0.4955, 0.0091]],
  ['classes that exclude one another', [2, 2, -2], 'softmax', 'softmax', undefined, [0.4955, 0.4955, 0.0091]],
  ['several labels', [2, 2, -2], 'sigmoid', 'sigmoid', 'sigmoid', [0.8808, 0.8808, 0.1192]],
  ['one class', [0], undefined, 'sigmoid', 'sigmoid', [0.5]],
  ['one class', [3], 'sigmoid', 'sigmoid', 'sigmoid', [0.9526]],
])('%s, logits %j, asked for %s: %s', async (_, logits, asked, output, inFile, expected) => {
  const float = constant(logits);
  const { bytes, model: made } = await integer(float, asked);
  expect([made.output, written(bytes)]).toEqual([output, inFile]);
  expect(sealed(writeIntegerModel(readIntegerModel(bytes)))).toEqual(bytes);
  const model = await load(bytes);
  const floatModel = await loadFloat(float, asked ? { output: asked } : {});
  for (const one of [model, floatModel]) {
    expect(one.info.output).toBe(output);
    const found = await one.classify(photo, { top: logits.length });
    expect(found).toEqual(
      expected.map((probability, index) => ({
        index,
        label: `class ${index}`,
        probability: expect.closeTo(probability, 2),
      })),
    );
    one.dispose();
  }
});

test('a regression returns the output itself, also negative or above 1', async () => {
  for (const value of [31.25, -4]) {
    const float = constant([value], { output: 'value', labels: ['age'] });
    const { bytes } = await integer(float);
    expect(written(bytes)).toBe('value');
    const model = await load(bytes);
    const floatModel = await loadFloat(float);
    const expected = [{ index: 0, label: 'age', value: expect.closeTo(value, 0) }];
    for (const one of [model, floatModel]) expect(await one.classify(photo)).toEqual(expected);
    expect(await model.classify([photo, photo], { top: 3 })).toEqual([expected, expected]);
    const [found] = await model.classify(photo);
    expect(found!.value).toBe((await model.logits(photo))[0]);
    model.dispose();
    floatModel.dispose();
  }
});

test('a checkpoint with one class and no meaning is not a softmax', async () => {
  const { bytes } = await integer(constant([0]));
  const old = withValue(bytes, ['output'], undefined);
  expect(written(old)).toBeUndefined();
  const model = await load(old);
  expect(model.info.output).toBe('sigmoid');
  expect(await model.classify(photo)).toMatchObject([{ probability: 0.5 }]);
  model.dispose();
});

test('a guessed meaning of a single output gives a warning', () => {
  const warning = expect.stringContaining('the head has one output and nothing says what it means');
  const warnings = (output?: Output) => readFloatModel(constant([1]), { output }).warnings;
  expect(warnings()).toContainEqual(warning);
  expect(warnings('sigmoid')).not.toContainEqual(warning);
  expect(warnings('value')).not.toContainEqual(warning);
  expect(readFloatModel(constant([1, 2])).warnings).not.toContainEqual(warning);
});

test("the option precedes the caller's config, which precedes the file's", () => {
  const file = constant([1], { output: 'value' });
  expect(readFloatModel(file).output).toBe('value');
  expect(readFloatModel(file, { config: { output: 'sigmoid' } }).output).toBe('sigmoid');
  expect(readFloatModel(file, { config: { output: 'sigmoid' }, output: 'value' }).output).toBe('value');
});

test.each<[string, number[], unknown, string]>([
  [
    'softmax over one output',
    [1],
    'softmax',
    'output (--logits): expected sigmoid or value for a head of one logit, found softmax',
  ],
  [
    'a regression with several',
    [1, 2],
    'value',
    'output (--logits): expected softmax or sigmoid for a head of 2 logits, found value',
  ],
  ['another word', [1, 2], 'logistic', 'output: expected "softmax", "sigmoid" or "value", found "logistic"'],
])('%s is refused by name', async (_, logits, output, says) => {
  const file = constant(logits, { output });
  const run = integer(file);
  expect(await refusal(run, CheckpointError, 'CHECKPOINT_CONFIG')).toContain(says);
  const option = integer(constant(logits), output as Output);
  const [kind, code] =
    output === 'logistic' ? [UsageError, 'MODEL_OPTION'] : [CheckpointError, 'CHECKPOINT_CONFIG'];
  expect(await refusal(option, kind as typeof UsageError, code as string)).toContain(says);
});

test('a backbone has no logits, whatever its config says', async () => {
  const backbone = withTensors(tinyFloatFile({ config: { output: 'value' } }), (tensors) => {
    for (const name of ['head.weight', 'head.bias']) tensors.delete(name);
  });
  const { output, architecture } = readFloatModel(backbone);
  expect([output, architecture.classes]).toEqual(['softmax', 0]);
});

import { describe, expect, test } from '@jest/globals';
import {
  ACTIVATION_BITS,
  type ActivationBits,
  type Recipe,
  WEIGHT_BITS,
  type WeightBits,
} from '../../../src/checkpoint/integer/description.js';
import {
  type IntegerModel,
  readIntegerModel,
  writeIntegerModel,
} from '../../../src/checkpoint/integer/model.js';
import { traceProgram } from '../../../src/checkpoint/integer/program.js';
import { IntegerRunner } from '../../../src/forward/integer/runner.js';
import { unpackNibbles } from '../../../src/layers/linear/nibbles.js';
import { readWasm } from '../../../src/runtime/wasm-node.js';
import { randomPixels } from '../../forward/float/support.js';
import {
  RECIPE,
  sealed,
  tinyIntegerFile,
  tinySwinIntegerFile,
  withLayer,
  withTensors,
  withValue,
} from '../../support/tiny-integer.js';
import { refusal } from '../raw-file.js';

const FAMILIES = { DeiT: tinyIntegerFile, Swin: tinySwinIntegerFile };
const recipe = (bits: WeightBits, activations: ActivationBits = 8): Recipe => ({
  ...RECIPE,
  weightBits: bits,
  activationBits: activations,
});
const EACH = Object.keys(FAMILIES).flatMap((family) =>
  WEIGHT_BITS.flatMap((bits) =>
    ACTIVATION_BITS.map((activations) => [family as keyof typeof FAMILIES, bits, activations] as const),
  ),
);

/** Expects a CheckpointError with this code and all of `says`. */
function expectRefusal(file: Uint8Array, code: string, ...says: string[]): void {
  const error = refusal(() => readIntegerModel(file, { file: 'model.safetensors' }));
  expect(error.code).toBe(code);
  for (const part of says) expect(error.message).toContain(part);
}

describe.each(EACH)('a %s with %d-bit weights and %d-bit activations', (family, bits, activations) => {
  const file = FAMILIES[family]({}, recipe(bits, activations));
  const model = readIntegerModel(file);

  test('has the same bytes when read and written again', () => {
    expect(model.recipe).toMatchObject({ weightBits: bits, activationBits: activations });
    expect(sealed(writeIntegerModel(model))).toEqual(file);
  });

  test('weights use their whole range, and GELU tables stay in theirs', () => {
    for (const { name, bits: own, range } of model.program.tensors) {
      const values = model.tensors.get(name)!;
      if (own !== undefined) {
        const wanted = /^(patch_embed\.proj|head)\./.test(name) ? Math.max(bits, 7) : bits;
        expect([name, own]).toEqual([name, wanted]);
        const codes = own === 4 ? unpackNibbles(values as Uint8Array, 2 * values.length) : values;
        const half = 2 ** (own - 1);
        expect(Math.min(...codes)).toBeGreaterThanOrEqual(-half);
        expect(Math.max(...codes)).toBeLessThan(half);
        expect(Math.max(...Array.from(codes, Math.abs))).toBeGreaterThanOrEqual(half - 1);
      }
      if (name.endsWith('gelu.out.table')) {
        expect(range).toMatchObject({ low: 0, high: 2 ** activations - 1 });
        expect(Math.max(...values)).toBe(2 ** activations - 1);
      }
    }
  });

  test('gives the same answer as the same codes in int8, on both tiers', async () => {
    const wide = inInt8(model);
    const { imageSize } = model.architecture;
    const pixels = randomPixels(3 * imageSize ** 2, 5);
    const answers = [];
    for (const [one, tier] of [
      [model, 'simd'],
      [model, 'scalar'],
      [wide, 'simd'],
    ] as const) {
      const runner = await IntegerRunner.create(one, await readWasm(tier));
      answers.push([...runner.run(pixels)]);
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  });
});

/** The same codes in a model with 8-bit weights. */
function inInt8(model: IntegerModel): IntegerModel {
  const tensors = new Map(model.tensors);
  for (const { name, bits, shape } of model.program.tensors) {
    if (bits === 4) tensors.set(name, unpackNibbles(tensors.get(name) as Uint8Array, 2 * shape[1]!));
  }
  const layers = model.program.layers.map((layer) =>
    layer.kind === 'linear' ? { ...layer, weightBits: 8 as const } : layer,
  );
  const program = traceProgram(layers, model.preprocessing.imageSize, (_, message) => {
    throw new Error(message);
  });
  return { ...model, program, tensors };
}

test('4 bits halve the weights of the blocks', () => {
  const size = (file: Uint8Array) =>
    [...readIntegerModel(file).tensors]
      .filter(([name]) => /^blocks.*weight$/.test(name))
      .reduce((sum, [, { length }]) => sum + length, 0);
  expect(size(tinyIntegerFile({}, recipe(4)))).toBe(size(tinyIntegerFile()) / 2);
  expect(size(tinyIntegerFile({}, recipe(5)))).toBe(size(tinyIntegerFile()));
});

test.each(Object.entries(FAMILIES))('only the layers inside the blocks of a %s are narrow', (_, make) => {
  const { program } = readIntegerModel(make({}, recipe(5, 7)));
  const bits = (name: string) => Math.log2(program.activations.get(name)!.highest + 1);
  for (const layer of program.layers) {
    if (layer.kind !== 'linear') continue;
    const isEdge = ['patch_embed.proj', 'head'].includes(layer.parameters!);
    expect([layer.name, layer.weightBits, bits(layer.reads[0]!)]).toEqual([
      layer.name,
      isEdge ? 7 : 5,
      isEdge ? 8 : 7,
    ]);
  }
  for (const { kind, name } of program.layers)
    if (['add', 'scores', 'tokens', 'constant', 'bias', 'pool'].includes(kind)) expect(bits(name)).toBe(8);
});

describe('widths that do not exist, or do not fit', () => {
  const R = 'description.recipe';

  test.each([3, 9, 7.5, '4', null])('refuses weights of %j bits', (bits) => {
    expectRefusal(
      withValue(tinyIntegerFile(), ['recipe', 'weightBits'], bits),
      'MODEL_DESCRIPTION',
      `${R}.weightBits: expected one of 8, 7, 6, 5, 4, found ${JSON.stringify(bits)}`,
    );
  });

  test.each([6, 4, '8', null])('refuses activations of %j bits', (bits) => {
    expectRefusal(
      withValue(tinyIntegerFile(), ['recipe', 'activationBits'], bits),
      'MODEL_DESCRIPTION',
      `${R}.activationBits: expected one of 8, 7, found ${JSON.stringify(bits)}`,
    );
  });

  test('uses 8 bits if the recipe has no widths', () => {
    const bare = ['weightBits', 'activationBits'].reduce(
      (file, key) => withValue(file, ['recipe', key], undefined),
      tinyIntegerFile(),
    );
    const { sha256: _, ...model } = readIntegerModel(tinyIntegerFile());
    expect(readIntegerModel(bare)).toMatchObject(model);
  });

  test.each([7, 6, 5] as const)('refuses a weight outside the range of %d bits', (bits) => {
    const name = 'blocks.1.mlp.fc2.weight';
    const half = 2 ** (bits - 1);
    for (const code of [half, -half - 1, 127, -128]) {
      const file = withTensors(tinyIntegerFile({}, recipe(bits)), (tensors) => {
        tensors.get(name)!.data[3] = code;
      });
      expectRefusal(
        file,
        'MODEL_VALUE',
        `tensor ${name}, element 3: expected a code from ${-half} to ${half - 1}, found ${code}`,
      );
    }
  });

  test('refuses a head outside the range of 7 bits', () => {
    const file = withTensors(tinyIntegerFile({}, recipe(4)), (tensors) => {
      tensors.get('head.weight')!.data[0] = 64;
    });
    expectRefusal(file, 'MODEL_VALUE', 'tensor head.weight, element 0: expected a code from -64 to 63');
  });

  test('refuses a GELU table with a code outside the range of 7 bits', () => {
    const name = 'blocks.0.mlp.gelu.out.table';
    const file = withTensors(tinyIntegerFile({}, recipe(8, 7)), (tensors) => {
      tensors.get(name)!.data[4095] = 128;
    });
    expectRefusal(
      file,
      'MODEL_VALUE',
      `tensor ${name}, element 4095: expected a code from 0 to 127, found 128`,
    );
  });

  test('refuses a zero point outside the range of 7 bits', () => {
    const narrow = tinyIntegerFile({}, recipe(8, 7));
    const at = (name: string, zeroPoint: number) =>
      withLayer(narrow, name, (layer) => {
        layer.zeroPoint = zeroPoint;
      });
    expectRefusal(
      at('blocks.1.attn.context', 128),
      'MODEL_DESCRIPTION',
      'blocks.1.attn.context: zeroPoint: expected an integer from 0 to 127, found 128',
    );
    expect(readIntegerModel(at('norm.out', 255)).program.activations.get('norm.out')).toMatchObject({
      zeroPoint: 255,
    });
  });

  test('refuses int8 weights in a 4-bit file, and 4-bit weights in an int8 file', () => {
    const [wide, narrow] = [tinyIntegerFile(), tinyIntegerFile({}, recipe(4))];
    const withBits = (file: Uint8Array, weightBits: number) =>
      withLayer(file, 'blocks.0.attn.qkv.out', (layer) => Object.assign(layer, { weightBits }));
    expectRefusal(withBits(wide, 4), 'MODEL_SHAPE', 'U8 [48,8], found I8 [48,16]');
    expectRefusal(withBits(narrow, 8), 'MODEL_SHAPE', 'I8 [48,16], found U8 [48,8]');
  });
});

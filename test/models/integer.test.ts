import { describe, expect, test } from '@jest/globals';
import { readIntegerModel } from '../../src/checkpoint/integer-model.js';
import { IntegerRunner } from '../../src/models/integer.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { randomPixels } from '../float/support.js';
import { RECIPE, type TinyOptions, tinyInteger, tinyIntegerFile, UNIFORM } from '../support/tiny-integer.js';

const SIZES: [name: string, options: TinyOptions, recipe: typeof RECIPE][] = [
  ['log2 attention', {}, RECIPE],
  ['uniform attention', {}, UNIFORM],
  ['one patch and one class', { grid: 1, classes: 1, depth: 1, heads: 1 }, RECIPE],
  [
    '17 tokens, patches of 27 inputs',
    { grid: 4, patchSize: 3, dim: 24, mlpDim: 8, heads: 3, classes: 17 },
    RECIPE,
  ],
  ['65 tokens, wide heads', { grid: 8, patchSize: 2, dim: 80, mlpDim: 136, heads: 2, classes: 9 }, UNIFORM],
];

async function both(options: TinyOptions, recipe: typeof RECIPE): Promise<[IntegerRunner, IntegerRunner]> {
  const model = tinyInteger(options, recipe);
  return Promise.all([
    IntegerRunner.create(model, await readWasm('scalar')),
    IntegerRunner.create(model, await readWasm('simd')),
  ]);
}

describe.each(SIZES)('%s', (_, options, recipe) => {
  test('every activation is the same on both tiers', async () => {
    const [scalar, simd] = await both(options, recipe);
    const pixels = randomPixels(scalar.description.architecture.imageSize ** 2 * 3, 3);
    scalar.write('pixels', pixels);
    simd.write('pixels', pixels);
    const outputs = scalar.steps.map(({ output }) => output);
    expect(simd.steps.map(({ output }) => output)).toEqual(outputs);
    expect(new Set(outputs).size).toBe(outputs.length);
    for (const [i, { output, run }] of scalar.steps.entries()) {
      run(scalar.kernels);
      simd.steps[i]!.run(simd.kernels);
      expect([output, simd.read(output)]).toEqual([output, scalar.read(output)]);
    }
    expect(scalar.read('logits').length).toBe(scalar.description.architecture.classes);
  });

  test('nothing of one image is left for the next', async () => {
    for (const deit of await both(options, recipe)) {
      const bytes = deit.description.architecture.imageSize ** 2 * 3;
      const images = [randomPixels(bytes, 1), new Uint8Array(bytes), new Uint8Array(bytes).fill(255)];
      const first = images.map((image) => deit.run(image));
      expect([2, 0, 1, 1].map((i) => deit.run(images[i]!))).toEqual([2, 0, 1, 1].map((i) => first[i]!));
      expect(first[0]).not.toBe(deit.run(images[0]!));
    }
  });
});

test('the codes depend on the image', async () => {
  const [deit] = await both({ classes: 40 }, RECIPE);
  expect(deit.run(randomPixels(8 * 8 * 3, 1))).not.toEqual(deit.run(randomPixels(8 * 8 * 3, 2)));
});

test('the file may change and go when the model has been made', async () => {
  const file = tinyIntegerFile();
  const wasm = await readWasm('simd');
  const deit = await IntegerRunner.create(readIntegerModel(file), wasm);
  const pixels = randomPixels(8 * 8 * 3, 1);
  const codes = deit.run(pixels);
  file.fill(0);
  wasm.fill(0);
  expect(deit.run(pixels)).toEqual(codes);
  expect(deit.description).not.toHaveProperty('tensors');
});

test('an activation that is written is read back, whatever its stride', async () => {
  const [deit] = await both({ grid: 4 }, RECIPE);
  for (const name of ['pixels', 'input', 'blocks.1.attn.scores', 'blocks.1.attn.qkv.out', 'logits']) {
    const { rows, columns } = deit.buffers.get(name)!;
    const codes = randomPixels(rows * columns, 9);
    deit.write(name, codes);
    expect(deit.read(name)).toEqual(codes);
  }
});

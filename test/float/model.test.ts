import { describe, expect, test } from '@jest/globals';
import type { FloatModel } from '../../src/checkpoint/float-model.js';
import { FloatRunner } from '../../src/models/float.js';
import * as reference from './reference.js';
import { deitTiny, goldenTest, photos, randomPixels, sharedTensors, smallModel, wasm } from './support.js';

describe('a small model with awkward sizes', () => {
  const images = [1, 2, 3].map((seed) => randomPixels(12 * 12 * 3, seed));

  test('every observed tensor of a batch equals the f64 reference, in its order', async () => {
    const model = smallModel();
    const runner = await FloatRunner.create(model, { wasm, batchSize: 4 });
    const expected = images.map((image) => reference.forward(model, image));
    const names: string[] = [];
    runner.run(images, (name, values, shape, address) => {
      names.push(name);
      expect(values.length).toBe(shape.reduce((a, b) => a * b));
      expect(values.byteOffset).toBe(address);
      const parts = name === 'pos_embed' ? expected.slice(0, 1) : expected;
      expect(shape[0]).toBe(parts.length);
      const reached = parts.flatMap((one) => one.get(name)!);
      expect(reached.length).toBe(values.length);
      const worst = reached.reduce((w, x, i) => Math.max(w, Math.abs(x - values[i]!)), 0);
      expect({ name, close: worst < 2e-5 }).toEqual({ name, close: true });
    });
    // the reference meets proj and fc2 after it has started on the addition that follows them: same set, own order
    expect([...names].sort()).toEqual([...expected[0]!.keys()].sort());
    expect(names.slice(0, 8)).toEqual([
      'input',
      'patch_embed.out',
      'tokens',
      'pos_embed',
      'stem.out',
      'blocks.0.norm1.out',
      'blocks.0.attn.qkv.out',
      'blocks.0.attn.scores',
    ]);
    expect(names.at(-1)).toBe('logits');
  });

  test('logits do not depend on the batch or on an earlier run', async () => {
    const one = await FloatRunner.create(smallModel(), { wasm });
    const many = await FloatRunner.create(smallModel(), { wasm, batchSize: 3 });
    const alone = images.map((image) => one.run([image])[0]!);
    expect(many.run(images)).toEqual(alone);
    expect(many.run([images[2]!])).toEqual([alone[2]]);
  });
});

describe('refusals', () => {
  test.each([
    [
      'a missing tensor',
      (m: FloatModel) => new Map([...m.tensors].filter(([n]) => n !== 'blocks.1.norm2.bias')),
    ],
    ['a tensor of another size', (m: FloatModel) => withTensor(m, 'head.weight', new Float32Array(7))],
  ])('%s', async (_, change) => {
    const model = smallModel();
    const broken = { ...model, tensors: change(model) };
    await expect(FloatRunner.create(broken, { wasm })).rejects.toMatchObject({
      name: 'QuantizeError',
      code: 'MODEL_TENSOR',
      message: expect.stringMatching(/blocks\.1\.norm2\.bias|head\.weight: expected 165 elements, found 7/),
    });
  });

  test.each([{ patchSize: 5 }, { heads: 4 }])('sizes that do not divide: %j', async (change) => {
    const model = smallModel();
    const broken = { ...model, architecture: { ...model.architecture, ...change } };
    await expect(FloatRunner.create(broken, { wasm })).rejects.toMatchObject({ code: 'MODEL_SHAPE' });
  });

  test('a module that is not the float module', async () => {
    const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
    for (const bytes of [empty, Uint8Array.of(1, 2, 3)])
      await expect(FloatRunner.create(smallModel(), { wasm: bytes })).rejects.toMatchObject({
        name: 'RuntimeError',
        code: 'WASM',
      });
  });

  test('an empty or too large batch, an image of another size, a disposed runner, a bad batch size', async () => {
    const runner = await FloatRunner.create(smallModel(), { wasm });
    const image = randomPixels(432, 1);
    for (const batch of [[], [image, image], [image.subarray(1)]])
      expect(() => runner.run(batch)).toThrow(expect.objectContaining({ code: 'PIXELS' }));
    runner.dispose();
    expect(() => runner.run([image])).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
    await expect(FloatRunner.create(smallModel(), { wasm, batchSize: 0 })).rejects.toMatchObject({
      code: 'BATCH_SIZE',
    });
  });
});

goldenTest('DeiT-Tiny: the logits of 100 photos are within 1e-4 of the reference', async () => {
  const runner = await FloatRunner.create(deitTiny(), { wasm });
  const golden = sharedTensors('golden/deit_tiny/logits.safetensors').get('float_model')!.data;
  let worst = 0;
  let row = 0;
  for await (const image of photos(64, 164)) {
    const logits = runner.run([image])[0]!;
    logits.forEach((x, c) => {
      worst = Math.max(worst, Math.abs(x - golden[1000 * row + c]!));
    });
    row++;
  }
  expect(row).toBe(100);
  expect(worst).toBeLessThan(1e-4);
});

function withTensor(model: FloatModel, name: string, data: Float32Array): FloatModel['tensors'] {
  return new Map(model.tensors).set(name, { shape: [data.length], data });
}

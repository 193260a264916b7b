import { describe, expect, test } from '@jest/globals';
import type { FloatModel } from '../../../src/checkpoint/float/model.js';
import { FloatRunner } from '../../../src/forward/float/runner.js';
import { describeWithShared } from '../../support/shared.js';
import * as reference from './reference.js';
import {
  deitTiny,
  photos,
  randomPixels,
  sharedTensors,
  smallModel,
  smallSwin,
  swinMicro,
  swinPictures,
  wasm,
} from './support.js';
import { forwardSwin } from './swin-reference.js';

const models = [
  { name: 'ViT', make: smallModel, forward: reference.forward },
  {
    name: 'ViT with a distillation token and two heads',
    make: () => smallModel({ prefix: 2, pool: 'two-tokens', gelu: 'tanh' }),
    forward: reference.forward,
  },
  {
    name: 'ViT with registers that reads the mean of its patches',
    make: () => smallModel({ prefix: 4, pool: 'mean', gelu: 'quick' }),
    forward: reference.forward,
  },
  {
    name: 'ViT without a class token, LayerNorm behind the mean',
    make: () => smallModel({ prefix: 0, pool: 'mean-before-norm' }),
    forward: reference.forward,
  },
  { name: 'Swin', make: smallSwin, forward: forwardSwin },
  {
    // maps of 8, 4 and 2 tokens per side: four windows, one, and a smaller one
    name: 'Swin with a last stage smaller than its window',
    make: () =>
      smallSwin({ patchSize: 3, dim: 10, depths: [2, 2, 2], heads: [2, 4, 5], mlpDim: 14, window: 4 }),
    forward: forwardSwin,
  },
];

describe.each(models)('a small $name with awkward sizes', ({ make, forward }) => {
  const model = make();
  const { imageSize } = model.architecture;
  const images = [1, 2, 3].map((seed) => randomPixels(imageSize ** 2 * 3, seed));

  test('every observed tensor of a batch equals the f64 reference, in the same order', async () => {
    const runner = await FloatRunner.create(model, { wasm, batchSize: 4 });
    const expected = images.map((image) => forward(model, image));
    const names: string[] = [];
    runner.run(images, (name, values, shape, address) => {
      names.push(name);
      expect(values.length).toBe(shape.reduce((a, b) => a * b));
      expect(values.byteOffset).toBe(address);
      const parts = /pos_embed|bias_table/.test(name) ? expected.slice(0, 1) : expected;
      expect(shape[0]! % parts.length).toBe(0);
      const reached = parts.flatMap((one) => one.get(name)!);
      expect(reached.length).toBe(values.length);
      const worst = reached.reduce((w, x, i) => Math.max(w, Math.abs(x - values[i]!)), 0);
      const largest = reached.reduce((w, x) => Math.max(w, Math.abs(x)), 10);
      expect({ name, close: worst < 2e-6 * largest }).toEqual({ name, close: true });
    });
    // the ViT reference emits proj and fc2 inside the addition that follows them: same set, other
    // order
    expect([...names].sort()).toEqual([...expected[0]!.keys()].sort());
    expect(names.at(-1)).toBe('logits');
  });

  test('logits depend neither on the batch nor on earlier runs', async () => {
    const one = await FloatRunner.create(model, { wasm });
    const many = await FloatRunner.create(model, { wasm, batchSize: 3 });
    const alone = images.map((image) => one.run([image])[0]!);
    expect(many.run(images)).toEqual(alone);
    expect(many.run([images[2]!])).toEqual([alone[2]]);
  });

  test('logits have the same bits with and without an observer', async () => {
    const runner = await FloatRunner.create(model, { wasm, batchSize: 3 });
    expect(runner.run(images)).toEqual(runner.run(images, () => {}));
  });
});

/** The name and shape of every tensor that a batch of two emits. */
async function shownTensors(model: FloatModel): Promise<[string, readonly number[]][]> {
  const runner = await FloatRunner.create(model, { wasm, batchSize: 2 });
  const image = randomPixels(model.architecture.imageSize ** 2 * 3, 1);
  const shown: [string, readonly number[]][] = [];
  runner.run([image, image], (name, _values, shape) => shown.push([name, shape]));
  return shown;
}

test('a ViT emits its tensors in layer order', async () => {
  const shown = await shownTensors(smallModel());
  const block = [
    ['norm1.out', [2, 10, 15]],
    ['attn.qkv.out', [2, 10, 45]],
    ['attn.scores', [2, 3, 10, 10]],
    ['attn.probs', [2, 3, 10, 10]],
    ['attn.context', [2, 10, 15]],
    ['attn.proj.out', [2, 10, 15]],
    ['residual1.out', [2, 10, 15]],
    ['norm2.out', [2, 10, 15]],
    ['mlp.gelu.out', [2, 10, 22]],
    ['mlp.fc2.out', [2, 10, 15]],
    ['residual2.out', [2, 10, 15]],
  ] as const;
  expect(shown).toEqual([
    ['input', [2, 12, 12, 3]],
    ['patch_embed.out', [2, 9, 15]],
    ['tokens', [2, 10, 15]],
    ['pos_embed', [1, 10, 15]],
    ['stem.out', [2, 10, 15]],
    ...block.map(([name, shape]) => [`blocks.0.${name}`, shape]),
    ...block.map(([name, shape]) => [`blocks.1.${name}`, shape]),
    ['norm.out', [2, 15]],
    ['logits', [2, 11]],
  ]);
});

test('a Swin emits its tensors in layer order, those of attention window by window', async () => {
  const shown = await shownTensors(smallSwin({ depths: [1, 1, 1] }));
  const stage = (i: number, windows: number, heads: number, dim: number, mlpDim: number) =>
    [
      ['norm1.out', [2 * windows, 9, dim]],
      ['attn.qkv.out', [2 * windows, 9, 3 * dim]],
      ['attn.qk', [2 * windows, heads, 9, 9]],
      ['attn.bias_table', [1, 25, heads]],
      ['attn.scores', [2 * windows, heads, 9, 9]],
      ['attn.probs', [2 * windows, heads, 9, 9]],
      ['attn.context', [2 * windows, 9, dim]],
      ['attn.proj.out', [2 * windows, 9, dim]],
      ['residual1.out', [2, 9 * windows, dim]],
      ['norm2.out', [2, 9 * windows, dim]],
      ['mlp.gelu.out', [2, 9 * windows, mlpDim]],
      ['mlp.fc2.out', [2, 9 * windows, dim]],
      ['residual2.out', [2, 9 * windows, dim]],
    ].map(([name, shape]) => [`layers.${i}.blocks.0.${name}`, shape]);
  expect(shown).toEqual([
    ['input', [2, 24, 24, 3]],
    ['patch_embed.conv.out', [2, 144, 6]],
    ['stem.out', [2, 144, 6]],
    ...stage(0, 16, 1, 6, 10),
    ['layers.0.downsample.norm.out', [2, 36, 24]],
    ['layers.0.downsample.reduction.out', [2, 36, 12]],
    ...stage(1, 4, 2, 12, 20),
    ['layers.1.downsample.norm.out', [2, 9, 48]],
    ['layers.1.downsample.reduction.out', [2, 9, 24]],
    ...stage(2, 1, 3, 24, 40),
    ['norm.out', [2, 9, 24]],
    ['pooled', [2, 24]],
    ['logits', [2, 5]],
  ]);
});

describe('refusals', () => {
  const table = 'layers.1.blocks.0.attn.relative_position_bias_table';
  test.each([
    ['a missing tensor', smallModel(), 'blocks.1.norm2.bias', undefined, 'no tensor blocks.1.norm2.bias'],
    [
      'a tensor of another size',
      smallModel(),
      'head.weight',
      7,
      'head.weight: expected 165 elements, found 7',
    ],
    ['a missing table', smallSwin(), table, undefined, `no tensor ${table}`],
    ['a table of another window', smallSwin(), table, 18, `${table}: expected 50 elements, found 18`],
  ])('%s', async (_, model, name, count, message) => {
    const tensors = new Map(model.tensors);
    if (count === undefined) tensors.delete(name);
    else tensors.set(name, { shape: [count], data: new Float32Array(count) });
    await expect(FloatRunner.create({ ...model, tensors }, { wasm })).rejects.toMatchObject({
      name: 'QuantizeError',
      code: 'MODEL_TENSOR',
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ['ViT', { patchSize: 5 }, 'input: patch: expected a divisor of the image size 12, found 5'],
    ['ViT', { heads: 4 }, 'blocks.0.attn.scores: heads: expected q, k and v of 4 heads'],
    ['Swin', { patchSize: 5 }, 'input: patch: expected a divisor of the image size 24, found 5'],
    ['Swin', { window: 5 }, 'layers.0.blocks.0.norm1.out: window: expected a size'],
    [
      'Swin',
      { depths: [1, 1, 1, 1], heads: [1, 1, 1, 1] },
      'layers.2.downsample.norm.out: merge: expected a map with an even side, found 3',
    ],
    ['Swin', { heads: [1, 5, 3] }, 'layers.1.blocks.0.attn.qk: heads: expected q, k and v of 5 heads'],
  ])('sizes that do not divide: %s with %j', async (family, change, message) => {
    const model: FloatModel = family === 'Swin' ? smallSwin() : smallModel();
    const broken = { ...model, architecture: { ...model.architecture, ...change } } as FloatModel;
    await expect(FloatRunner.create(broken, { wasm })).rejects.toMatchObject({
      code: 'MODEL_SHAPE',
      message: expect.stringContaining(message),
    });
  });

  test('refuses a module that is not the float module', async () => {
    const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
    for (const bytes of [empty, Uint8Array.of(1, 2, 3)])
      await expect(FloatRunner.create(smallModel(), { wasm: bytes })).rejects.toMatchObject({
        name: 'RuntimeError',
        code: 'WASM',
      });
  });

  test('refuses bad batches, images of another size and use after dispose', async () => {
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

const DEIT_TINY = [
  'models/deit_tiny_patch16_224.safetensors',
  'golden/deit_tiny/logits.safetensors',
  'data/imagenet500/labels.csv',
];
describeWithShared('DeiT-Tiny', 1, DEIT_TINY, () => {
  test('the logits of 100 photos are within 1e-4 of the reference', async () => {
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
});

const SWIN_MICRO = [
  'models/swin_micro.safetensors',
  ...['logits', 'pixels'].map((name) => `golden/swin_micro/${name}.safetensors`),
];
describeWithShared('a small Swin', 1, SWIN_MICRO, () => {
  test('gives logits of 400 pictures within 1e-3 of the reference', async () => {
    const runner = await FloatRunner.create(swinMicro(), { wasm, batchSize: 16 });
    const golden = sharedTensors('golden/swin_micro/logits.safetensors').get('float_model')!.data;
    const pictures = swinPictures('test');
    expect(pictures.length).toBe(400);
    let worst = 0;
    for (let first = 0; first < 400; first += 16) {
      runner.run(pictures.slice(first, first + 16)).forEach((logits, b) => {
        logits.forEach((x, c) => {
          worst = Math.max(worst, Math.abs(x - golden[10 * (first + b) + c]!));
        });
      });
    }
    expect(worst).toBeLessThan(1e-3);
  });
});

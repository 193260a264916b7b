import { describe, expect, test } from '@jest/globals';
import { readSafetensors, writeSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { UsageError } from '../../../src/errors.js';
import { FloatRunner } from '../../../src/forward/float/runner.js';
import { load } from '../../../src/model/model.js';
import { quantize, readFloatModel } from '../../../src/quantize/index.js';
import { tinyShapes } from '../../checkpoint/tiny-float.js';
import { refusal } from '../../support/refusal.js';
import { modelFile, tinySwinModel } from '../../support/tiny-model.js';
import { randomPixels, wasm } from '../float/support.js';

const C = 32;
const SIZES = { dim: C, depth: 3, patchSize: 14, grid: 4, mlpDim: 64, classes: 10 };
const PATCHES = 16;

const VARIANTS: [name: string, change: (shapes: Map<string, number[]>) => void, config?: object][] = [
  ['patches of 14 pixels', () => {}],
  [
    'two heads',
    (shapes) =>
      shapes
        .set('dist_token', [1, 1, C])
        .set('pos_embed', [1, 2 + PATCHES, C])
        .set('head_dist.weight', [10, C])
        .set('head_dist.bias', [10]),
  ],
  ['registers', (shapes) => shapes.set('reg_token', [1, 4, C])],
  ['the mean of the patches', () => {}, { global_pool: 'avg' }],
  [
    'no class token, fc_norm',
    (shapes) => {
      shapes.delete('cls_token');
      shapes.set('pos_embed', [1, PATCHES, C]);
      for (const parameter of ['weight', 'bias']) {
        shapes.set(`fc_norm.${parameter}`, [C]);
        shapes.delete(`norm.${parameter}`);
      }
    },
  ],
  [
    'LayerScale',
    (shapes) => {
      for (let n = 0; n < 3; n++) shapes.set(`blocks.${n}.ls1.gamma`, [C]).set(`blocks.${n}.ls2.gamma`, [C]);
    },
  ],
  ['GELU by tanh', () => {}, { activation: 'tanh' }],
  ['quick GELU', () => {}, { activation: 'quick' }],
];

const images = Array.from({ length: 12 }, (_, i) => ({
  width: 56,
  height: 56,
  data: randomPixels(3 * 56 ** 2, i),
}));

/** The cosine of the angle between two vectors. */
function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe.each(VARIANTS)('a ViT with %s', (_, change, config = {}) => {
  const shapes = tinyShapes(SIZES);
  change(shapes);
  const file = modelFile(shapes, { num_heads: 4, crop_pct: 1, architecture: 'vit', ...config }, 3);

  test.each(['best', 'fq', 'minmax'] as const)(
    '%s follows the float model, in every tier',
    async (method) => {
      const { bytes } = await quantize(file, images, { method, seed: null });
      const float = await FloatRunner.create(readFloatModel(file), { wasm });
      const model = await load(bytes, { tier: 'simd' });
      const scalar = await load(bytes, { tier: 'scalar' });
      let alike = 0;
      for (const { data } of images) {
        const expected = float.run([data])[0]!;
        const logits = model.logitsOfPixels(data);
        alike += cosine(expected, logits) / images.length;
        const codes = model.codesOfPixels(data);
        expect(scalar.codesOfPixels(data)).toEqual(codes);
        expect(model.featuresOfPixels(data)).toHaveLength(C);
      }
      expect(alike).toBeGreaterThan(method === 'fq' ? 0.95 : 0.99);
      for (const one of [model, scalar]) one.dispose();
      float.dispose();
    },
  );
});

describe.each([
  ['a ViT', modelFile(tinyShapes(SIZES), { num_heads: 4, crop_pct: 1, architecture: 'vit' }, 3)],
  ['a Swin', tinySwinModel({ image_size: 16, crop_pct: 1 })],
])('%s without a head', (_, whole) => {
  const { tensors, metadata } = readSafetensors(whole);
  const backbone = writeSafetensors(
    [...tensors.values()].filter(({ name }) => !name.startsWith('head.')),
    metadata,
  );

  test('has only the features of the whole model', async () => {
    const options = { method: 'fq', seed: null } as const;
    const [all, some] = await Promise.all(
      [whole, backbone].map(async (file) => load((await quantize(file, images, options)).bytes)),
    );
    const { imageSize } = some!.info.architecture;
    const pixels = randomPixels(3 * imageSize ** 2, 5);
    expect(some!.featuresOfPixels(pixels)).toEqual(all!.featuresOfPixels(pixels));
    expect(some!.info.labels).toEqual([]);
    const image = { width: imageSize, height: imageSize, data: pixels };
    expect(await some!.features(image)).toEqual(some!.featuresOfPixels(pixels));
    for (const call of [some!.classify(image), some!.logits(image), some!.codes(image)])
      expect(await refusal(call, UsageError, 'CLASSES')).toMatch(/found a backbone/);
    all!.dispose();
    some!.dispose();
    expect(await refusal(some!.features(image), UsageError, 'DISPOSED')).toMatch(/disposed/);
  });
});

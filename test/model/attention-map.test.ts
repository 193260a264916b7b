import { describe, expect, test } from '@jest/globals';
import { UsageError } from '../../src/errors.js';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { IntegerRunner } from '../../src/forward/integer/runner.js';
import { load, type Model } from '../../src/model/model.js';
import { quantize, readFloatModel } from '../../src/quantize/index.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { tinyShapes } from '../checkpoint/tiny-float.js';
import { randomPixels, wasm } from '../forward/float/support.js';
import { refusal } from '../support/refusal.js';
import { modelFile, tinySwinModel } from '../support/tiny-model.js';

const C = 32;
const SIDE = 4;
const HEADS = 4;
const SIZES = { dim: C, depth: 3, patchSize: 14, grid: SIDE, mlpDim: 64, classes: 10 };

/**
 * Name, change of the tensors, config; tokens before the patches,
 * and those that the head reads (0: the patches).
 */
const VARIANTS: [string, (shapes: Map<string, number[]>) => void, object, prefix: number, read: number][] = [
  ['a class token', () => {}, {}, 1, 1],
  [
    'a distillation token',
    (shapes) =>
      shapes
        .set('dist_token', [1, 1, C])
        .set('pos_embed', [1, 2 + SIDE ** 2, C])
        .set('head_dist.weight', [10, C])
        .set('head_dist.bias', [10]),
    {},
    2,
    2,
  ],
  ['registers', (shapes) => shapes.set('reg_token', [1, 4, C]), {}, 5, 1],
  ['the mean of the patches', () => {}, { global_pool: 'avg' }, 1, 0],
];

const images = Array.from({ length: 12 }, (_, i) => ({
  width: 56,
  height: 56,
  data: randomPixels(3 * 56 ** 2, i),
}));

type Matrix = number[][];
const multiply = (a: Matrix, b: Matrix) =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));

/** Attention of every block in floats: the mean of the heads, `[tokens, tokens]`. */
function floatAttention(float: FloatRunner, pixels: Uint8Array): Matrix[] {
  const matrices: Matrix[] = [];
  float.run([pixels], (name, values, shape) => {
    if (!name.endsWith('attn.probs')) return;
    const tokens = shape.at(-1)!;
    const mean = (q: number, k: number) => {
      let sum = 0;
      for (let h = 0; h < HEADS; h++) sum += values[(h * tokens + q) * tokens + k]!;
      return sum / HEADS;
    };
    matrices.push(
      Array.from({ length: tokens }, (_, q) => Array.from({ length: tokens }, (_, k) => mean(q, k))),
    );
  });
  return matrices;
}

/** The rows of `matrix` that the head reads, as one, of the patches alone and of sum 1. */
function mapOf(matrix: Matrix, prefix: number, read: number): number[] {
  const rows = read === 0 ? matrix.slice(prefix) : matrix.slice(0, read);
  const patches = matrix[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0)).slice(prefix);
  const sum = patches.reduce((a, b) => a + b);
  return patches.map((value) => value / sum);
}

/** The cosine of the angle between two maps without their means: how alike their patterns are. */
function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const centred = (map: ArrayLike<number>) => Array.from(map, (value) => value - 1 / map.length);
  const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const [x, y] = [centred(a), centred(b)];
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

/**
 * Attention of every block by the integer codes, as `floatAttention`; of the last block the rows
 * that are computed.
 */
function integerAttention(runner: IntegerRunner, pixels: Uint8Array): Matrix[] {
  const { attention } = runner.description.recipe;
  const real = (code: number) => {
    if (attention === 'uniform') return code;
    const [steps, last] = attention === 'log2' ? [1, 15] : [8, 127];
    return code > last ? 0 : 2 ** (-code / steps);
  };
  const matrices: Matrix[] = [];
  const trace = runner.trace(pixels, (output) => {
    if (!output.endsWith('attn.probs')) return;
    const { rows, columns } = runner.buffers.get(output)!;
    const codes = runner.read(output);
    const queries = rows / HEADS;
    const summed = Array.from({ length: queries }, (_, q) =>
      Array.from({ length: columns }, (_, k) => {
        let sum = 0;
        for (let h = 0; h < HEADS; h++) sum += real(codes[(h * queries + q) * columns + k]!);
        return sum;
      }),
    );
    matrices.push(summed.map((row) => row.map((value) => value / row.reduce((x, y) => x + y))));
  });
  while (!trace.next().done);
  return matrices;
}

function rollout(matrices: Matrix[]): Matrix {
  const residual = matrices.map((matrix) =>
    matrix.map((row, q) => row.map((value, k) => value / 2 + (q === k ? 0.5 : 0))),
  );
  return residual.reduceRight((above, below) => multiply(above, below));
}

describe.each(VARIANTS)('a ViT with %s', (_, change, config, prefix, read) => {
  const shapes = tinyShapes(SIZES);
  change(shapes);
  const file = modelFile(shapes, { num_heads: HEADS, crop_pct: 1, architecture: 'vit', ...config }, 3);

  // least correlation with the float model's maps; measured: at least 0.980, 0.991 and 0.803
  test.each([
    ['best', 0.97],
    ['minmax', 0.98],
    ['fq', 0.78],
  ] as const)(
    '%s: both maps are those of the codes, and like those of the float model',
    async (method, least) => {
      const float = await FloatRunner.create(readFloatModel(file), { wasm });
      const { bytes, model: checkpoint } = await quantize(file, images, { method, seed: null });
      const runner = await IntegerRunner.create(checkpoint, await readWasm('simd'));
      const model = await load(bytes);
      const scalar = await load(bytes, { tier: 'scalar' });
      let alike = 1;
      for (const image of images.slice(0, 4)) {
        const matrices = integerAttention(runner, image.data);
        const floats = floatAttention(float, image.data);
        const maps = [
          ['last', matrices.at(-1)!, floats.at(-1)!],
          ['rollout', rollout(matrices), rollout(floats)],
        ] as const;
        for (const [way, codes, reals] of maps) {
          const { side, weights } = await model.attention(image, { method: way });
          expect(side).toBe(SIDE);
          const expected = mapOf(codes, prefix, read);
          expected.forEach((value, i) => {
            expect(weights[i]).toBeCloseTo(value, 6);
          });
          alike = Math.min(alike, correlation(weights, mapOf(reals, prefix, read)));
          expect(await scalar.attention(image, { method: way })).toEqual({ side, weights });
        }
      }
      expect(alike).toBeGreaterThan(least);
      for (const one of [model, scalar, float, runner]) one.dispose();
    },
  );
});

describe('refusals', () => {
  test('refuse a Swin, an unknown method and a disposed model', async () => {
    const swin = await load((await quantize(tinySwinModel({ crop_pct: 1 }), images, { method: 'fq' })).bytes);
    expect(await refusal(swin.attention(images[0]!), UsageError, 'ATTENTION')).toBe(
      'model: expected a DeiT or ViT, found a Swin: it has no class token',
    );
    const run = swin.attention(images[0]!, { method: 'mean' as never });
    expect(await refusal(run, UsageError, 'ATTENTION')).toBe(
      'method: expected one of last, rollout, found "mean"',
    );
    swin.dispose();
    await refusal(swin.attention(images[0]!), UsageError, 'DISPOSED');
  });
});

test('seenPart is the part of a picture that the map covers', async () => {
  const model: Model = await load('models/deit_cifar10.safetensors');
  const { imageSize, cropPct } = model.info.preprocessing;
  expect([imageSize, cropPct]).toEqual([32, 1]);
  expect(model.seenPart(64, 32)).toEqual({ left: 16, top: 0, width: 32, height: 32 });
  expect(model.seenPart(320, 640)).toEqual({ left: 0, top: 160, width: 320, height: 320 });
  model.dispose();
});

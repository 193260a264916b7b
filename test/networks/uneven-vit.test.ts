/**
 * A ViT that no family describes: its blocks have different numbers of heads and hidden channels.
 * It is built here alone; the loader, the plan and the kernels know nothing of it.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { FloatModel } from '../../src/checkpoint/float/model.js';
import { seal } from '../../src/checkpoint/integer/digest.js';
import { writeIntegerModel } from '../../src/checkpoint/integer/model.js';
import { readSafetensors } from '../../src/checkpoint/safetensors/safetensors.js';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { load } from '../../src/index.js';
import { Builder } from '../../src/networks/builder.js';
import type { Network } from '../../src/networks/network.js';
import { calibrate } from '../../src/quantize/calibrate.js';
import { integerize } from '../../src/quantize/integerize.js';
import { randomPixels, wasm } from '../forward/float/support.js';
import { TIERS } from '../support/kernel-modules.js';
import { EIGHTHS } from '../support/tiny-integer.js';

const [SIZE, PATCH, DIM, CLASSES] = [16, 4, 32, 5];
const TOKENS = (SIZE / PATCH) ** 2 + 1;
const BLOCKS = [
  { heads: 4, hidden: 40 },
  { heads: 1, hidden: 96 },
  { heads: 2, hidden: 64 },
];

const file = new Uint8Array(readFileSync(new URL('fixtures/uneven-vit.safetensors', import.meta.url)));
const stored = readSafetensors(file).tensors;
const floats = (name: string) => new Float32Array(new Uint8Array(stored.get(name)!.data).buffer);

function build(trimmed: boolean): Network {
  const builder = new Builder();
  const embedded = builder.patchEmbedding('patch_embed.out', PATCH, DIM, true);
  builder.add({ kind: 'tokens', name: 'tokens', reads: [embedded], prefix: 1, source: 'cls_token' });
  builder.add({ kind: 'constant', name: 'pos_embed', reads: [], shape: [TOKENS, DIM], source: 'pos_embed' });
  let stream = builder.residual('stem.out', 'tokens', 'pos_embed');
  for (const [i, { heads, hidden }] of BLOCKS.entries()) {
    const name = `blocks.${i}`;
    const isLast = trimmed && i + 1 === BLOCKS.length;
    const input = stream;
    stream = builder.block(name, [], () => {
      const normed = builder.norm(`${name}.norm1`, input);
      const partial = isLast ? { partial: { rows: 1, columns: DIM } } : {};
      const qkv = builder.linear(`${name}.attn.qkv`, normed, 3 * DIM, partial);
      const queries = isLast ? { queries: 1 } : {};
      builder.add({ kind: 'scores', name: `${name}.attn.scores`, reads: [qkv], heads, ...queries });
      return builder.mlp(name, builder.attend(name, input, DIM), DIM, hidden);
    });
  }
  const features = builder.add({
    kind: 'layernorm',
    name: 'norm.out',
    reads: [stream],
    parameters: 'norm',
    rows: 1,
  });
  const outputs = builder.head(features, 1, CLASSES);
  return { imageSize: SIZE, layers: builder.layers, outputs, pooled: 1 };
}

const model: FloatModel = {
  architecture: {
    ...{
      family: 'vit',
      name: 'vit_uneven',
      imageSize: SIZE,
      patchSize: PATCH,
      dim: DIM,
      depth: BLOCKS.length,
    },
    ...{ heads: 4, mlpDim: 40, classes: CLASSES, layerNormEps: 1e-6 },
  },
  preprocessing: {
    ...{ imageSize: SIZE, cropPct: 1, interpolation: 'bicubic' },
    ...{ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  },
  labels: ['a', 'b', 'c', 'd', 'e'],
  output: 'softmax',
  warnings: [],
  tensors: new Map(
    [...stored]
      .filter(([name]) => name !== 'pixels' && name !== 'logits')
      .map(([name, { shape }]) => [name, { shape, data: floats(name) }]),
  ),
};

const pixels = [0, 1].map((i) =>
  stored.get('pixels')!.data.slice(i * 3 * SIZE ** 2, (i + 1) * 3 * SIZE ** 2),
);

test('the float run gives the logits of PyTorch', async () => {
  const runner = await FloatRunner.create(model, { wasm, batchSize: 2, build });
  const expected = floats('logits');
  for (const observe of [undefined, () => {}]) {
    const found = runner.run(pixels, observe).flatMap((logits) => [...logits]);
    for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(2e-5);
  }
});

test('the integer model loads, agrees with PyTorch, and has the same codes on every tier', async () => {
  const images = [...pixels, ...Array.from({ length: 30 }, (_, i) => randomPixels(3 * SIZE ** 2, i + 1))];
  const { quantizers } = await calibrate(model, images, 16, { observer: 'minmax', ptf: true, wasm, build });
  const integer = integerize(model, quantizers, EIGHTHS, new Map(), build(true));
  const bytes = await seal(writeIntegerModel(integer));
  const runner = await FloatRunner.create(model, { wasm, batchSize: images.length, build });
  const expected = runner.run(images).flatMap((logits) => [...logits]);
  const codes = [];
  for (const tier of TIERS) {
    const loaded = await load(bytes, { tier });
    expect(loaded.info.architecture.name).toBe('vit_uneven');
    const found = images.flatMap((one) => [...loaded.logitsOfPixels(one)]);
    expect(correlation(found, expected)).toBeGreaterThan(0.99);
    codes.push(images.flatMap((one) => [...loaded.codesOfPixels(one)]));
    loaded.dispose();
  }
  for (const other of codes) expect(other).toEqual(codes[0]);
});

function correlation(a: readonly number[], b: readonly number[]): number {
  const center = (values: readonly number[]) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map((value) => value - mean);
  };
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const [x, y] = [center(a), center(b)];
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

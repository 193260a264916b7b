import { expect, test } from '@jest/globals';
import type { Architecture, SwinArchitecture, VitArchitecture } from '../../src/architecture/architecture.js';
import { readFloatFile, writeFloatFile } from '../../src/bench/float-file.js';
import { generatedModel, noise } from '../../src/bench/generated.js';
import type { FloatModel } from '../../src/checkpoint/float/model.js';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { readWasm } from '../../src/runtime/wasm-node.js';

const VIT: VitArchitecture = {
  family: 'vit',
  name: 'vit',
  imageSize: 16,
  patchSize: 8,
  dim: 16,
  depth: 1,
  heads: 2,
  mlpDim: 32,
  classes: 5,
};
const SWIN: SwinArchitecture = {
  family: 'swin',
  name: 'swin',
  imageSize: 32,
  patchSize: 4,
  dim: 16,
  depths: [2, 1],
  heads: [2, 2],
  mlpDim: 32,
  window: 4,
  classes: 5,
};
const PREPROCESSING: FloatModel['preprocessing'] = {
  imageSize: 16,
  cropPct: 1,
  interpolation: 'bicubic',
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};

const ARCHITECTURES: [string, Architecture][] = [
  ['a ViT', VIT],
  ['with registers', { ...VIT, prefix: 5 }],
  ['with a distillation token', { ...VIT, prefix: 2, pool: 'two-tokens' }],
  ['with the mean of its patches', { ...VIT, prefix: 0, pool: 'mean' }],
  ['with that mean before its last LayerNorm', { ...VIT, pool: 'mean-before-norm' }],
  ['without a head', { ...VIT, classes: 0 }],
  ['a Swin', SWIN],
  ['a Swin without a head', { ...SWIN, classes: 0 }],
];

test.each(ARCHITECTURES)('generated weights of an architecture run: %s', async (_, architecture) => {
  const model = readFloatFile(writeFloatFile(generatedModel(architecture, PREPROCESSING)));
  expect(model.architecture).toMatchObject(architecture);
  const runner = await FloatRunner.create(model, { wasm: await readWasm('float') });
  const [logits] = runner.run([noise(architecture.imageSize)]);
  expect([...logits!].map(Number.isFinite)).toEqual(Array(architecture.classes).fill(true));
  expect(new Set(logits).size).toBe(architecture.classes);
  runner.dispose();
});

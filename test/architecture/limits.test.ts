import { describe, expect, test } from '@jest/globals';
import type { SwinArchitecture, VitArchitecture } from '../../src/architecture/architecture.js';
import { macsOf, workFault } from '../../src/architecture/limits.js';
import { KNOWN_ARCHITECTURES } from '../../src/architecture/timm-architectures.js';
import { readFloatModel } from '../../src/checkpoint/float/model.js';
import { readIntegerModel } from '../../src/checkpoint/integer/model.js';
import { CheckpointError } from '../../src/errors.js';
import { ModelPlan } from '../../src/forward/integer/runner.js';
import { refusal } from '../support/refusal.js';
import {
  type Json,
  tinyFloatFile,
  tinyInteger,
  tinyIntegerFile,
  tinySwinInteger,
  withDescription,
} from '../support/tiny-integer.js';

const VIT: VitArchitecture = {
  family: 'vit',
  name: 'vit_custom',
  imageSize: 1024,
  patchSize: 16,
  dim: 64,
  depth: 12,
  heads: 1,
  mlpDim: 256,
  classes: 10,
};
const SWIN: SwinArchitecture = {
  family: 'swin',
  name: 'swin_custom',
  imageSize: 1024,
  patchSize: 4,
  dim: 96,
  depths: [2, 2, 6, 2],
  heads: [3, 6, 12, 24],
  mlpDim: 384,
  window: 8,
  classes: 10,
};

test('every model of timm is below half of each limit', () => {
  for (const known of KNOWN_ARCHITECTURES) {
    const architecture = { ...known, classes: 1000 };
    const twice =
      architecture.family === 'swin'
        ? { ...architecture, depths: architecture.depths.map((depth) => 2 * depth) }
        : { ...architecture, depth: 2 * architecture.depth };
    expect([known.name, workFault(twice)]).toEqual([known.name, undefined]);
  }
});

test('counts the products of the plan, plus scores and unused tokens', () => {
  for (const model of [tinyInteger({ grid: 8, depth: 12, classes: 1 }), tinySwinInteger({ classes: 1 })]) {
    const planned = new ModelPlan(model).steps.reduce((all, { macs }) => all + macs, 0);
    expect(macsOf(model.architecture)).toBeGreaterThan(planned);
    const scores = new ModelPlan(model).steps.filter(({ kernel }) => kernel === 'scores');
    const counted = scores.reduce((all, { shape: [rows, columns] }) => all + 64 * rows * columns, planned);
    expect(macsOf(model.architecture)).toBeLessThan(1.2 * counted);
  }
});

describe('workFault', () => {
  test.each([
    [
      'tokens × blocks × dim',
      { ...VIT, depth: 256, dim: 512, heads: 8, mlpDim: 2048 },
      /^expected at most 8000000000000 multiply-accumulates per image, found \d+: 256 blocks × 1 windows × 4097 tokens × 8 heads, dim 512, MLP 2048$/,
    ],
    ['tokens² × heads', { ...VIT, depth: 128, dim: 512, heads: 64 }, /multiply-accumulates/],
    ['the MLP', { ...VIT, depth: 64, dim: 2048, heads: 8, mlpDim: 16384 }, /multiply-accumulates/],
    [
      'windows × heads × blocks',
      { ...SWIN, window: 1, depths: [2, 2], heads: [12, 12] },
      /^expected at most 262144 heads in all windows of all blocks, found 1966080: 2 blocks × 65536 windows/,
    ],
    [
      'the image size',
      { ...SWIN, imageSize: 4096, patchSize: 16 },
      /an image size of at most 2048 pixels, found 4096/,
    ],
  ])('refuses an excess of %s', (_, architecture, message) => {
    expect(workFault(architecture as VitArchitecture)).toMatch(message);
  });

  test('accepts a large map with the usual windows', () => {
    expect(workFault(SWIN)).toBeUndefined();
    expect(workFault({ ...VIT, depth: 256 })).toBeUndefined();
  });

  test('an integer checkpoint is refused at the layer that is too much, before its tensors are checked', async () => {
    const file = withDescription(tinyIntegerFile(), (json) => {
      // layers of 16384 × 16384 products for each of 65,536 patches
      const input = { ...json.layers[0], patch: 8 };
      const one = json.layers.find(({ name }: Json) => name === 'logits');
      const layers = Array.from({ length: 4 }, (_, i) => ({
        ...one,
        ...{ name: `l${i}`, parameters: `p${i}`, outputs: 16384, reads: [i === 0 ? 'input' : `l${i - 1}`] },
      }));
      json.layers = [input, ...layers];
      json.preprocessing.imageSize = 2048;
    });
    const message = await refusal(
      Promise.resolve().then(() => readIntegerModel(file, { file: 'a.bin' })),
      CheckpointError,
      'MODEL_DESCRIPTION',
    );
    expect(message).toMatch(/^a\.bin: description\.layers\.l\d: expected at most \d+ (bytes|multiply)/);
  });

  test('a float checkpoint is refused with the product', async () => {
    const file = tinyFloatFile({ dim: 8, grid: 700, patchSize: 1, depth: 2, heads: 1 });
    const read = Promise.resolve().then(() => readFloatModel(file, { file: 'a.bin' }));
    expect(await refusal(read, CheckpointError, 'CHECKPOINT_ARCHITECTURE')).toMatch(
      /^a\.bin: expected .*multiply-accumulates.*2 blocks × 1 windows × 490001 tokens/,
    );
  });
});

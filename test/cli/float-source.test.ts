import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readSafetensors, type Tensor, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { renamed, VIT_RENAMINGS } from '../checkpoint/renamed.js';
import { FakeHub } from '../hub/server.js';
import { tinyModel } from '../support/tiny-model.js';
import { fqvit, Scratch } from './support.js';

const scratch = new Scratch();
const { photos } = scratch.fill();
const CONFIG = {
  model_type: 'vit',
  image_size: 16,
  patch_size: 8,
  num_attention_heads: 2,
  layer_norm_eps: 1e-6,
  id2label: { 0: 'red', 1: 'green', 2: 'blue' },
};
const PREPROCESSOR = {
  size: 20,
  crop_size: 16,
  do_center_crop: true,
  resample: 3,
  image_mean: [0.4, 0.5, 0.6],
  image_std: [0.2, 0.2, 0.2],
};
const tensors: Tensor[] = renamed(
  readSafetensors(tinyModel()).tensors.values(),
  VIT_RENAMINGS['Hugging Face ViT'],
);
const whole = writeSafetensors(tensors, { format: 'pt' });

/** What transformers saves. */
function savedModel(name: string, files: Record<string, Uint8Array | object>): string {
  for (const [file, content] of Object.entries(files))
    scratch.write(`${name}/${file}`, content instanceof Uint8Array ? content : JSON.stringify(content));
  return scratch.at(name);
}

const configs = { 'config.json': CONFIG, 'preprocessor_config.json': PREPROCESSOR };

async function quantized(source: string, env: NodeJS.ProcessEnv = {}) {
  const out = scratch.at('out.safetensors');
  const args = [
    'quantize',
    source,
    '--calibration',
    photos,
    '--method',
    'fq',
    '-o',
    out,
    '--force',
    '--json',
  ];
  const run = await fqvit(args, { env });
  if (run.code !== 0) throw new Error(run.stderr);
  const { architecture, preprocessing } = JSON.parse(run.stdout);
  const model = readSafetensors(scratch.read('out.safetensors'));
  const { labels } = JSON.parse(model.metadata.fqvit!);
  return {
    architecture,
    preprocessing,
    labels,
    weights: [...model.tensors.values()].map(({ data }) => data),
    stderr: run.stderr,
  };
}

describe('a folder of transformers', () => {
  test('config and preprocessing are what its files say', async () => {
    const { architecture, preprocessing, labels, stderr } = await quantized(
      savedModel('saved', { 'model.safetensors': whole, ...configs }),
    );
    expect(architecture).toMatchObject({ family: 'vit', imageSize: 16, heads: 2, classes: 3 });
    expect(preprocessing).toEqual({
      ...{ imageSize: 16, cropPct: 0.8, interpolation: 'bicubic', squash: true },
      ...{ mean: [0.4, 0.5, 0.6], std: [0.2, 0.2, 0.2] },
    });
    expect(labels).toEqual(['red', 'green', 'blue']);
    expect(stderr).not.toContain('warning');
  });

  test('weights in several files', async () => {
    const half = Math.floor(tensors.length / 2);
    const parts = {
      'model-00001-of-00002.safetensors': writeSafetensors(tensors.slice(0, half), {}),
      'model-00002-of-00002.safetensors': writeSafetensors(tensors.slice(half), {}),
    };
    const [first, second] = Object.keys(parts);
    const map = Object.fromEntries(tensors.map(({ name }, i) => [name, i < half ? first : second]));
    const sharded = await quantized(
      savedModel('sharded', { ...parts, 'model.safetensors.index.json': { weight_map: map }, ...configs }),
    );
    expect(sharded.weights).toEqual((await quantized(scratch.at('saved'))).weights);
  });

  test.each([
    ['an empty folder', {}, /SOURCE: .*: expected one of model\.safetensors, .*, found none of them/],
    ['an index of nothing', { 'model.safetensors.index.json': {} }, /CHECKPOINT_INDEX: .*found none/],
    [
      'an index that leads out',
      { 'model.safetensors.index.json': { weight_map: { a: '../saved/model.safetensors' } } },
      /CHECKPOINT_INDEX: /,
    ],
    [
      'a missing part',
      { 'model.safetensors.index.json': { weight_map: { a: 'part.safetensors' } } },
      /SOURCE: .*part\.safetensors/,
    ],
    [
      'another kind of model',
      { 'model.safetensors': whole, 'config.json': { model_type: 'bert' } },
      /CHECKPOINT_CONFIG: .*model_type: expected one of vit/,
    ],
  ])('%s', async (name, files, message) => {
    const folder = scratch.at(name);
    mkdirSync(folder);
    savedModel(name, files);
    const run = await fqvit(['quantize', folder, '--calibration', photos, '-o', scratch.at('none')]);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
  });
});

describe('a model on the hub', () => {
  let hub: FakeHub;
  beforeAll(async () => {
    hub = await FakeHub.start();
    const bytes = (value: object) => new TextEncoder().encode(JSON.stringify(value));
    hub.models['someone/tiny-vit'] = {
      commit: '0123456789abcdef0123456789abcdef01234567',
      files: {
        'model.safetensors': whole,
        'config.json': bytes(CONFIG),
        'preprocessor_config.json': bytes(PREPROCESSOR),
        'README.md': new Uint8Array(10),
      },
      lfs: ['model.safetensors'],
    };
  });
  afterAll(() => hub.close());

  test('is what a folder of its files is; the second time and away from the hub its copy', async () => {
    const env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: scratch.at('cache'), HF_TOKEN: '', HF_HUB_OFFLINE: '' };
    const first = await quantized('someone/tiny-vit', env);
    const local = await quantized(scratch.at('saved'));
    expect(first.weights).toEqual(local.weights);
    expect(first.preprocessing).toEqual(local.preprocessing);
    expect(first.stderr).toContain('downloading someone/tiny-vit');
    const away = await quantized('someone/tiny-vit', { ...env, HF_HUB_OFFLINE: '1' });
    expect(away.weights).toEqual(local.weights);
    expect(away.stderr).toMatch(/warning: .*HF_HUB_OFFLINE.*the copy in the cache is taken/);
    expect(away.stderr).not.toContain('downloading');
  });

  test('that is not there', async () => {
    const env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: scratch.at('cache'), HF_TOKEN: '', HF_HUB_OFFLINE: '' };
    const args = ['quantize', 'someone/nothing', '--calibration', photos, '-o', scratch.at('none')];
    const run = await fqvit(args, { env });
    expect(run).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^fqvit: HUB_NOT_FOUND: /),
    });
  });
});

describe('features', () => {
  test('vectors and how alike they are; JSON has all numbers', async () => {
    const files = [scratch.at('photos/even/0.png'), scratch.at('photos/odd/1.png')];
    const text = await fqvit(['features', ...files]);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(
      /0\.png {2}128 numbers: .*\n.*1\.png {2}128 numbers: .*\n\nas alike as .*0\.png .*\n -?[01]\.\d{3} {2}.*1\.png\n$/,
    );
    const json = await fqvit([
      'features',
      ...files,
      scratch.at('nowhere.png'),
      '--model',
      'swin_cifar10',
      '--json',
    ]);
    expect(json).toMatchObject({ code: 1, stderr: expect.stringMatching(/^fqvit: SOURCE: .*nowhere\.png/) });
    const vectors = JSON.parse(json.stdout);
    expect(
      vectors.map(({ model, features }: { model: string; features: number[] }) => [model, features.length]),
    ).toEqual([
      ['swin_cifar10', 192],
      ['swin_cifar10', 192],
    ]);
  });
});

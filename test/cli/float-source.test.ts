import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync, rmSync, symlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors/safetensors.js';
import { exported, outside } from '../checkpoint/onnx/support.js';
import { FakeHub } from '../hub/server.js';
import { fqvit, Scratch } from './support.js';
import { CONFIG, tensors } from './transformers-model.js';

const scratch = new Scratch();
const { photos } = scratch.fill();
const PREPROCESSOR = {
  size: 20,
  crop_size: 16,
  do_center_crop: true,
  resample: 3,
  image_mean: [0.4, 0.5, 0.6],
  image_std: [0.2, 0.2, 0.2],
};
const whole = writeSafetensors(tensors, { format: 'pt' });

/** The files that transformers saves. */
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
  const { architecture, preprocessing, source: float } = JSON.parse(run.stdout);
  const model = readSafetensors(scratch.read('out.safetensors'));
  const { labels } = JSON.parse(model.metadata.fqvit!);
  return {
    architecture,
    preprocessing,
    labels,
    size: float.bytes,
    sha256: float.sha256,
    weights: [...model.tensors.values()].map(({ data }) => data),
    stderr: run.stderr,
  };
}

describe('a folder of transformers', () => {
  test('gives config and preprocessing', async () => {
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

  test('gives the preprocessing that transformers 5 nests in processor_config.json', async () => {
    const nested = { 'config.json': CONFIG, 'processor_config.json': { image_processor: PREPROCESSOR } };
    const { preprocessing, stderr } = await quantized(
      savedModel('nested', { 'model.safetensors': whole, ...nested }),
    );
    expect(preprocessing).toMatchObject({ cropPct: 0.8, mean: [0.4, 0.5, 0.6] });
    expect(stderr).not.toContain('warning');
    const wrong = { 'processor_config.json': { image_processor: { ...PREPROCESSOR, do_pad: true } } };
    await expect(quantized(savedModel('nested', wrong))).rejects.toThrow(
      'processor_config.json: image_processor: do_pad: expected false, found true',
    );
    const both = { ...wrong, 'preprocessor_config.json': PREPROCESSOR };
    await expect(quantized(savedModel('nested', both))).rejects.toThrow(
      'processor_config.json: image_processor: expected what preprocessor_config.json says',
    );
  });

  test('may have weights in several files', async () => {
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
    ['an empty folder', {}, /SOURCE: .*: expected one of model\.safetensors, .*, found none\n/],
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
  ])('is refused: %s', async (name, files, message) => {
    const folder = scratch.at(name);
    mkdirSync(folder);
    savedModel(name, files);
    const run = await fqvit(['quantize', folder, '--calibration', photos, '-o', scratch.at('none')]);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
  });
});

describe('an ONNX model with its weights in another file', () => {
  const NAME = 'weights/vit.onnx.data';
  const { model, data } = outside('vit-timm-14', NAME);
  const refusal = async (path: string, expected: RegExp) => {
    const run = await fqvit(['quantize', path, '--calibration', photos, '-o', scratch.at('none')]);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(expected) });
  };

  test('gives the checkpoint of the model in one file, apart from the SHA-256; also in a folder, and as a reference', async () => {
    const whole = await quantized(scratch.write('whole.onnx', exported('vit-timm-14')));
    const path = scratch.write('parts/vit.onnx', model);
    scratch.write(`parts/${NAME}`, data);
    const parts = await quantized(path);
    expect(parts.weights).toEqual(whole.weights);
    expect(parts.size).toBe(model.length + data.length);
    const { sha256 } = parts;
    expect((await quantized(scratch.at('parts'))).sha256).toBe(sha256);
    const labels = scratch.write('labels.csv', 'file,class\neven/0.png,1\n');
    const compared = await fqvit([
      ...['eval', scratch.at('out.safetensors'), '--images', photos, '--labels', labels, '--reference', path],
    ]);
    expect(compared).toMatchObject({ code: 0 });
    expect(compared.stderr).not.toContain('warning');
    expect((await fqvit(['inspect', path])).stdout).toContain('float checkpoint');
    scratch.write(
      `parts/${NAME}`,
      data.map((byte, i) => (i === 5000 ? byte ^ 1 : byte)),
    );
    expect((await quantized(path)).sha256).not.toBe(sha256);
  });

  test('is refused if that file is missing, a folder, a pipe, too short, or a link that leads out', async () => {
    const path = scratch.write('bad/vit.onnx', model);
    const beside = scratch.at(`bad/${NAME}`);
    await refusal(path, /^fqvit: SOURCE: .*vit\.onnx\.data: expected a file, found nothing of that name/);
    mkdirSync(beside, { recursive: true });
    await refusal(path, /^fqvit: SOURCE: .*vit\.onnx\.data: expected a file, found a folder/);
    rmdirSync(beside);
    execFileSync('mkfifo', [beside]);
    await refusal(path, /^fqvit: SOURCE: .*vit\.onnx\.data: expected a file, found a pipe or device/);
    rmSync(beside);
    scratch.write(`bad/${NAME}`, data.subarray(0, 5000));
    await refusal(path, /^fqvit: CHECKPOINT_EXTERNAL: .*found only 5000 bytes/);
    rmSync(beside);
    const elsewhere = scratch.write('elsewhere.data', data);
    symlinkSync(elsewhere, beside);
    await refusal(
      path,
      /^fqvit: CHECKPOINT_EXTERNAL: .*expected weights inside .*bad, found a link that leads out/,
    );
    rmSync(scratch.at('bad/weights'), { recursive: true });
    scratch.write('elsewhere/vit.onnx.data', data);
    symlinkSync(scratch.at('elsewhere'), scratch.at('bad/weights'));
    await refusal(path, /^fqvit: CHECKPOINT_EXTERNAL: .*found a link that leads out/);
  });

  test('is refused if the name leads out, without reading that file', async () => {
    for (const name of ['../elsewhere.data', scratch.at('elsewhere.data')]) {
      const path = scratch.write('bad/out.onnx', outside('vit-timm-14', name).model);
      await refusal(path, /^fqvit: CHECKPOINT_EXTERNAL: .*expected its data in the folder of the model/);
    }
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

  test('gives the same as a folder of its files; then and offline its copy is used', async () => {
    const env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: scratch.at('cache'), HF_TOKEN: '', HF_HUB_OFFLINE: '' };
    const first = await quantized('someone/tiny-vit', env);
    const local = await quantized(scratch.at('saved'));
    expect(first.weights).toEqual(local.weights);
    expect(first.preprocessing).toEqual(local.preprocessing);
    expect(first.stderr).toContain('downloading someone/tiny-vit');
    const away = await quantized('someone/tiny-vit', { ...env, HF_HUB_OFFLINE: '1' });
    expect(away.weights).toEqual(local.weights);
    expect(away.stderr).toMatch(/warning: .*HF_HUB_OFFLINE.*: using the copy in the cache/);
    expect(away.stderr).not.toContain('downloading');
  });

  test('may be ONNX in a folder, with its weights in another file', async () => {
    const env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: scratch.at('cache'), HF_TOKEN: '', HF_HUB_OFFLINE: '' };
    const { model, data } = outside('vit-timm-14', 'vit.onnx.data');
    const config = { ...CONFIG, patch_size: 4 };
    const files = {
      'config.json': new TextEncoder().encode(JSON.stringify(config)),
      'onnx/vit.onnx': model,
      'onnx/vit.onnx.data': data,
      'onnx/vit_int8.onnx': new Uint8Array(5),
      'vit.onnx.data': new Uint8Array(5),
    };
    hub.models['someone/onnx'] = { commit: 'e'.repeat(40), files, lfs: ['onnx/vit.onnx.data'] };
    const found = await quantized('hf://someone/onnx/onnx/vit.onnx', env);
    const local = { 'vit.onnx': exported('vit-timm-14'), 'config.json': config };
    expect(found.weights).toEqual((await quantized(savedModel('one', local))).weights);
    expect(found.labels).toEqual(['red', 'green', 'blue']);
    const args = ['quantize', 'someone/onnx', '--calibration', photos, '-o', scratch.at('none')];
    expect(await fqvit(args, { env })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^fqvit: SOURCE: someone\/onnx: .*found "onnx\/vit\.onnx", "onnx\/vit_int8\.onnx"; name one of them\n$/,
      ),
    });
    const { 'onnx/vit.onnx.data': _, ...others } = files;
    hub.models['someone/onnx'] = { commit: 'f'.repeat(40), files: others };
    const lost = await fqvit(['inspect', 'hf://someone/onnx/onnx/vit.onnx'], { env });
    expect(lost.stderr).toMatch(/^fqvit: HUB_NOT_FOUND: .*expected the file "onnx\/vit\.onnx\.data"/m);
  });

  test('is refused if it does not exist', async () => {
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
  test('prints vectors and how similar they are; JSON has all numbers', async () => {
    const files = [scratch.at('photos/even/0.png'), scratch.at('photos/odd/1.png')];
    const text = await fqvit(['features', ...files]);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(
      /0\.png {2}128 numbers: .*\n.*1\.png {2}128 numbers: .*\n\ncosine similarity with .*0\.png\n -?[01]\.\d{3} {2}.*1\.png\n$/,
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

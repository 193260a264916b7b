/** Which files give the weights, and which of several models in them. */

import { mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../src/checkpoint/safetensors/safetensors.js';
import { renamed, VIT_RENAMINGS } from '../checkpoint/renamed.js';
import { saved, savedNested } from '../checkpoint/torch/raw-torch.js';
import { FakeHub } from '../hub/server.js';
import { tinyModel } from '../support/tiny-model.js';
import { fqvit, Scratch } from './support.js';
import { CONFIG, tensors } from './transformers-model.js';

const scratch = new Scratch();
const { photos } = scratch.fill();
const PREPROCESSOR = { size: 16, resample: 3, image_mean: [0.4, 0.5, 0.6], image_std: [0.2, 0.2, 0.2] };
const configs = { 'config.json': CONFIG, 'preprocessor_config.json': PREPROCESSOR };
const whole = writeSafetensors(tensors, {});
const pickled = saved(tensors);
const junk = new Uint8Array(5);

type Files = Readonly<Record<string, Uint8Array | object>>;

/** Writes a folder with these files. @returns its path */
function folder(name: string, files: Files): string {
  mkdirSync(scratch.at(name), { recursive: true });
  for (const [file, content] of Object.entries(files))
    scratch.write(`${name}/${file}`, content instanceof Uint8Array ? content : JSON.stringify(content));
  return scratch.at(name);
}

async function quantized(source: string, ...options: string[]) {
  const out = scratch.at('out.safetensors');
  const args = ['quantize', source, '--calibration', photos, '--method', 'minmax', '-o', out, '--force'];
  const { code, stderr } = await fqvit([...args, ...options]);
  if (code !== 0) return { stderr };
  const { metadata, tensors: found } = readSafetensors(scratch.read('out.safetensors'));
  const { labels, recipe, preprocessing } = JSON.parse(metadata.fqvit!);
  return { labels, recipe, mean: preprocessing.mean, weights: [...found.values()], stderr };
}

const usual = quantized(folder('usual', { 'model.safetensors': whole, ...configs }));

async function expectUsual(source: string, ...options: string[]) {
  const found = await quantized(source, ...options);
  const { labels, mean, weights } = await usual;
  expect(found).toMatchObject({ labels, mean, weights });
  return found.stderr;
}

async function expectRefused(source: string, message: RegExp) {
  const { stderr, weights } = await quantized(source);
  expect(weights).toBeUndefined();
  expect(stderr).toMatch(message);
}

describe('a folder', () => {
  test.each(['model.pth', 'weights.pt', 'best.ckpt', 'vit.bin'])(
    'gives the weights of its only file: %s',
    async (name) => {
      const training = { 'optimizer.pt': junk, 'scheduler.pt': junk, 'training_args.bin': junk };
      const more = { 'rng_state_0.pth': junk, 'trainer_state.json': {}, 'scaler.pt': junk };
      await expectUsual(folder(`one-${name}`, { [name]: pickled, ...training, ...more, ...configs }));
    },
  );

  test('is refused with several, which the message lists', async () => {
    const several = folder('several', { 'last.pth': pickled, 'best.pth': pickled, 'optimizer.pt': junk });
    await expectRefused(
      several,
      /SOURCE: .*several: expected .*, found "best\.pth", "last\.pth"; name one of them/,
    );
    await expectUsual(`${folder('several', { 'last.pth': pickled, ...configs })}/best.pth`);
  });

  test.each([
    ['one that PEFT saved', { 'adapter_config.json': {}, 'adapter_model.safetensors': junk }],
    ['a model with an adapter for it', { 'adapter_config.json': {}, 'model.safetensors': whole }],
  ])('is refused as an adapter: %s', async (_what, files) => {
    await expectRefused(
      folder(`adapter-${Object.keys(files).at(-1)}`, files),
      /CHECKPOINT_ADAPTER: .*an adapter \(adapter_config\.json\); merge it into its model first/,
    );
  });
});

describe('a file', () => {
  test('is read with the configs next to it, and a message says so', async () => {
    const place = folder('beside', { 'vit.safetensors': whole, 'other.safetensors': junk, ...configs });
    const stderr = await expectUsual(`${place}/vit.safetensors`);
    expect(stderr).toContain(
      `fqvit: ${place}/vit.safetensors is read with ${place}/config.json and ${place}/preprocessor_config.json\n`,
    );
    const inspected = await fqvit(['inspect', `${place}/vit.safetensors`]);
    expect(inspected.stdout).toContain('red, green, blue');
  });

  test('ignores the config.json of another program next to it', async () => {
    const place = folder('stray', { 'float.safetensors': tinyModel(), 'config.json': { port: 80 } });
    const { labels, stderr } = await quantized(`${place}/float.safetensors`);
    expect(labels).toEqual(['red', 'green', 'blue']);
    expect(stderr).toMatch(
      /warning: .*stray\/config\.json is ignored: expected "architecture" of timm or "model_type"/,
    );
    await expectRefused(
      place,
      /^fqvit: CHECKPOINT_CONFIG: .*stray\/config\.json: expected "architecture" of timm/,
    );
  });

  test('of an integer checkpoint needs no configs', async () => {
    const { weights } = await usual;
    expect(weights).toBeDefined();
    const place = folder('integer', { 'config.json': { model_type: 'bert' } });
    const made = await quantized(scratch.at('usual'), '--seed', '1');
    expect(made.weights).toBeDefined();
    symlinkSync(scratch.at('out.safetensors'), `${place}/model.safetensors`);
    for (const source of [place, `${place}/model.safetensors`]) {
      expect(await fqvit(['inspect', source, '--weights', 'ema'])).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('integer checkpoint'),
        stderr: 'fqvit: warning: --weights is ignored: expected a float checkpoint, found an integer one\n',
      });
    }
  });
});

describe('an index', () => {
  const half = Math.floor(tensors.length / 2);
  const halves = [tensors.slice(0, half), tensors.slice(half)];
  const sharded = (parts: readonly (readonly Tensor[])[], change: object = {}): Files => {
    const map = halves.flatMap((part, i) => part.map(({ name }) => [name, `part-${i + 1}.safetensors`]));
    return {
      ...Object.fromEntries(
        parts.map((part, i) => [`part-${i + 1}.safetensors`, writeSafetensors([...part], {})]),
      ),
      'model.safetensors.index.json': { weight_map: { ...Object.fromEntries(map), ...change } },
      ...configs,
    };
  };

  test('is found by the name of its folder and by its own', async () => {
    const place = folder('indexed', sharded(halves));
    await expectUsual(place);
    const stderr = await expectUsual(`${place}/model.safetensors.index.json`);
    expect(stderr).toContain('config.json');
  });

  const [first, second] = halves as [Tensor[], Tensor[]];
  const name = first[0]!.name;
  test.each([
    [
      'a tensor twice',
      [first, [first[0]!, ...second]],
      {},
      `expected an entry for "${name}" of part-2.safetensors, found none`,
    ],
    [
      'a tensor that is in no part',
      [first.slice(1), second],
      {},
      `expected "${name}" in part-1.safetensors, found no such tensor`,
    ],
    [
      'a tensor in another part',
      [first, second],
      { [name]: 'part-2.safetensors' },
      `expected an entry for "${name}" of part-1.safetensors, found none`,
    ],
    [
      'a tensor that nobody has',
      [first, second],
      { other: 'part-1.safetensors' },
      'expected "other" in part-1.safetensors, found no such tensor',
    ],
  ])('with %s is refused', async (what, parts, change, message) => {
    const { stderr } = await quantized(folder(`index ${what}`, sharded(parts, change)));
    expect(stderr).toMatch(/^fqvit: CHECKPOINT_INDEX: /);
    expect(stderr).toContain(`model.safetensors.index.json: weight_map: ${message}`);
  });
});

describe('several models in a file', () => {
  const other = renamed(
    readSafetensors(tinyModel(undefined, { seed: 2 })).tensors.values(),
    VIT_RENAMINGS['Hugging Face ViT'],
  );
  const source = folder('ema', {
    'pytorch_model.bin': savedNested({ state_dict: other, state_dict_ema: tensors }),
    ...configs,
  });

  test('averaged weights are used, with a warning; --weights chooses others', async () => {
    const stderr = await expectUsual(source);
    expect(stderr).toMatch(/warning: .*"state_dict", "state_dict_ema": "state_dict_ema" is used, as in timm/);
    await expectUsual(source, '--weights', 'state_dict_ema');
    const raw = await quantized(source, '--weights', 'state_dict');
    expect(raw.recipe.weights).toBe('state_dict');
    expect(raw.weights).not.toEqual((await usual).weights);
    expect(raw.stderr).not.toMatch(/are taken/);
  });

  test('an unknown name is refused with the known ones', async () => {
    const { stderr } = await quantized(source, '--weights', 'teacher');
    expect(stderr).toMatch(
      /^fqvit: MODEL_OPTION: weights: expected one of .*"state_dict", "state_dict_ema", found "teacher"/,
    );
  });

  test('inspect names them', async () => {
    const run = await fqvit(['inspect', source, '--weights', 'state_dict']);
    expect(run).toMatchObject({ code: 0, stdout: expect.stringMatching(/^weights +state_dict$/m) });
  });

  test('eval compares with the source of the checkpoint', async () => {
    const labels = scratch.write('labels.csv', 'file,class\neven/0.png,1\nodd/1.png,2\n');
    const args = ['eval', scratch.at('out.safetensors'), '--images', photos, '--labels', labels, '--json'];
    const kl = async (...options: string[]) => {
      const run = await fqvit([...args, '--reference', source, ...options]);
      expect(run).toMatchObject({ code: 0 });
      return JSON.parse(run.stdout).reference.kl;
    };
    await quantized(source, '--weights', 'state_dict');
    const [own, named, averaged] = [
      await kl(),
      await kl('--weights', 'state_dict'),
      await kl('--weights', 'state_dict_ema'),
    ];
    expect(own).toBe(named);
    expect(averaged).toBeGreaterThan(2 * own);
    expect(await fqvit([...args, '--weights', 'state_dict'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^fqvit: OPTION: --weights: expected --reference with it/),
    });
  });
});

describe('on the hub', () => {
  test('one .pth is read with the configs of its folder; an adapter and several files are refused', async () => {
    const hub = await FakeHub.start();
    const bytes = (files: Files) =>
      Object.fromEntries(
        Object.entries(files).map(([file, content]) => [
          file,
          content instanceof Uint8Array ? content : new TextEncoder().encode(JSON.stringify(content)),
        ]),
      );
    const add = (id: string, commit: string, files: Files) => {
      hub.models[`someone/${id}`] = { commit: commit.repeat(40), files: bytes(files) };
    };
    add('pth', 'a', { 'best.pth': pickled, 'optimizer.pt': junk, ...configs });
    add('lora', 'b', { 'adapter_config.json': {}, 'adapter_model.safetensors': junk });
    add('two', 'c', { 'best.pth': pickled, 'last.pth': pickled });
    add('deep', 'd', {
      'run/best.pth': pickled,
      ...Object.fromEntries(Object.entries(configs).map(([file, content]) => [`run/${file}`, content])),
      'config.json': { model_type: 'bert' },
    });
    const env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: scratch.at('cache'), HF_TOKEN: '', HF_HUB_OFFLINE: '' };
    const inspect = (source: string) => fqvit(['inspect', source], { env });
    try {
      for (const source of ['someone/pth', 'hf://someone/deep/run/best.pth']) {
        expect(await inspect(source)).toMatchObject({
          code: 0,
          stdout: expect.stringContaining('red, green'),
        });
      }
      expect((await inspect('someone/lora')).stderr).toMatch(/CHECKPOINT_ADAPTER: someone\/lora/);
      expect((await inspect('someone/two')).stderr).toMatch(/SOURCE: .*"best\.pth", "last\.pth"; name one/);
    } finally {
      hub.close();
    }
  });
});

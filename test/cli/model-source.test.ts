import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FakeHub } from '../hub/server.js';
import { fqvit, Scratch, withInteger } from './support.js';

const scratch = new Scratch();
const ID = 'someone/tiny-int8';
let hub: FakeHub;
let photos: string;
let photo: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  const { integer, ...made } = await withInteger(scratch);
  photos = made.photos;
  photo = scratch.photo('photo.png', 11);
  hub = await FakeHub.start();
  const files = { 'tiny.safetensors': readFileSync(integer), 'float.safetensors': readFileSync(made.float) };
  const lfs = Object.keys(files);
  hub.models[ID] = { commit: 'a'.repeat(40), files: { 'tiny.safetensors': files['tiny.safetensors'] }, lfs };
  hub.models['someone/tiny'] = { commit: 'b'.repeat(40), files, lfs };
  env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: scratch.at('cache'), HF_TOKEN: '', HF_HUB_OFFLINE: '' };
});
afterAll(() => hub.close());

describe('a model on the hub', () => {
  test('is downloaded once, with progress; offline its copy is used, with a warning', async () => {
    const local = await fqvit(['classify', photo, '--json', '--model', scratch.at('integer.safetensors')]);
    const [{ predictions }] = JSON.parse(local.stdout);
    const args = ['classify', photo, '--model', ID, '--json'];
    const first = await fqvit(args, { env });
    expect(JSON.parse(first.stdout)).toMatchObject([{ model: ID, predictions }]);
    expect(first.stderr).toMatch(/^downloading someone\/tiny-int8 [\d,]+ bytes\n.*\d bytes, /);
    expect(await fqvit(args, { env })).toMatchObject({ code: 0, stderr: '' });
    const away = await fqvit(args, { env: { ...env, HF_HUB_OFFLINE: '1' } });
    expect(away).toMatchObject({ code: 0 });
    expect(away.stderr).toMatch(/^fqvit: warning: .*HF_HUB_OFFLINE set: the copy in the cache is taken\n$/);
  });

  test('works in features, eval and inspect, as does one of its files', async () => {
    const file = 'hf://someone/tiny/tiny.safetensors';
    const features = await fqvit(['features', photo, '--model', ID, '--json'], { env });
    expect(JSON.parse(features.stdout)).toMatchObject([{ model: ID, features: expect.any(Array) }]);
    const labels = scratch.write('labels.csv', 'file,class\neven/0.png,1\n');
    const args = ['eval', file, '--images', photos, '--labels', labels, '--json'];
    expect(JSON.parse((await fqvit(args, { env })).stdout)).toMatchObject({ images: 1 });
    for (const name of [ID, file]) {
      const inspected = await fqvit(['inspect', name, '--json'], { env });
      expect(JSON.parse(inspected.stdout)).toMatchObject({ kind: 'integer', bytes: expect.any(Number) });
    }
  });

  test.each([
    [
      'does not exist',
      'someone/nothing',
      /^fqvit: HUB_NOT_FOUND: someone\/nothing: .*; nor is there a file or folder someone\/nothing\n/,
    ],
    ['has several files', 'someone/tiny', /^fqvit: HUB_SEVERAL: .*tiny\.safetensors/],
    [
      'is a float model',
      'hf://someone/tiny/float.safetensors',
      /MODEL_KIND: .*; this is a float model: run `fqvit quantize hf:\/\/someone\/tiny\/float\.safetensors -o m.safetensors`/,
    ],
    ['is a mistyped bundled one', 'deit_cifar', /ENOENT\); did you mean deit_cifar10\?\n/],
    ['has a bad address', 'hf://someone', /^fqvit: HUB_ID: /],
  ])('is refused if it %s', async (_, model, message) => {
    const run = await fqvit(['classify', photo, '--model', model], { env });
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
  });
});

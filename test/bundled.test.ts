import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readPixels } from '../src/image/source.js';
import { load, type Model } from '../src/index.js';

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const photo = at('examples/chelsea.png');

describe('the bundled CIFAR-10 model', () => {
  const models: Model[] = [];
  beforeAll(async () => {
    for (const tier of ['simd', 'scalar'] as const) {
      models.push(await load(at('models/deit_cifar10.safetensors'), { tier }));
    }
  });
  afterAll(() => {
    for (const model of models) model.dispose();
  });

  test('is small and knows its ten classes', () => {
    expect(readFileSync(at('models/deit_cifar10.safetensors')).length).toBeLessThan(2e6);
    expect(existsSync(at('models/deit_cifar10.md'))).toBe(true);
    expect(models[0]!.info.labels).toHaveLength(10);
  });

  test('describes itself in a way that nobody can change', () => {
    const { info } = models[0]!;
    expect(() => Object.assign(info.preprocessing, { imageSize: 5 })).toThrow(/read only|not extensible/);
    expect(() => (info.labels as string[]).push('unicorn')).toThrow(/read only|not extensible/);
  });

  test('sees a cat in the sample photo', async () => {
    const [best] = await models[0]!.classify(photo);
    expect(best!.label).toBe('cat');
  });

  test('gives the same bits on both tiers, run after run', async () => {
    const pixels = await readPixels(photo, models[0]!.info.preprocessing);
    const codes = models[0]!.codesOfPixels(pixels);
    expect(new Set(codes).size).toBeGreaterThan(3);
    for (const model of [...models, ...models]) expect(model.codesOfPixels(pixels)).toEqual(codes);
    const noise = pixels.map((value, i) => (value + i * 37) & 255);
    expect(models[1]!.codesOfPixels(noise)).toEqual(models[0]!.codesOfPixels(noise));
    expect(models[0]!.codesOfPixels(pixels)).toEqual(codes);
  });
});

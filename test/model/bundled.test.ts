import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readPixels } from '../../src/image/source.js';
import { load, type Model } from '../../src/index.js';
import { BUNDLED_MODELS } from '../../src/model/bundled.js';
import { readFloatModel } from '../../src/quantize/index.js';

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const photo = at('examples/chelsea.png');

describe.each(BUNDLED_MODELS)('the bundled %s', (name) => {
  const models: Model[] = [];
  beforeAll(async () => {
    for (const tier of ['simd', 'scalar'] as const) {
      models.push(await load(at(`models/${name}.safetensors`), { tier }));
    }
  });
  afterAll(() => {
    for (const model of models) model.dispose();
  });

  test('is small and knows its ten classes', () => {
    expect(readFileSync(at(`models/${name}.safetensors`)).length).toBeLessThan(2e6);
    expect(existsSync(at(`models/${name}.md`))).toBe(true);
    expect(models[0]!.info.labels).toHaveLength(10);
    expect(models[0]!.info.architecture.name).toBe(name);
  });

  test('has a frozen description', () => {
    const { info } = models[0]!;
    expect(() => Object.assign(info.preprocessing, { imageSize: 5 })).toThrow(/read only|not extensible/);
    expect(() => (info.labels as string[]).push('unicorn')).toThrow(/read only|not extensible/);
  });

  test('is what `fqvit quantize` makes from the float weights in training/', async () => {
    const float = readFileSync(at(`training/weights/${name}.safetensors`));
    const { sourceSha256, method } = models[0]!.info.recipe;
    expect(createHash('sha256').update(float).digest('hex')).toBe(sourceSha256);
    expect(method).toBe('best');
    expect(readFloatModel(float).warnings).toEqual([]);
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

test.each(BUNDLED_MODELS)('the file of %s is an export of the package', (name) => {
  const script = `console.log(import.meta.resolve('fqvit/models/${name}.safetensors'))`;
  const url = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: at('.'),
    encoding: 'utf8',
  });
  expect(fileURLToPath(url.trim())).toBe(at(`models/${name}.safetensors`));
});

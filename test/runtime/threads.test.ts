import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { IntegerModel } from '../../src/checkpoint/integer/model.js';
import { writeIntegerModel } from '../../src/checkpoint/integer/model.js';
import { UsageError } from '../../src/errors.js';
import { load as loadSource, type Model } from '../../src/model/model.js';
import { randomPixels } from '../forward/float/support.js';
import { refusal } from '../support/refusal.js';
import {
  EIGHTHS,
  sealed,
  tinyInteger,
  tinyIntegerFile,
  tinySwinInteger,
  UNIFORM,
} from '../support/tiny-integer.js';

// Workers run built files: so does the model that starts them.
const INDEX = new URL('../../dist/index.js', import.meta.url);
const { load } = (await import(INDEX.href)) as { load: typeof loadSource };

const MODELS: [name: string, model: () => IntegerModel][] = [
  ['a DeiT of 17 tokens', () => tinyInteger({ grid: 4, classes: 9 })],
  ['a DeiT, uniform attention', () => tinyInteger({ grid: 3, dim: 24, heads: 3 }, UNIFORM)],
  ['a DeiT, attention in eighths', () => tinyInteger({ grid: 4, classes: 9 }, EIGHTHS)],
  ['a Swin of four windows, then one', () => tinySwinInteger({ classes: 9 })],
  [
    'a Swin of nine windows',
    () => tinySwinInteger({ imageSize: 24, window: 3, depths: [2, 2, 1], heads: [3, 2, 4], dim: 24 }),
  ],
];

describe.each(MODELS)('%s', (_, make) => {
  test.each([2, 3, 5])('%d threads give the same codes as one, for image after image', async (threads) => {
    const file = sealed(writeIntegerModel(make()));
    const [one, several] = [await load(file), await load(file, { threads })];
    expect([one.info.threads, several.info.threads]).toEqual([1, threads]);
    expect(several.info.memoryBytes).toBeGreaterThanOrEqual(one.info.memoryBytes);
    const bytes = one.info.preprocessing.imageSize ** 2 * 3;
    for (let image = 0; image < 20; image++) {
      const pixels = randomPixels(bytes, image);
      expect(several.codesOfPixels(pixels)).toEqual(one.codesOfPixels(pixels));
    }
    one.dispose();
    several.dispose();
  });
});

describe('a model of two threads', () => {
  let model: Model;
  const pixels = randomPixels(8 * 8 * 3, 1);

  beforeAll(async () => {
    model = await load(tinyIntegerFile(), { threads: 2 });
  });
  afterAll(() => model.dispose());

  test('answers after its worker has slept', async () => {
    const codes = model.codesOfPixels(pixels);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(model.codesOfPixels(pixels)).toEqual(codes);
  });

  test('works next to other models', async () => {
    const others = await Promise.all([1, 2, 3].map(() => load(tinyIntegerFile(), { threads: 2 })));
    const codes = model.codesOfPixels(pixels);
    for (const other of others) {
      expect(other.codesOfPixels(pixels)).toEqual(codes);
      other.dispose();
      expect(() => other.codesOfPixels(pixels)).toThrow('disposed');
    }
    expect(model.codesOfPixels(pixels)).toEqual(codes);
  });
});

test('the scalar tier reports one thread', async () => {
  const model = await load(tinyIntegerFile(), { tier: 'scalar', threads: 4 });
  expect(model.info).toMatchObject({ tier: 'scalar', threads: 1 });
});

test.each([0, -1, 1.5, 65, Number.NaN, '2', null])('%p threads are refused', async (threads) => {
  const message = await refusal(
    loadSource(tinyIntegerFile(), { threads: threads as number }),
    UsageError,
    'THREADS',
  );
  expect(message).toMatch(/^threads: expected an integer from 1 to 64, found /);
});

test('a process ends without disposing its model', () => {
  const script = `
    const { load } = await import(${JSON.stringify(INDEX.href)});
    const model = await load(${JSON.stringify(fileURLToPath(new URL('../../models/deit_cifar10.safetensors', import.meta.url)))}, { threads: 2 });
    console.log(model.codesOfPixels(new Uint8Array(model.info.preprocessing.imageSize ** 2 * 3)).length);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 60_000,
    encoding: 'utf8',
  });
  expect([status, stdout, stderr]).toEqual([0, '10\n', '']);
});

describe('a pass of two threads that takes long', () => {
  const file = tinyIntegerFile({ grid: 32, patchSize: 1, dim: 64, mlpDim: 64, heads: 8, depth: 48 });
  const image = (seed: number) => ({ width: 32, height: 32, data: randomPixels(32 * 32 * 3, seed) });
  let one: Model;
  let two: Model;

  beforeAll(async () => {
    [one, two] = await Promise.all([load(file), load(file, { threads: 2 })]);
  });
  afterAll(() => {
    one.dispose();
    two.dispose();
  });

  test('can be aborted between steps, and its threads serve the next image', async () => {
    const expected = await one.codes(image(1));
    for (const ms of [0, 20, 60]) {
      const signal = AbortSignal.timeout(ms);
      await expect(two.codes(image(2), { signal })).rejects.toThrow('timeout');
      expect(await two.codes(image(1))).toEqual(expected);
    }
  });

  test('yields to a synchronous pass, and starts again', async () => {
    const images = [image(1), image(2)] as const;
    const expected = [await one.codes(images[0]), one.codesOfPixels(images[1].data)];
    const running = two.codes(images[0]);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(two.codesOfPixels(images[1].data)).toEqual(expected[1]);
    expect(await running).toEqual(expected[0]);
  });

  test('ends with the model', async () => {
    const model = await load(file, { threads: 2 });
    const running = model.codes(image(1));
    setTimeout(() => model.dispose(), 10);
    await expect(running).rejects.toMatchObject({ code: 'DISPOSED' });
  });
});

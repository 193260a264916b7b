import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type IntegerModel, writeIntegerModel } from '../../src/checkpoint/integer/model.js';
import { load } from '../../src/index.js';
import type { createPool as createSourcePool, Pool } from '../../src/pool/index.js';
import { Random } from '../assembly/support.js';
import { describeWith } from '../support/runtimes.js';
import { sealed, tinyInteger, tinyIntegerFile, tinySwinInteger, UNIFORM } from '../support/tiny-integer.js';

// Workers run built files: so does the pool that starts them.
const INDEX = new URL('../../dist/pool/index.js', import.meta.url);
const { createPool } = (await import(INDEX.href)) as { createPool: typeof createSourcePool };

const photo = fileURLToPath(new URL('../../examples/chelsea.png', import.meta.url));

/** Raw pixels of any size. */
function picture(seed: number, side = 20) {
  const random = new Random(seed);
  return {
    width: side,
    height: side,
    data: Uint8Array.from({ length: side * side * 3 }, () => random.integer(0, 255)),
  };
}

const MODELS: [name: string, model: () => IntegerModel][] = [
  ['a DeiT', () => tinyInteger({ grid: 4, classes: 9 })],
  ['a DeiT, uniform attention', () => tinyInteger({ grid: 3, dim: 24, heads: 3 }, UNIFORM)],
  ['a Swin', () => tinySwinInteger({ classes: 9 })],
];

describe.each(MODELS)('%s', (_, make) => {
  test.each([1, 2, 3, 5])(
    '%d workers over one copy of the weights give the codes of one model',
    async (workers) => {
      const file = sealed(writeIntegerModel(make()));
      const [model, pool] = [await load(file), await createPool(file, { workers })];
      expect(pool.info).toMatchObject({ workers, labels: model.info.labels, bytes: file.length });
      const pictures = Array.from({ length: 40 }, (_, i) => picture(i));
      const codes = await Promise.all(pictures.map((one) => pool.codes(one)));
      for (const [i, one] of pictures.entries()) expect(codes[i]).toEqual(await model.codes(one));
      expect(await pool.features(pictures[0]!)).toEqual(await model.features(pictures[0]!));
      model.dispose();
      await pool.dispose();
    },
  );
});

test('a worker more takes its activations, not the weights', async () => {
  const file = tinyIntegerFile({ grid: 2, dim: 192, depth: 12, heads: 3 });
  const [one, four] = [await createPool(file, { workers: 1 }), await createPool(file, { workers: 4 })];
  expect(four.info.memoryBytes).toBeLessThan(1.5 * one.info.memoryBytes);
  await Promise.all([one.dispose(), four.dispose()]);
});

describe('a pool of two workers', () => {
  let pool: Pool;
  beforeAll(async () => {
    pool = await createPool('deit_cifar10', { workers: 2 });
  });
  afterAll(() => pool.dispose());

  test('takes a path, a Blob and bytes, which stay the callers', async () => {
    const { readFile } = await import('node:fs/promises');
    const bytes = await readFile(photo);
    const before = Uint8Array.from(bytes);
    const answers = await Promise.all(
      [photo, new Blob([bytes]), bytes, before.buffer].map((one) => pool.classify(one)),
    );
    expect(answers[0]).toMatchObject([{ label: 'cat' }, {}, {}, {}, {}]);
    for (const one of answers) expect(one).toEqual(answers[0]);
    expect(Buffer.compare(bytes, before)).toBe(0);
  });

  test('names the file of a damaged image', async () => {
    const file = new File([new Uint8Array(50)], 'cat.jpg');
    await expect(pool.classify(file)).rejects.toThrow(/^cat\.jpg: /);
  });

  test('refuses a damaged image and goes on', async () => {
    const damaged = pool.classify(new Uint8Array(50));
    await expect(damaged).rejects.toMatchObject({ name: 'ImageError', code: 'IMAGE_FORMAT' });
    await expect(damaged).rejects.toBeInstanceOf(Error);
    await expect(pool.classify('nowhere.png')).rejects.toMatchObject({
      name: 'RuntimeError',
      code: 'SOURCE',
    });
    await expect(pool.classify(photo, { top: 0 })).rejects.toMatchObject({ name: 'UsageError', code: 'TOP' });
    await expect(pool.classify(photo, { maxPixels: 9 })).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' });
    expect(await pool.classify(photo, { top: 1 })).toMatchObject([{ label: 'cat' }]);
  });

  test.each<[string, unknown]>([
    ['an address', new URL('file:///photo.jpg')],
    ['a stream', new Blob(['x']).stream()],
    ['a list', [photo]],
    ['nothing', undefined],
    ['a function', () => photo],
  ])('refuses %s, which is nothing for another thread', async (_, image) => {
    await expect(pool.classify(image as never)).rejects.toMatchObject({
      name: 'ImageError',
      code: 'IMAGE_SOURCE',
    });
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '9'])(
    'a limit of %p is none',
    async (limitMs) => {
      const call = pool.classify(photo, { limitMs: limitMs as number });
      await expect(call).rejects.toMatchObject({ name: 'UsageError', code: 'LIMIT' });
    },
  );

  test('what cannot be copied to a worker is refused, and the worker takes the next', async () => {
    const moved = new Uint8Array(9);
    structuredClone(moved, { transfer: [moved.buffer] });
    const throwing = {
      ...picture(1),
      get width(): number {
        throw new Error('a getter');
      },
    };
    const images = [moved, moved.buffer, throwing, { ...picture(1), data: () => {} }];
    for (const image of [...images, ...images]) {
      await expect(pool.classify(image as never)).rejects.toMatchObject({
        name: 'ImageError',
        code: 'IMAGE_SOURCE',
      });
    }
    expect(await pool.classify(photo, { top: 1, limitMs: 10_000 })).toMatchObject([{ label: 'cat' }]);
  });

  test('takes the pixels of an object with getters and functions', async () => {
    const plain = picture(1);
    class Canvas {
      get width() {
        return plain.width;
      }
      height = plain.height;
      data = plain.data;
      draw = () => {};
    }
    expect(await pool.codes(new Canvas())).toEqual(await pool.codes(plain));
  });

  test('an aborted call leaves the queue at once, and a running one the caller', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Array.from({ length: 6 }, (_, i) => pool.codes(picture(i, 400), { signal }));
    const after = pool.codes(picture(1));
    controller.abort(new Error('enough'));
    expect(pool.waiting).toBe(1);
    const reason = new Error('enough');
    expect(await Promise.allSettled(calls)).toEqual(Array(6).fill({ status: 'rejected', reason }));
    expect(await after).toHaveLength(10);
    await expect(pool.codes(picture(1), { signal })).rejects.toThrow('enough');
  });

  test('a worker that takes too long is replaced', async () => {
    const slow = Promise.allSettled([1, 2].map(() => pool.codes(picture(1, 1500), { limitMs: 1 })));
    const next = pool.codes(picture(2));
    const reason = expect.objectContaining({ name: 'RuntimeError', code: 'POOL_LIMIT' });
    expect(await slow).toEqual(Array(2).fill({ status: 'rejected', reason }));
    const model = await load('deit_cifar10');
    expect(await next).toEqual(await model.codes(picture(2)));
    const codes = await Promise.all([3, 4, 5].map((seed) => pool.codes(picture(seed))));
    for (const [i, one] of codes.entries()) expect(one).toEqual(await model.codes(picture(3 + i)));
    model.dispose();
  });
});

test('an image that takes too long does not cost the one beside it', async () => {
  const pool = await createPool(tinyIntegerFile(), { workers: 1 });
  const codes = await pool.codes(picture(2));
  const slow = pool.codes(picture(1, 1500), { limitMs: 1 });
  const beside = pool.codes(picture(2));
  await expect(slow).rejects.toMatchObject({ code: 'POOL_LIMIT' });
  expect(await beside).toEqual(codes);
  await pool.dispose();
});

test('what is disposed while a worker is being replaced ends', async () => {
  const pool = await createPool(tinyIntegerFile(), { workers: 1 });
  const calls = Promise.allSettled([
    pool.codes(picture(1, 1500), { limitMs: 1 }),
    ...[2, 3, 4].map((seed) => pool.codes(picture(seed, 1500))),
  ]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await pool.dispose();
  expect((await calls).map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
});

test('images wait in the order of the calls', async () => {
  const pool = await createPool(tinyIntegerFile(), { workers: 1 });
  const order: number[] = [];
  const calls = Array.from({ length: 30 }, (_, i) => pool.codes(picture(i)).then(() => order.push(i)));
  expect(pool.waiting).toBe(28);
  await Promise.all(calls);
  expect(order).toEqual(Array.from({ length: 30 }, (_, i) => i));
  expect(pool.waiting).toBe(0);
  await pool.dispose();
});

test('what is disposed answers nobody', async () => {
  const pool = await createPool(tinyIntegerFile(), { workers: 1 });
  let isGone = false;
  const calls = Promise.allSettled([1, 2, 3].map((seed) => pool.codes(picture(seed, 1500))));
  const ended = pool.dispose().then(() => {
    isGone = true;
  });
  const reason = expect.objectContaining({ name: 'UsageError', code: 'DISPOSED' });
  expect(await calls).toEqual(Array(3).fill({ status: 'rejected', reason }));
  expect(isGone).toBe(false);
  await ended;
  await expect(pool.codes(picture(4))).rejects.toEqual(reason);
});

test.each([
  [{ workers: 0 }, 'WORKERS', 'workers: expected an integer from 1 to 64, found 0'],
  [{ workers: 65 }, 'WORKERS', 'workers: expected an integer from 1 to 64, found 65'],
  [{ workers: '2' as never }, 'WORKERS', 'workers: expected an integer from 1 to 64, found "2"'],
  [{ tier: 'scalar' as never }, 'TIER', 'tier: expected one of relaxed, simd, found "scalar"'],
])('options %j are refused', async (options, code, message) => {
  await expect(createPool(tinyIntegerFile(), options)).rejects.toMatchObject({ code, message });
});

/** What a process says that makes a pool and then does this. */
const inProcess = (lines: string) =>
  scriptIn(`
    import { createPool } from ${JSON.stringify(INDEX.href)};
    const pool = await createPool('deit_cifar10', { workers: 2 });
    const photo = ${JSON.stringify(photo)};
    ${lines}`);

function scriptIn(script: string) {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return [stdout, stderr, status];
}

test('a pool that nobody disposes of keeps no process alive', () => {
  const lines = 'console.log((await pool.classify(photo, { top: 1 }))[0].label);';
  expect(inProcess(lines)).toEqual(['cat\n', '', 0]);
});

test('a pool that is disposed of while an answer is on its way keeps the process alive until then', () => {
  const lines = `
    const answer = pool.classify(photo).catch(({ code }) => code);
    await new Promise((resolve) => setTimeout(resolve, 2));
    for (const end = performance.now() + 500; performance.now() < end; );
    await pool.dispose();
    console.log(await answer);`;
  expect(inProcess(lines)).toEqual(['DISPOSED\n', '', 0]);
});

test('a worker that runs out of memory fails its image, or the start, and nothing else', () => {
  const script = `
    import threads from 'node:worker_threads';
    import { syncBuiltinESMExports } from 'node:module';
    const { Worker } = threads;
    let maxOldGenerationSizeMb = 16;
    threads.Worker = class extends Worker {
      constructor(script, options) {
        super(script, { ...options, resourceLimits: { maxOldGenerationSizeMb, maxYoungGenerationSizeMb: 1 } });
      }
    };
    syncBuiltinESMExports();
    const { createPool } = await import(${JSON.stringify(INDEX.href)});
    const image = { width: 40, height: 40, data: new Uint8Array(4800) };
    const large = Array.from({ length: 1e6 }, (_, i) => ({ i }));
    const pool = await createPool('deit_cifar10', { workers: 1 });
    const calls = [pool.codes(image, { large }), pool.codes(image)];
    for (const { reason, value } of await Promise.allSettled(calls)) console.log(reason?.code ?? value.length);
    await pool.dispose();
    maxOldGenerationSizeMb = 2;
    await createPool('deit_cifar10', { workers: 2 }).catch(({ name, code }) => console.log(name, code));`;
  expect(scriptIn(script)).toEqual(['POOL\n10\nRuntimeError POOL\n', '', 0]);
});

describeWith('pools that are disposed of while their workers decode', ['/proc/self/fd'], () => {
  test('leave no descriptor and no thread after 200 rounds', () => {
    const attack = fileURLToPath(new URL('../../bench/attacks/threads.mjs', import.meta.url));
    const options = ['--only', 'pool, photos', '--rounds', '200', '--json'];
    const { rows } = JSON.parse(
      execFileSync(process.execPath, [attack, ...options], { encoding: 'utf8' }),
    ) as {
      rows: { descriptors: [number, number]; threads: [number, number] }[];
    };
    expect(rows).toHaveLength(1);
    for (const [before, after] of [rows[0]!.descriptors, rows[0]!.threads]) {
      expect(after - before).toBeLessThanOrEqual(4);
    }
  });
});

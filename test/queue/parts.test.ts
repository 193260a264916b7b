import { pathToFileURL } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { partName, partsOf } from '../../src/queue/part.js';
import { redisAddress } from '../../src/queue/redis-address.js';
import { fqvit, Scratch } from '../cli/support.js';

const scratch = new Scratch();

async function* numbers(count: number) {
  for (let i = 0; i < count; i++) yield String(i);
}

test.each([
  [0, []],
  [4, [['0', '1', '2', '3']]],
  [5, [['0', '1', '2', '3'], ['4']]],
])('a list of %d in parts of 4', async (count, files) => {
  const parts = [];
  for await (const part of partsOf(numbers(count), 4, 3)) parts.push(part);
  expect(parts).toEqual(files.map((some, i) => ({ first: 4 * i, top: 3, files: some })));
});

test('names of parts sort as their numbers, and end where they would not', () => {
  expect(partName(123)).toBe('part-000123');
  expect(partName(999_999)).toBe('part-999999');
  expect(() => partName(1_000_000)).toThrow('expected at most 1000000 parts, found more');
});

test('where Redis is', () => {
  expect(redisAddress(undefined, {})).toEqual({
    url: 'redis://127.0.0.1:6379',
    name: 'Redis at 127.0.0.1:6379',
  });
  expect(redisAddress(undefined, { REDIS_URL: 'rediss://me:s3cret@far:1/2' }).name).toBe('Redis at far:1');
  expect(redisAddress('redis://near', { REDIS_URL: 'redis://far' }).name).toBe('Redis at near:6379');
  for (const text of ['s3cret', 'http://u:s3cret@x', 'redis://']) {
    expect(() => redisAddress(text, {})).toThrow(
      /^option --redis: expected redis:\/\/HOST:PORT .* found something else$/,
    );
  }
});

test.each([
  [['enqueue', '-'], 2, /OPTION: expected option --queue, found none/],
  [['enqueue', '-', '--queue', 'a:b'], 2, /QUEUE_NAME: queue: expected a name/],
  [
    ['enqueue', '-', '--queue', 'a', '--job-size', '0'],
    2,
    /option --job-size: expected an integer from 1 to 100000/,
  ],
  [
    ['enqueue', '-', '--queue', 'a', '--redis', 'redis://127.0.0.1:1'],
    1,
    /REDIS: Redis at 127.0.0.1:1: expected a connection, found ECONNREFUSED/,
  ],
  [['work', '--queue', 'a', '-o', '/nowhere/at/all'], 1, /SOURCE: \/nowhere\/at\/all: expected a folder/],
  [['work', '--queue', 'a', '-o', 's3:/x'], 2, /OUTPUT: option --output: expected s3:\/\/BUCKET/],
  [
    ['work', '--queue', 'a', '-o', scratch.path, '--model', '/nowhere.safetensors'],
    1,
    /SOURCE: \/nowhere.safetensors: expected a file/,
  ],
] as const)('fqvit %j', async (args, code, message) => {
  const { stderr, ...run } = await fqvit(args);
  expect(run).toEqual({ code, stdout: '' });
  expect(stderr).toMatch(message);
});

describe('without the packages of the queue', () => {
  const env = {
    NODE_OPTIONS: `--import=${pathToFileURL(
      scratch.write(
        'without.mjs',
        "import { register } from 'node:module';\nregister('./hook.mjs', import.meta.url);\n",
      ),
    )}`,
  };
  scratch.write(
    'hook.mjs',
    `export function resolve(name, context, next) {
      if (!/^(bullmq|ioredis|@aws-sdk\\/client-s3)$/.test(name)) return next(name, context);
      throw Object.assign(new Error(\`Cannot find package '\${name}'\`), { code: 'ERR_MODULE_NOT_FOUND' });
    }`,
  );

  test.each([
    [
      ['enqueue', '-', '--queue', 'a'],
      'queue: expected the package bullmq, found none; `npm install bullmq ioredis`',
    ],
    [['queue', 'a'], 'queue: expected the package bullmq, found none; `npm install bullmq ioredis`'],
    [
      ['work', '--queue', 'a', '-o', '.'],
      'queue: expected the package bullmq, found none; `npm install bullmq ioredis`',
    ],
    [
      ['work', '--queue', 'a', '-o', 's3://bucket'],
      's3://: expected the package @aws-sdk/client-s3, found none; `npm install @aws-sdk/client-s3`',
    ],
  ])('fqvit %j says how to get them', async (args, message) => {
    const { code, stderr } = await fqvit(args, { env });
    expect([code, stderr]).toEqual([2, expect.stringContaining(`fqvit: LIBRARY: ${message}\n`)]);
  });

  test('fqvit classify works', async () => {
    expect(await fqvit(['classify', scratch.photo('a.png', 1)], { env })).toMatchObject({ code: 0 });
  });
});

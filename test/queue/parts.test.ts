import { type AddressInfo, createServer, type Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { partName, partsOf } from '../../src/queue/part.js';
import { redisAddress, redisEndpoint } from '../../src/queue/redis-address.js';
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

test('the option, then REDIS_URL, then this machine says where Redis is', () => {
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
  ['redis://:s3%2Fcret@h', { host: 'h', port: 6379, password: 's3/cret', db: 0, family: 0 }],
  ['redis://me:s3cret@h:1/2', { host: 'h', port: 1, username: 'me', password: 's3cret', db: 2, family: 0 }],
  ['rediss://[::1]/', { host: '::1', port: 6379, db: 0, family: 0, tls: {} }],
  ['valkey://h?family=6', { host: 'h', port: 6379, db: 0, family: 6 }],
])('what %s says', (url, endpoint) => {
  expect(redisEndpoint(url)).toEqual(endpoint);
});

test.each([
  ['unix:///tmp/s3cret.sock', 'the path of a socket'],
  ['/tmp/s3cret.sock', 'the path of a socket'],
  ['redis-sentinel://:s3cret@h', 'a sentinel'],
  ['redis://:s3cret@', 'a host or port that is none'],
  ['redis://:s3cret@h:99999', 'a host or port that is none'],
  ['redis://:s3cret@h:0', 'port 0'],
  ['redis://me:s3/cret@h', 'a host or port that is none'],
  ['redis://s3/cret@h', 'a database that is no number'],
  ['redis://s3?cret@h', 'another parameter after "?"'],
  ['redis://s3#cret@h', '"#" in it'],
  ['redis://:s3cret@h/one', 'a database that is no number'],
  ['redis://:s3cret@h/-1', 'a database that is no number'],
  ['redis://:s3cret@h?s3cret=1', 'another parameter after "?"'],
  ['redis://:s3cret@h?family=5', 'another parameter after "?"'],
  ['redis://s3cret@h', 'a user without a password'],
  ['redis://:s3cret%@h', 'a user or password with "%"'],
  ['redis://:s3cret@h\n', 'white space or control characters'],
  ['redis://:s3 cret@h', 'white space or control characters'],
  ['redis://:s3cret@h%61', 'a host with other characters'],
])('%j is refused, and no part of it is said', (url, found) => {
  for (const [given, env, where] of [
    [url, {}, 'option --redis'],
    [undefined, { REDIS_URL: url }, 'REDIS_URL'],
  ] as const) {
    const thrown = (() => {
      try {
        return redisAddress(given, env);
      } catch (error) {
        return error as Error;
      }
    })() as Error;
    expect(thrown).toMatchObject({ code: 'REDIS_URL' });
    expect(thrown.message).toContain(`${where}: expected redis://HOST:PORT`);
    expect(thrown.message).toContain(`found ${found}`);
    expect(thrown.message).not.toMatch(/s3|cret/);
  }
});

describe('a peer that is no Redis', () => {
  /** What it does with a connection, and how a command ends there. */
  async function against(answer: (socket: Socket) => void, ...args: string[]) {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket.on('error', () => {}));
      answer(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const start = performance.now();
    const run = await fqvit([...args, '--queue', 'a', '--redis', `redis://:s3cret@127.0.0.1:${port}`]);
    server.close();
    for (const socket of sockets) socket.destroy();
    expect(run.stderr).not.toMatch(/s3cret/);
    return { ...run, ms: performance.now() - start };
  }

  const silent = () => {};

  test('it takes the connection and stays silent: within 10 s that is said', async () => {
    const { code, stderr, ms } = await against(silent, 'enqueue', scratch.path);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^fqvit: REDIS: Redis at 127\.0\.0\.1:\d+: expected a connection, found no answer in time \(ETIMEDOUT\)\n$/,
      ),
    ]);
    expect(ms).toBeLessThan(10_000);
  });

  test.each([
    [
      'ends it',
      (socket: Socket) => void socket.end(),
      /expected a connection, found a connection that ended/,
    ],
    [
      'repeats the password',
      (socket: Socket) =>
        void socket.on('data', (data) => {
          for (const _ of String(data).matchAll(/^\*/gm)) {
            socket.write("-ERR unknown command 'AUTH', with args beginning with: 's3cret' \r\n");
          }
        }),
      /expected to be let in, found ERR unknown command 'AUTH'\n$/,
    ],
    [
      'repeats the password in words of its own',
      (socket: Socket) =>
        void socket.on('data', (data) => {
          for (const _ of String(data).matchAll(/^\*/gm)) socket.write('-ERR no AUTH s3cret here\r\n');
        }),
      /expected to be let in, found ERR no AUTH … here\n$/,
    ],
    [
      'replies twice',
      (socket: Socket) => void socket.on('data', () => socket.write('+s3cret\r\n'.repeat(20))),
      /expected the replies of Redis, found others\n$/,
    ],
    [
      'speaks HTTP',
      (socket: Socket) => void socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')),
      /expected the replies of Redis, found others\n$/,
    ],
    [
      'does not end its first reply',
      (socket: Socket) => void setInterval(() => socket.write('+'), 500).unref(),
      /expected a connection, found no answer in time \(ETIMEDOUT\)\n$/,
    ],
  ])('it %s', async (_, answer, message) => {
    const { code, stderr } = await against(answer, 'enqueue', scratch.path);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });
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

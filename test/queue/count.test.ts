import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { enqueue } from '../../src/queue/enqueue.js';
import { expectNoEviction } from '../../src/queue/eviction.js';
import { storedList } from '../../src/queue/list-facts.js';
import { fileOf } from '../../src/queue/output.js';
import { partData } from '../../src/queue/part.js';
import { openQueue, type PartQueue } from '../../src/queue/part-queue.js';
import { redisAddress } from '../../src/queue/redis-address.js';
import { Spool } from '../../src/queue/spool.js';
import { work } from '../../src/queue/work.js';
import { describeWith } from '../support/runtimes.js';
import { REDIS_SERVER, RedisServer, until } from './support.js';

/** More images than are in memory at a time. */
const [IMAGES, JOB_SIZE, TOP] = [90, 2, 3];
const PARTS = IMAGES / JOB_SIZE;

async function* images(count = IMAGES, prefix = 'a') {
  for (let i = 0; i < count; i++) yield `${prefix}\u2028${i}.png`;
}

const digestOf = async (list: AsyncIterable<string>, jobSize: number, top: number) => {
  const spool = await Spool.of(list, jobSize, top);
  await spool.close();
  return spool.list.sha256;
};

describe('a list', () => {
  test('comes back from its temporary file as it was', async () => {
    const spool = await Spool.of(images(), JOB_SIZE, TOP);
    expect(spool.list).toMatchObject({ parts: PARTS, images: IMAGES, jobSize: JOB_SIZE });
    const files: string[] = [];
    for await (const parts of spool.batches()) for (const part of parts) files.push(...part.files);
    await spool.close();
    const expected: string[] = [];
    for await (const file of images()) expected.push(file);
    expect(files).toEqual(expected);
  });

  test('has a digest of its names, its parts and the classes', async () => {
    const digests = await Promise.all([
      digestOf(images(), JOB_SIZE, TOP),
      digestOf(images(IMAGES - 1), JOB_SIZE, TOP),
      digestOf(images(IMAGES, 'b'), JOB_SIZE, TOP),
      digestOf(images(), JOB_SIZE + 1, TOP),
      digestOf(images(), JOB_SIZE, TOP + 1),
    ]);
    expect(new Set(digests).size).toBe(digests.length);
    expect(await digestOf(images(), JOB_SIZE, TOP)).toBe(digests[0]);
  });
});

const LIST = { sha256: '0'.repeat(64), parts: 3, images: 5, jobSize: 2, isWhole: true };

describe('a job', () => {
  test.each([
    ['part-000001', { first: 2, top: 1, files: ['a', 'b'] }],
    ['part-000002', { first: 4, top: 1, files: ['a'] }],
  ])('%s of the list', (id, data) => {
    expect(partData(id, data, LIST)).toEqual(data);
    expect(partData(id, data, undefined)).toEqual(data);
  });

  test.each([
    [null, 'a job of {first, top, files}, found null'],
    [[1], 'a job of {first, top, files}, found [1]'],
    ['a', 'a job of {first, top, files}, found "a"'],
    [{ first: 2, files: ['a', 'b'] }, 'top, a positive integer, found undefined'],
    [{ first: 2, top: 0, files: ['a', 'b'] }, 'top, a positive integer, found 0'],
    [{ first: 2, top: 1e300, files: ['a', 'b'] }, 'top, a positive integer, found 1e+300'],
    [{ first: '2', top: 1, files: ['a', 'b'] }, 'first, the index of an image, found "2"'],
    [{ first: -2, top: 1, files: ['a', 'b'] }, 'first, the index of an image, found -2'],
    [{ first: 0, top: 1, files: ['a', 'b'] }, 'first 2, found 0'],
    [{ first: 2, top: 1, files: 'ab' }, 'files, an array, found "ab"'],
    [{ first: 2, top: 1, files: { length: 2 } }, 'files, an array, found an object'],
    [{ first: 2, top: 1, files: ['a', null] }, 'paths in files, found null'],
    [{ first: 2, top: 1, files: ['a'] }, '2 files, found 1'],
    [{ first: 2, top: 1, files: ['a', 'b', 'c'] }, '2 files, found 3'],
    [
      JSON.parse('{"__proto__":{"first":2,"top":1,"files":["a","b"]}}'),
      'top, a positive integer, found undef',
    ],
  ])('that is none of its part: %j', (data, found) => {
    const expected = { code: 'QUEUE_JOB', message: expect.stringContaining(`job: expected ${found}`) };
    expect(() => partData('part-000001', data, LIST)).toThrow(expect.objectContaining(expected));
  });

  test('behind the end of the list', () => {
    const data = { first: 6, top: 1, files: ['a'] };
    expect(() => partData('part-000003', data, LIST)).toThrow('expected a list of 3 parts, found "part 3"');
    expect(() => partData('part-000000', { ...data, files: [] }, undefined)).toThrow('found 0');
  });
});

describe('the facts of a list', () => {
  const claim = `${LIST.sha256}:3:5:2`;

  test.each([
    [{}, undefined],
    [{ model: 'x' }, undefined],
    [{ list: claim }, { ...LIST, isWhole: false }],
    [{ list: claim, parts: '3', images: '5' }, LIST],
    [
      { parts: '3', images: '5' },
      { parts: 3, images: 5, isWhole: true },
    ],
  ])('%j', (facts, list) => {
    expect(storedList('q', facts)).toEqual(list);
  });

  test.each([
    { list: 'x' },
    { list: `${LIST.sha256}:3:5:0` },
    { list: `${LIST.sha256}:4:5:2` },
    { list: `${LIST.sha256}:1000001:1000001:1` },
    { list: claim, parts: '2' },
    { list: claim, images: 'x' },
    { parts: 'abc', images: '5' },
    { parts: '-1', images: '5' },
    { parts: '1e9', images: '5' },
    { parts: '1000000000', images: '1000000000' },
    { parts: '3' },
    { parts: '3', images: '2' },
  ])('that are none: %j', (facts) => {
    expect(() => storedList('q', facts)).toThrow(expect.objectContaining({ code: 'QUEUE_FACTS' }));
  });
});

describeWith('what Redis has lost', [REDIS_SERVER], () => {
  let redis: RedisServer;
  let client: Redis;
  let count = 0;
  const open: PartQueue[] = [];

  beforeAll(async () => {
    redis = await RedisServer.start('--appendonly', 'no');
    client = new Redis(redis.url);
  });
  afterAll(async () => {
    for (const queue of open) queue.close();
    client.disconnect();
    await redis.remove();
  });

  async function opened(name: string): Promise<PartQueue> {
    const queue = await openQueue(name, redisAddress(redis.url, {}), { isPatient: false, say: () => {} });
    open.push(queue);
    return queue;
  }

  /** A queue with the list in it. */
  async function filled(): Promise<PartQueue> {
    const queue = await opened(`count-${count++}`);
    expect(await put(queue)).toBe(PARTS);
    return queue;
  }

  /** How many parts were added. */
  const put = async (queue: PartQueue, list = images(), jobSize = JOB_SIZE) =>
    (await enqueue(queue, list, { jobSize, top: TOP })).added;

  /** Of each queue, what its workers have written. */
  const outputs = new Map<string, Map<string, string>>();

  /** A worker of the queue. Its pictures have no classes, or it is never done with them. */
  function worker(queue: PartQueue, { drain = true, isBusy = false } = {}) {
    const files = outputs.get(queue.name) ?? new Map<string, string>();
    outputs.set(queue.name, files);
    const said: string[] = [];
    const stop = new AbortController();
    const ended = work(queue, {
      model: 'm',
      classify: async (_, { signal }) => {
        if (isBusy) await new Promise((_, reject) => signal.addEventListener('abort', reject));
        return [];
      },
      output: {
        write: async (name, bytes) => void files.set(name, String(bytes)),
        missing: async (names) => names.filter((name) => !files.has(name)),
      },
      drain,
      lockMs: 2000,
      signal: stop.signal,
      say: (message) => said.push(message),
      onPart: () => {},
    });
    return { ended, files, said, stop: () => stop.abort(new Error('told')) };
  }

  const key = (queue: PartQueue, name: string) => `bull:${queue.name}:${name}`;

  async function expectRepaired(queue: PartQueue, added: number): Promise<void> {
    expect(await put(queue)).toBe(added);
    const again = worker(queue);
    await again.ended;
    expect(again.said).toContain(`queue ${queue.name}: ${PARTS} of ${PARTS} parts are done`);
    expect(await client.zcard(key(queue, 'completed'))).toBe(PARTS);
  }

  test.each([
    ['a job', (queue: PartQueue) => client.del(key(queue, 'part-000007')), 1, /expected 45 parts, found 44/],
    [
      'the waiting jobs',
      (queue: PartQueue) => client.del(key(queue, 'wait')),
      PARTS,
      /expected 45 parts, found 0/,
    ],
    ['the facts', (queue: PartQueue) => client.del(key(queue, 'fqvit')), 0, /expected its list, found none/],
    [
      'a job, while its id stays',
      (queue: PartQueue) => client.hdel(key(queue, 'part-000007'), 'data'),
      1,
      /expected 45 parts, found 44|1 failed/,
    ],
  ])('%s: --drain fails, and enqueueing again repairs it', async (_, lose, added, message) => {
    const queue = await filled();
    await lose(queue);
    const { ended, said } = worker(queue);
    await expect(ended).rejects.toMatchObject({ message: expect.stringMatching(message) });
    expect(said.join()).not.toMatch(/are done/);
    await expectRepaired(queue, added);
  });

  test('what is done is counted too: a done job, the ids of done jobs, a result, a file', async () => {
    const queue = await filled();
    const done = worker(queue);
    await done.ended;
    for (const [lose, added] of [
      [() => client.del(key(queue, 'part-000003')), 1],
      [() => client.zrem(key(queue, 'completed'), 'part-000004', 'part-000005'), 2],
      [() => client.hset(key(queue, 'part-000006'), 'returnvalue', '{}'), 1],
    ] as const) {
      await lose();
      await expect(worker(queue).ended).rejects.toMatchObject({ code: 'QUEUE_LOST' });
      expect(await queue.status(await queue.list())).toMatchObject({ missing: added, parts: PARTS - added });
      expect(await put(queue)).toBe(added);
    }
    await worker(queue).ended;
    expect(done.files.size).toBe(PARTS);
  });

  test('a done part whose file is missing is told, and put back on demand', async () => {
    const queue = await filled();
    const { ended, files } = worker(queue);
    await ended;
    files.delete(fileOf(queue.name, 'part-000011'));
    await expect(worker(queue).ended).rejects.toMatchObject({
      code: 'QUEUE_OUTPUT',
      message: expect.stringContaining('expected 45 parts in the output, found 44; part-000011 is done and'),
    });
    await queue.retryMissing({
      write: async () => {},
      missing: async (names) => names.filter((name) => !files.has(name)),
    });
    expect(await queue.status(await queue.list())).toMatchObject({ waiting: 1, done: PARTS - 1 });
    await worker(queue).ended;
    expect(files.size).toBe(PARTS);
  });

  test('the list goes under its workers: one with --drain ends, another says so and goes on when it is back', async () => {
    const queue = await filled();
    const gone = `queue ${queue.name}: expected its list of 45 parts, found none any more; enqueue the list again to repair it`;
    const draining = worker(queue, { isBusy: true });
    const standing = worker(await opened(queue.name), { drain: false });
    await until(() => standing.files.size > PARTS - 5);
    await client.del(await client.keys(key(queue, '*')));
    await expect(draining.ended).rejects.toMatchObject({ code: 'QUEUE_LOST', message: gone });
    await until(() => standing.said.includes(`${gone}: waiting for it`));
    expect(await put(queue)).toBe(PARTS);
    await until(async () => (await client.zcard(key(queue, 'completed'))) === PARTS);
    standing.stop();
    await expect(standing.ended).rejects.toThrow('told');
  });

  test('damaged jobs fail for good, by name, and are repaired', async () => {
    const queue = await filled();
    await client.hset(key(queue, 'part-000001'), 'data', '{"first":');
    await client.hset(key(queue, 'part-000002'), 'opts', 'null');
    await client.hset(key(queue, 'part-000003'), 'data', JSON.stringify({ first: 0, top: 0, files: [] }));
    await expect(worker(queue).ended).rejects.toMatchObject({
      code: 'QUEUE_FAILED',
      message: expect.stringMatching(/3 failed; part-00000[123]: job: expected /),
    });
    const { failures } = await queue.status(await queue.list());
    expect(failures.map(({ part }) => part).sort()).toEqual(['part-000001', 'part-000002', 'part-000003']);
    await expectRepaired(queue, 3);
  });

  test('facts that are none: nothing is done, and enqueueing again repairs the counts', async () => {
    const queue = await filled();
    await client.hset(key(queue, 'fqvit'), 'parts', 'abc');
    await expect(worker(queue).ended).rejects.toMatchObject({ code: 'QUEUE_FACTS' });
    await expectRepaired(queue, 0);
    await client.hset(key(queue, 'fqvit'), 'list', 'abc');
    await expect(put(queue)).rejects.toMatchObject({ code: 'QUEUE_FACTS' });
    await queue.remove();
    expect(await client.keys(key(queue, 'part*'))).toEqual([]);
    expect(await put(queue)).toBe(PARTS);
  });

  test('producers at once: of one list nothing is doubled, of two lists one is refused before it adds anything', async () => {
    for (const other of ['a', 'b']) {
      const name = `count-${count++}`;
      const queues = [await opened(name), await opened(name)] as const;
      const lists = [images(), images(IMAGES, other)] as const;
      const ends = await Promise.allSettled([put(queues[0], lists[0]), put(queues[1], lists[1])]);
      const refused = ends.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
      expect(refused.map(({ reason }) => reason.code)).toEqual(other === 'a' ? [] : ['QUEUE_OTHER']);
      expect(await client.llen(key(queues[0], 'wait'))).toBe(PARTS);
      const files = new Set<string>();
      for (let n = 0; n < PARTS; n++) {
        const id = `part-${String(n).padStart(6, '0')}`;
        for (const file of JSON.parse((await client.hget(key(queues[0], id), 'data'))!).files)
          files.add(file);
      }
      expect(files.size).toBe(IMAGES);
      expect(new Set([...files].map((file) => file[0])).size).toBe(1);
    }
  });

  test('a queue that was filled before lists were claimed goes on with its list, and with no other', async () => {
    const queue = await filled();
    await client.hdel(key(queue, 'fqvit'), 'list');
    await expect(put(queue, images(IMAGES, 'b'))).rejects.toMatchObject({ code: 'QUEUE_OTHER' });
    await expect(put(queue, images(IMAGES - 2))).rejects.toMatchObject({ code: 'QUEUE_OTHER' });
    expect(await client.hget(key(queue, 'fqvit'), 'list')).toBeNull();
    await client.hdel(key(queue, 'fqvit'), 'parts', 'images');
    await expect(put(queue, images(IMAGES - 2))).rejects.toThrow(
      'expected part-000044 as it is there already',
    );
    expect(await put(queue)).toBe(0);
    await worker(queue).ended;
  });
});

describeWith('what Redis does when it is full', [REDIS_SERVER], () => {
  const open = (server: RedisServer) =>
    openQueue('full', redisAddress(server.url, {}), { isPatient: false, say: () => {} });

  test('every policy but noeviction is refused by name, also when it is switched on later', async () => {
    const server = await RedisServer.start('--maxmemory-policy', 'allkeys-lru', '--appendonly', 'no');
    const client = new Redis(server.url);
    const policies = [
      'allkeys-lru',
      'allkeys-lfu',
      'allkeys-random',
      'volatile-lru',
      'volatile-lfu',
      'volatile-random',
      'volatile-ttl',
    ];
    for (const policy of policies) {
      await client.config('SET', 'maxmemory-policy', policy);
      await expect(open(server)).rejects.toMatchObject({
        code: 'REDIS_EVICTION',
        message: expect.stringContaining(`expected maxmemory-policy noeviction, found ${policy}, which`),
      });
    }
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    const queue = await open(server);
    await client.config('SET', 'maxmemory-policy', 'volatile-ttl');
    const refused = { code: 'REDIS_EVICTION' };
    await expect(enqueue(queue, images(), { jobSize: 1, top: 1 })).rejects.toMatchObject(refused);
    queue.close();
    client.disconnect();
    await server.remove();
  });

  test('a service that forbids CONFIG is asked by INFO', async () => {
    const options = ['--rename-command', 'CONFIG', '', '--maxmemory-policy'];
    const lru = await RedisServer.start(...options, 'allkeys-lru');
    await expect(open(lru)).rejects.toMatchObject({ code: 'REDIS_EVICTION' });
    await lru.remove();
  });

  test('one that tells nothing is taken for what it may be', async () => {
    const refused = Object.assign(new Error("NOPERM this user may not run 'config'"), { name: 'ReplyError' });
    const client = {
      config: () => Promise.reject(refused),
      info: async () => '# Memory\r\nused_memory:1\r\n',
    };
    expect(await expectNoEviction(client as unknown as Redis)).toBe(false);
    const away = { ...client, info: () => Promise.reject(new Error('Connection is closed.')) };
    await expect(expectNoEviction(away as unknown as Redis)).rejects.toThrow('closed');
  });
});

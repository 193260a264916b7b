import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { type ImageRecord, jsonLine, recordOf } from '../../src/batch/record.js';
import { load } from '../../src/index.js';
import { fqvit, Scratch } from '../cli/support.js';
import { serve } from '../support/loopback.js';
import { describeWith } from '../support/runtimes.js';
import { REDIS_SERVER, RedisServer, Started, until } from './support.js';

const scratch = new Scratch();
const [PICTURES, IMAGES, JOB_SIZE] = [40, 2000, 50];

let redis: RedisServer;
let queues = 0;
const newQueue = () => `list-${queues++}`;

/** A folder for the parts. */
function newOutput(): string {
  const folder = scratch.at(`out-${queues++}`);
  mkdirSync(folder);
  return folder;
}

const enqueue = (list: string, queue: string, ...more: string[]) =>
  fqvit(['enqueue', list, '--queue', queue, ...more], { env: { REDIS_URL: redis.url } });

function work(queue: string, output: string, ...more: string[]): Started {
  const args = ['work', '--queue', queue, '-o', output, '--workers', '1', '--lock', '2', ...more];
  return new Started(args, { REDIS_URL: redis.url });
}

async function status(queue: string) {
  const { stdout } = await fqvit(['queue', queue, '--json'], { env: { REDIS_URL: redis.url } });
  return JSON.parse(stdout);
}

/** What `cat *-part-*.jsonl` gives. */
function joined(output: string): string {
  const names = readdirSync(output).filter((name) => /^list-\d+-part-\d{6}\.jsonl$/.test(name));
  return names
    .sort()
    .map((name) => readFileSync(join(output, name), 'utf8'))
    .join('');
}

async function expectUnknown(queue: string): Promise<void> {
  const { code, stderr } = await fqvit(['queue', queue, '--redis', redis.url]);
  const message = `fqvit: QUEUE_UNKNOWN: queue ${queue}: expected a queue with a list, found none\n`;
  expect([code, stderr]).toEqual([1, message]);
}

function expectSecretsUnsaid(text: string): void {
  expect(text).not.toMatch(/s3cret|wr0ng/);
}

describeWith('a queue in Redis', [REDIS_SERVER], () => {
  beforeAll(async () => {
    redis = await RedisServer.start();
    for (let i = 0; i < PICTURES; i++) scratch.photo(`pictures/${i}.png`, i + 1);
    writeFileSync(scratch.at('pictures/5.png'), 'no picture');
  });
  afterAll(() => redis.remove());

  /**
   * A list of as many images as wanted, of pictures that come again; one is damaged, one is not
   * there.
   */
  function listFile(images: number): string {
    const paths = Array.from({ length: images }, (_, i) => scratch.at(`pictures/${i % (PICTURES + 1)}.png`));
    return scratch.write(`list-${queues++}.txt`, `${paths.join('\n')}\n`);
  }

  /** What a plain loop makes of it. */
  async function loop(images: number): Promise<string> {
    const model = await load('deit_cifar10');
    const records: ImageRecord[] = [];
    for (let i = 0; i <= PICTURES; i++) {
      records.push(await recordOf(i, scratch.at(`pictures/${i}.png`), (file) => model.classify(file)));
    }
    model.dispose();
    const lines = Array.from({ length: images }, (_, i) =>
      jsonLine({ ...records[i % records.length]!, index: i }),
    );
    return lines.join('');
  }

  test('three workers, of which one is killed and one comes late, and a Redis that fails meanwhile: each image once', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    expect(await enqueue(listFile(IMAGES), queue, '--job-size', String(JOB_SIZE))).toMatchObject({
      code: 0,
      stderr: `fqvit: queue ${queue}: 2,000 images in 40 parts\n`,
    });
    const first = work(queue, output, '--drain');
    const killed = work(queue, output, '--drain');
    await until(() => readdirSync(output).length >= 6);
    await killed.kill('SIGKILL');
    const late = work(queue, output, '--drain');
    await until(() => readdirSync(output).length >= 16);
    await redis.stop();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await redis.resume();
    for (const { code, stderr } of [await first.ended, await late.ended]) {
      expect(code).toBe(0);
      expect(stderr.match(/is away: waiting for it/g)).toHaveLength(1);
      expect(stderr.match(/is there again/g)).toHaveLength(1);
    }
    expect(joined(output)).toBe(await loop(IMAGES));
    expect(await status(queue)).toMatchObject({
      isListed: true,
      parts: 40,
      waiting: 0,
      active: 0,
      done: 40,
      failed: 0,
    });
    expect(readdirSync(output).filter((name) => name.startsWith('.')).length).toBeLessThanOrEqual(1);
  });

  test('a list that is given again adds nothing; another is refused', async () => {
    const queue = newQueue();
    const list = listFile(1000);
    const half = scratch.write('half.txt', readFileSync(list, 'utf8').split('\n').slice(0, 450).join('\n'));
    const again = `fqvit: queue ${queue}: 1,000 images in 10 parts, 10 parts already queued\n`;
    await enqueue(list, queue, '--job-size', '100');
    expect(await enqueue(list, queue, '--job-size', '100')).toMatchObject({ code: 0, stderr: again });
    for (const [other, ...options] of [
      [half, '--job-size', '100'],
      [list, '--job-size', '50'],
      [list, '--job-size', '100', '--top', '1'],
    ] as const) {
      const { code, stderr } = await enqueue(other, queue, ...options);
      expect(code).toBe(2);
      expect(stderr).toMatch(
        /^fqvit: QUEUE_OTHER: queue list-\d+: expected its list of 1000 images in 10 parts .*, found one of/,
      );
    }
    const longer = scratch.write(
      'longer.txt',
      `${readFileSync(list, 'utf8')}${scratch.at('pictures/0.png')}\n`,
    );
    expect((await enqueue(longer, queue, '--job-size', '100')).stderr).toMatch(
      /found one of 1001 images in 11/,
    );
  });

  test('of a list whose end is not reached nothing is put in', async () => {
    const queue = newQueue();
    const lines = readFileSync(listFile(300), 'utf8').repeat(40); // more than is read at once
    const broken = scratch.write('broken.txt', Buffer.concat([Buffer.from(lines), Buffer.of(0xff, 0x0a)]));
    expect(await enqueue(broken, queue, '--job-size', '100')).toMatchObject({ code: 1 });
    await expectUnknown(queue);
    expect((await enqueue(scratch.write('whole.txt', lines), queue, '--job-size', '100')).code).toBe(0);
    expect(await status(queue)).toMatchObject({ isListed: true, parts: 120, missing: 0, waiting: 120 });
  });

  test('a worker that is told to end gives its jobs back and ends at once; another does them', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    await enqueue(listFile(1200), queue, '--job-size', '400', '--top', '5');
    const worker = work(queue, output);
    await until(async () => (await status(queue)).active > 0);
    const start = performance.now();
    const { code, stderr } = await worker.kill('SIGTERM');
    expect(code).toBe(143);
    expect(stderr).toMatch(/^fqvit: interrupted; returning its jobs to the queue\n/m);
    expect(performance.now() - start).toBeLessThan(3000);
    const after = await status(queue);
    expect(after).toMatchObject({ active: 0, failed: 0, waiting: 3 - after.done });
    expect(await work(queue, output, '--drain').ended).toMatchObject({ code: 0 });
    expect(joined(output)).toBe(await loop(1200));
  });

  test('a worker ends where Redis is away; one comes before Redis and before the list', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    await redis.stop();
    const waiting = work(queue, output, '--drain');
    const ended = work(queue, output);
    await until(() => /is not there \(ECONNREFUSED\): waiting/.test(ended.stderr));
    expect((await ended.kill('SIGTERM')).code).toBe(143);
    await redis.resume();
    await enqueue(listFile(30), queue, '--job-size', '7');
    expect(await waiting.ended).toMatchObject({ code: 0 });
    expect(joined(output)).toBe(await loop(30));

    const [other, elsewhere] = [newQueue(), newOutput()];
    await enqueue(listFile(1), other);
    const second = work(other, elsewhere);
    await until(() => readdirSync(elsewhere).length > 0);
    await redis.stop();
    await until(() => /is away/.test(second.stderr));
    expect((await second.kill('SIGINT')).code).toBe(130);
    await redis.resume();
  });

  test('a queue that nobody filled is unknown, and looking for it leaves nothing', async () => {
    const queue = newQueue();
    await expectUnknown(queue);
    await expectUnknown(queue);
    const waiting = work(queue, newOutput());
    await until(() => waiting.stderr.includes(`queue ${queue} has no list yet: waiting for one`));
    await waiting.kill('SIGTERM');
  });

  test('a queue is not removed under its workers', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    await enqueue(listFile(2000), queue, '--job-size', '1000');
    const worker = work(queue, output);
    await until(async () => (await status(queue)).active > 0);
    const { code, stderr } = await fqvit(['queue', queue, '--redis', redis.url, '--remove']);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^fqvit: QUEUE_BUSY: queue .* found \d active parts\n$/),
    ]);
    await worker.kill('SIGTERM');
    expect((await status(queue)).parts).toBe(2);
  });

  test('a queue of another program is left alone', async () => {
    const name = 'theirs';
    const { hostname: host, port } = new URL(redis.url);
    const theirs = new Queue(name, { connection: { host, port: Number(port) } });
    await theirs.add('mail', { to: 'a@b' });
    const refused = {
      code: 2,
      stderr: expect.stringMatching(
        /QUEUE_OTHER: queue theirs: expected parts of fqvit, found a job of another/,
      ),
    };
    for (const args of [
      ['work', '-o', scratch.path, '--queue', name],
      ['enqueue', listFile(10), '--queue', name],
      ['queue', name, '--remove'],
    ]) {
      expect(await fqvit([...args, '--redis', redis.url])).toMatchObject(refused);
    }
    expect(await theirs.getJobCounts()).toMatchObject({ waiting: 1, failed: 0 });
    await theirs.close();
  });

  test('a queue has results of one model', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    await enqueue(listFile(10), queue);
    expect((await work(queue, output, '--drain').ended).code).toBe(0);
    const { code, stderr } = await work(queue, output, '--model', 'swin_cifar10').ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^fqvit: QUEUE_OTHER: queue list-\d+: expected model [0-9a-f]{64}, found [0-9a-f]{64}/m,
    );
  });

  test('an output that cannot be written ends the worker; the job waits for another', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    await enqueue(listFile(2000), queue, '--job-size', '10');
    const worker = work(queue, output);
    await until(() => readdirSync(output).length > 0);
    renameSync(output, `${output}-gone`);
    const { code, stderr } = await worker.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^fqvit: OUTPUT: \S+part-\d{6}\.jsonl: expected .*, found nothing of that name/m);
    const { waiting, active, done, failed } = await status(queue);
    expect([waiting + done, active, failed]).toEqual([200, 0, 0]);
    const missing = await work(queue, output).ended;
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringMatching(/SOURCE/) });
  });

  test('a job that no worker can do fails, and is told', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    const { hostname: host, port } = new URL(redis.url);
    const jobs = new Queue(queue, { connection: { host, port: Number(port) } });
    await jobs.add('part', { first: 0 }, { jobId: 'part-000009', attempts: 3 });
    await jobs.close();
    const list = listFile(10);
    expect(await enqueue(list, queue)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /QUEUE_OTHER: queue list-\d+: expected part-000009 as it is there already/,
      ),
    });
    await fqvit(['queue', queue, '--redis', redis.url, '--remove']);
    await enqueue(list, queue);
    const client = new Redis(redis.url);
    await client.hset(`bull:${queue}:part-000000`, 'data', '{"first":0}');
    client.disconnect();
    const { code, stderr } = await work(queue, output, '--drain').ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /QUEUE_FAILED: queue list-\d+: expected all parts done, found 1 failed; part-000000: job: expected /,
    );
    const { stdout } = await fqvit(['queue', queue, '--redis', redis.url]);
    expect(stdout).toMatch(/failed {3}1\n {2}part-000000: /);
    await fqvit(['queue', queue, '--redis', redis.url, '--retry']);
    expect(await status(queue)).toMatchObject({ waiting: 1, failed: 0 });
    await fqvit(['queue', queue, '--redis', redis.url, '--remove']);
    await expectUnknown(queue);
  });

  test('S3: a PUT for each part, the same bytes; a refusal ends the worker', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    const list = listFile(60);
    const objects = new Map<string, string>();
    let status = 200;
    const server = await serve(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      if (status === 200) objects.set(`${request.method} ${request.url}`, Buffer.concat(chunks).toString());
      response.writeHead(status).end();
    });
    const env = {
      REDIS_URL: redis.url,
      AWS_ENDPOINT_URL: server.url,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 's3cret',
    };
    const toBucket = (name: string) =>
      new Started(['work', '--queue', name, '--drain', '--workers', '1', '-o', 's3://bucket/some/where'], env)
        .ended;
    await enqueue(list, queue, '--job-size', '20');
    expect(await toBucket(queue)).toMatchObject({ code: 0 });
    const names = [0, 1, 2].map((n) => `PUT /bucket/some/where/${queue}-part-00000${n}.jsonl?x-id=PutObject`);
    expect([...objects.keys()].sort()).toEqual(names);
    expect(names.map((name) => objects.get(name)).join('')).toBe(await loop(60));

    status = 403;
    const other = newQueue();
    await enqueue(list, other);
    const { code, stderr } = await toBucket(other);
    server.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /OUTPUT: s3:\/\/bucket\/some\/where\/list-\d+-part-000000.jsonl: expected to be written, found \w+ \(status 403\)/,
    );
    expectSecretsUnsaid(stderr);
    expect(readdirSync(output)).toEqual([]);
  });

  test('a Redis with a password: it is never said', async () => {
    const locked = await RedisServer.start('--requirepass', 's3cret');
    const ask = (url: string) => fqvit(['queue', 'x'], { env: { REDIS_URL: url, DEBUG: '1' } });
    const right = await ask(locked.url.replace('//', '//:s3cret@'));
    expect(right.stderr).toMatch(/^fqvit: QUEUE_UNKNOWN: queue x: /);
    for (const url of [locked.url.replace('//', '//:wr0ng@'), locked.url]) {
      const { code, stdout, stderr } = await ask(url);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^fqvit: REDIS: Redis at 127\.0\.0\.1:\d+: expected to be let in, found (WRONGPASS|NOAUTH)/,
      );
      expectSecretsUnsaid(stdout + stderr);
    }
    // also a worker, which waits for a Redis that is away, does not wait for this one
    const args = [
      'work',
      '--queue',
      'x',
      '-o',
      scratch.path,
      '--redis',
      locked.url.replace('//', '//:wr0ng@'),
    ];
    const worker = await fqvit(args);
    expect(worker.code).toBe(1);
    expectSecretsUnsaid(worker.stderr);
    const outside = await ask(`${locked.url.replace('//', '//:s3cret@')}/99`);
    expect(outside).toMatchObject({ code: 1 });
    expectSecretsUnsaid(outside.stderr);
    await locked.remove();
  });

  test('a Redis that is full', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    await enqueue(listFile(10), queue);
    const full = await RedisServer.start('--maxmemory', '1', '--maxmemory-policy', 'noeviction');
    const filled = {
      code: 1,
      stderr: expect.stringMatching(/^fqvit: REDIS: Redis: expected .*, found .*OOM/m),
    };
    expect(
      await fqvit(['enqueue', scratch.at('pictures'), '--queue', queue, '--redis', full.url]),
    ).toMatchObject(filled);
    expect(await fqvit(['work', '--queue', queue, '-o', output, '--redis', full.url])).toMatchObject(filled);
    await full.remove();

    const worker = work(queue, output);
    await until(() => readdirSync(output).length > 0);
    const settings = new Redis(redis.url);
    await settings.config('SET', 'maxmemory', '1');
    expect(await worker.ended).toMatchObject(filled);
    await settings.config('SET', 'maxmemory', '0');
    settings.disconnect();
  });

  test('a Redis that may drop jobs, and one that has', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    await enqueue(listFile(10), queue, '--job-size', '5');
    const client = new Redis(redis.url);
    await client.del(`bull:${queue}:part-000001`);
    const { code, stdout, stderr } = await fqvit(['queue', queue, '--redis', redis.url]);
    expect([code, stdout]).toEqual([1, expect.stringMatching(/1 part\n.*waiting {2}1\n.*missing {2}1\n$/s)]);
    expect(stderr).toMatch(
      /^fqvit: QUEUE_LOST: queue list-\d+: expected 2 parts, found 1; enqueue the list again/,
    );

    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const refused = {
      code: 1,
      stderr: expect.stringMatching(/REDIS_EVICTION: Redis: expected .* found allkeys-lru/),
    };
    expect(await enqueue(listFile(10), queue, '--job-size', '5')).toMatchObject(refused);
    expect(await work(queue, output, '--drain').ended).toMatchObject(refused);
    expect(await fqvit(['queue', queue, '--redis', redis.url])).toMatchObject(refused);
    expect(await fqvit(['queue', queue, '--redis', redis.url, '--remove'])).toMatchObject({ code: 0 });
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    client.disconnect();
  });

  test('a folder whose pictures are links', async () => {
    const [queue, output] = [newQueue(), newOutput()];
    const folder = scratch.at('links');
    mkdirSync(folder);
    for (const name of ['a', 'b', 'c'])
      symlinkSync(scratch.at('pictures/1.png'), join(folder, `${name}.png`));
    await enqueue(folder, queue, '--top', '1');
    await work(queue, output, '--drain').ended;
    const files = joined(output)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(files.map(({ index, file, predictions }) => [index, file, predictions.length])).toEqual(
      ['a', 'b', 'c'].map((name, i) => [i, join(folder, `${name}.png`), 1]),
    );
  });
});

// The queue's verdict when Redis drops jobs, restarts empty, has two producers for one name, or
// dies with its workers. Needs redis-server.
//   npm run build && node bench/attacks/queue.mjs [--only evict,empty,pairs,kill,damage]
//     [--parts 1200] [--pairs 50] [--seconds 60] [--json]
// Each row counts wrong verdicts: `false success` is exit code 0 although parts are missing,
// doubled or mixed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { writePictures } from '../png.mjs';
import { json, list, machine, option } from '../support.mjs';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const PICTURES = 40;
/** A command that takes longer is killed; its exit code is then null. */
const PATIENCE_MS = 60_000;

const PARTS = Number(option('parts', 1200));
const PAIRS = Number(option('pairs', 50));
const SECONDS = Number(option('seconds', 60));

const ATTACKS = { evict, empty, pairs, kill, damage };

const folder = mkdtempSync(join(tmpdir(), 'fqvit-queue-'));
const rows = [];
let state = Number(option('seed', 1));
let servers = 0;
writePictures(folder, PICTURES, () => random(256));
try {
  for (const name of list('only', Object.keys(ATTACKS).join(','))) await ATTACKS[name]();
} finally {
  rmSync(folder, { recursive: true });
}
if (json) console.log(JSON.stringify({ machine: machine(), rows }));
else {
  for (const { attack, ...row } of rows) console.log(attack, row);
  console.log(machine());
}

/** Redis with less memory than the list needs, under every policy that drops keys. */
async function evict() {
  for (const policy of ['allkeys-lru', 'allkeys-random', 'volatile-ttl']) {
    const redis = await startRedis('--maxmemory', '4mb', '--maxmemory-policy', policy);
    const queue = newQueue();
    // long paths, so that the list is larger than 4 MB
    const files = listFile(
      'evict',
      PARTS,
      (i) => `${folder}/pictures/${'./'.repeat(1500)}${i % PICTURES}.png`,
    );
    const put = await fqvit(redis, 'enqueue', files, '--queue', queue, '--job-size', '1');
    const done = await work(redis, queue, 60_000);
    row(`eviction ${policy}, 4 MB`, [put, done], {
      enqueue: put.code,
      work: done.code,
      written: `${parts(queue).length} of ${PARTS}`,
      'false success': Number(put.code === 0) + Number(done.code === 0 && parts(queue).length < PARTS),
    });
    await redis.stop();
  }
  // after the list is in, the policy changes and other keys take the memory
  const redis = await startRedis();
  const queue = newQueue();
  await fqvit(redis, 'enqueue', listFile('late', PARTS), '--queue', queue, '--job-size', '1');
  const client = redis.client();
  const worker = start(redis, 'work', '--queue', queue, '-o', output(queue), '--drain', '--workers', '1');
  await until(() => parts(queue).length >= 20);
  const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1]);
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await client.config('SET', 'maxmemory', String(Math.round(used * 0.8)));
  const done = await ended(worker);
  client.disconnect();
  row('eviction switched on while a worker runs', [done], {
    work: done.code,
    written: `${parts(queue).length} of ${PARTS}`,
    'false success': Number(done.code === 0 && parts(queue).length < PARTS),
  });
  await redis.stop();
}

/** Redis loses all or some of its data during the work; then the list is enqueued again. */
async function empty() {
  for (const [what, lose] of [
    ['FLUSHALL', (client) => client.flushall()],
    ['half of the jobs dropped', (client, queue) => drop(client, queue, (id) => id % 2 === 0)],
    ['the list of waiting jobs dropped', (client, queue) => client.del(`bull:${queue}:wait`)],
    ['the facts dropped', (client, queue) => client.del(`bull:${queue}:fqvit`)],
    ['the done jobs dropped', (client, queue) => client.del(`bull:${queue}:completed`)],
  ]) {
    for (const drain of [true, false]) {
      if (!drain && what !== 'FLUSHALL') continue;
      const redis = await startRedis();
      const queue = newQueue();
      const files = listFile('empty', PARTS);
      const enqueue = () => fqvit(redis, 'enqueue', files, '--queue', queue, '--job-size', '1');
      await enqueue();
      const options = ['--queue', queue, '-o', output(queue), '--workers', '1', '--lock', '2'];
      const worker = start(redis, 'work', ...options, ...(drain ? ['--drain'] : []));
      await until(() => parts(queue).length >= 40);
      const client = redis.client();
      await lose(client, queue);
      const from = performance.now();
      const first = drain ? await ended(worker) : undefined;
      if (!drain) {
        await until(() => /QUEUE_LOST|none any more/.test(worker.stderr), 20_000).catch(() => {});
      }
      const seconds = Math.round((performance.now() - from) / 100) / 10;
      const before = parts(queue).length;
      const again = await enqueue();
      if (!drain) await until(() => parts(queue).length === PARTS, PATIENCE_MS).catch(() => {});
      if (!drain) worker.child.kill('SIGTERM');
      const second = await work(redis, queue, PATIENCE_MS);
      const whole = parts(queue).length === PARTS;
      row(`${what} under a worker ${drain ? 'with' : 'without'} --drain`, [first ?? worker, again, second], {
        work: first ? first.code : `says so after ${seconds} s`,
        seconds,
        written: `${before} of ${PARTS}`,
        'enqueue again': again.code,
        'work again': second.code,
        'written then': `${parts(queue).length} of ${PARTS}`,
        'false success': Number(first?.code === 0 && before < PARTS) + Number(second.code === 0 && !whole),
      });
      client.disconnect();
      await redis.stop();
    }
  }
}

async function drop(client, queue, wanted) {
  for (const key of await client.keys(`bull:${queue}:part-*`)) {
    const id = /part-(\d{6})$/.exec(key)?.[1];
    if (id !== undefined && wanted(Number(id))) await client.del(key);
  }
}

/** Two producers at once with one queue name; half of the pairs have the same list. */
async function pairs() {
  const redis = await startRedis();
  const client = redis.client();
  const counts = {
    'same: both 0': 0,
    'different: one 0, one 2': 0,
    'different: other': 0,
    mixed: 0,
    doubled: 0,
  };
  const examples = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const queue = newQueue();
    const same = pair % 2 === 0;
    const producers = [0, 1].map((k) => ({
      of: same ? 0 : k,
      run: start(redis, 'enqueue', '-', '--queue', queue, '--job-size', '10'),
    }));
    // both run and wait for their list
    await until(async () => (await client.client('LIST')).trim().split('\n').length > 2);
    await sleep(50);
    for (const { of, run } of producers) {
      await sleep(random(3));
      run.child.stdin.end(Array.from({ length: 400 + 100 * of }, (_, i) => `${of}-${i}.png\n`).join(''));
    }
    const runs = await Promise.all(producers.map(({ run }) => ended(run)));
    const codes = runs.map(({ code }) => code).sort();
    if (same) counts['same: both 0'] += Number(codes.join() === '0,0');
    else if (codes.join() === '0,2') counts['different: one 0, one 2']++;
    else counts['different: other']++;
    examples.push(...runs.filter(({ code }) => code !== 0));
    const jobs = [];
    for (const key of await client.keys(`bull:${queue}:part-*`)) {
      if (/part-\d{6}$/.test(key)) jobs.push(JSON.parse(await client.hget(key, 'data')).files);
    }
    const files = jobs.flat();
    const owners = new Set(files.map((file) => file[0]));
    if (owners.size !== 1) counts.mixed++;
    if (new Set(files).size !== files.length) counts.doubled++;
    if ((await client.llen(`bull:${queue}:wait`)) !== jobs.length) counts.doubled++;
  }
  client.disconnect();
  row(`${PAIRS} pairs of producers`, examples.slice(0, 2), {
    ...counts,
    'false success': counts.mixed + counts.doubled,
  });
  await redis.stop();
}

/** Kills workers and Redis at random; then compares the output with a plain batch. */
async function kill() {
  const count = PARTS * 5;
  const files = listFile('kill', count);
  const plain = join(folder, 'plain.jsonl');
  await fqvit({ url: '' }, 'batch', files, '-o', plain);
  const redis = await startRedis();
  const queue = newQueue();
  await fqvit(redis, 'enqueue', files, '--queue', queue, '--job-size', '5');
  const args = ['work', '--queue', queue, '-o', output(queue), '--drain', '--workers', '1', '--lock', '2'];
  const workers = Array.from({ length: 3 }, () => start(redis, ...args));
  const end = performance.now() + 1000 * SECONDS;
  let [killed, restarts, falseSuccess] = [0, 0, 0];
  const early = [];
  while (performance.now() < end && parts(queue).length < PARTS) {
    await sleep(300 + random(1500));
    for (const [k, worker] of workers.entries()) {
      if (worker.child.exitCode === null) continue;
      early.push({ code: worker.child.exitCode, stderr: worker.stderr });
      if (worker.child.exitCode === 0 && parts(queue).length < PARTS) falseSuccess++;
      workers[k] = start(redis, ...args);
    }
    if (random(4) < 1) {
      restarts++;
      await redis.kill();
      await sleep(random(1000));
      await redis.resume();
    } else {
      killed++;
      const k = Math.floor(random(workers.length));
      workers[k].child.kill('SIGKILL');
      workers[k] = start(redis, ...args);
    }
  }
  const runs = await Promise.all(workers.map((worker) => ended(worker, 300_000)));
  const text = joined(queue);
  const indices = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).index);
  const client = redis.client();
  const done = await client.zcard(`bull:${queue}:completed`);
  const unwritten = (await client.zrange(`bull:${queue}:completed`, 0, -1)).filter(
    (id) => !existsSync(join(output(queue), `${queue}-${id}.jsonl`)),
  );
  client.disconnect();
  const isSame = text === readFileSync(plain, 'utf8');
  row(`3 workers, ${killed} SIGKILL of workers, ${restarts} of Redis`, [...early, ...runs], {
    'exit codes': runs.map(({ code }) => code).join(),
    'ended early': early.map(({ code }) => code).join(),
    images: `${indices.length} of ${count}`,
    doubled: indices.length - new Set(indices).size,
    'parts done in Redis': `${done} of ${PARTS}`,
    'done and not written': unwritten.length,
    'same bytes as batch': isSame,
    'false success': falseSuccess + Number(!isSame && runs.some(({ code }) => code === 0)),
  });
  await redis.stop();
}

/** Jobs and facts that `enqueue` never writes. */
async function damage() {
  const job = (change) => async (client, queue) => {
    const key = `bull:${queue}:part-000002`;
    const data = JSON.parse(await client.hget(key, 'data'));
    await client.hset(key, 'data', change(data));
  };
  const changed = (change) => job((data) => JSON.stringify({ ...data, ...change }));
  const facts = (change) => (client, queue) => client.hset(`bull:${queue}:fqvit`, change);
  const cases = {
    'data is no JSON': job(() => '{"first":'),
    'data is null': job(() => 'null'),
    'data is an array': job(() => '[1]'),
    'data is 10 MB of brackets': job(() => '['.repeat(1e7)),
    'first is a text': changed({ first: 'x' }),
    'first is a fraction': changed({ first: 0.5 }),
    'first is of another part': changed({ first: 0 }),
    'top is 0': changed({ top: 0 }),
    'top is a fraction': changed({ top: 1.5 }),
    'files is a number': changed({ files: 7 }),
    'files holds objects': changed({ files: [{}, null, 1] }),
    'files is empty': changed({ files: [] }),
    'files is too long': job((data) => JSON.stringify({ ...data, files: Array(2000).fill(data.files[0]) })),
    'a key __proto__': job(() => '{"__proto__":{"first":4,"top":1,"files":["a.png","a.png"]}}'),
    'options are no JSON': (client, queue) => client.hset(`bull:${queue}:part-000002`, 'opts', '{'),
    'options are null': (client, queue) => client.hset(`bull:${queue}:part-000002`, 'opts', 'null'),
    'the hash has no data': (client, queue) => client.hdel(`bull:${queue}:part-000002`, 'data'),
    'the hash is gone': (client, queue) => client.del(`bull:${queue}:part-000002`),
    'parts is a text': facts({ parts: 'abc' }),
    'parts is -1': facts({ parts: '-1' }),
    'parts is 1e9': facts({ parts: '1000000000' }),
    'parts is one less': facts({ parts: '9' }),
    'images is a text': facts({ images: 'x' }),
    'list is a text': facts({ list: 'x' }),
  };
  const plain = join(folder, 'damage.jsonl');
  await fqvit({ url: '' }, 'batch', listFile('damage', 20), '-o', plain);
  const right = readFileSync(plain, 'utf8');
  const redis = await startRedis();
  const client = redis.client();
  for (const [name, damaged] of Object.entries(cases)) {
    const queue = newQueue();
    const files = listFile('damage', 20);
    await fqvit(redis, 'enqueue', files, '--queue', queue, '--job-size', '2');
    await damaged(client, queue);
    const from = performance.now();
    const first = await work(redis, queue, 40_000);
    const seconds = Math.round((performance.now() - from) / 100) / 10;
    const shown = await fqvit(redis, 'queue', queue, '--json');
    const again = await fqvit(redis, 'enqueue', files, '--queue', queue, '--job-size', '2');
    const second = await work(redis, queue, 40_000);
    const removed = await fqvit(redis, 'queue', queue, '--remove');
    row(name, [first], {
      work: first.code,
      seconds,
      written: `${first.parts} of 10`,
      'written then': `${parts(queue).length} of 10`,
      queue: shown.code,
      'enqueue again': again.code,
      'work again': second.code,
      remove: removed.code,
      'false success':
        Number(first.code === 0 && first.text !== right) + Number(second.code === 0 && second.text !== right),
    });
  }
  client.disconnect();
  await redis.stop();
}

function row(attack, runs, counts) {
  const said = runs.flatMap(
    ({ stderr }) => stderr.match(/^fqvit: (?!deit_cifar10)[A-Z].*|^fqvit: queue .*list.*/gm) ?? [],
  );
  rows.push({ attack, ...counts, said: [...new Set(said)].slice(0, 2).map((text) => text.slice(0, 200)) });
  if (!json) console.error(`${attack}: ${JSON.stringify(counts)}`);
}

async function work(redis, queue, patience) {
  const run = start(
    redis,
    'work',
    '--queue',
    queue,
    '-o',
    output(queue),
    '--drain',
    '--workers',
    '1',
    '--lock',
    '2',
  );
  const result = await ended(run, patience);
  return { ...result, parts: parts(queue).length, text: joined(queue) };
}

function fqvit(redis, ...args) {
  return ended(start(redis, ...args));
}

function start({ url }, ...args) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, REDIS_URL: url },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const run = { child, stderr: '' };
  child.stderr.on('data', (text) => {
    run.stderr += text;
  });
  run.closed = once(child, 'close');
  return run;
}

async function ended(run, patience = PATIENCE_MS) {
  const timer = setTimeout(() => run.child.kill('SIGKILL'), patience);
  const [code] = await run.closed;
  clearTimeout(timer);
  return { code, stderr: run.stderr };
}

async function startRedis(...options) {
  const port = await freePort();
  const data = join(folder, `redis-${servers++}`);
  mkdirSync(data);
  const args = ['--port', port, '--bind', '127.0.0.1', '--dir', data, '--save', '', '--appendonly', 'yes'];
  let server;
  const redis = {
    url: `redis://127.0.0.1:${port}`,
    client: () => new Redis({ port: Number(port), host: '127.0.0.1' }),
    async resume() {
      server = spawn('redis-server', [...args, '--appendfsync', 'always', ...options]);
      for await (const text of server.stdout) if (/Ready to accept/.test(text)) break;
    },
    async kill() {
      server.kill('SIGKILL');
      await once(server, 'exit');
    },
    async stop() {
      await redis.kill();
      rmSync(data, { recursive: true });
    },
  };
  await redis.resume();
  return redis;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return String(port);
}

function newQueue() {
  const queue = `q${rows.length}-${servers}-${Math.floor(random(1e9))}`;
  mkdirSync(output(queue));
  return queue;
}

function output(queue) {
  return join(folder, queue);
}

function parts(queue) {
  return readdirSync(output(queue))
    .filter((name) => /-part-\d{6}\.jsonl$/.test(name))
    .sort();
}

function joined(queue) {
  return parts(queue)
    .map((name) => readFileSync(join(output(queue), name), 'utf8'))
    .join('');
}

function listFile(name, count, path = (i) => join(folder, `pictures/${i % PICTURES}.png`)) {
  const file = join(folder, `${name}.txt`);
  writeFileSync(file, Array.from({ length: count }, (_, i) => `${path(i)}\n`).join(''));
  return file;
}

async function until(isSo, ms = PATIENCE_MS) {
  const end = performance.now() + ms;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`expected within ${ms} ms: ${isSo}`);
    await sleep(20);
  }
}

/** A number from 0 to `end` - 1. */
function random(end) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (end * state) / 2 ** 32;
}

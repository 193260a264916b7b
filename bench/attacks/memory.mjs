// The worst images of all formats through `fqvit serve`, together with good photos, under a hard
// memory limit (Linux):
//   npm run build && node bench/attacks/memory.mjs [--seconds 30] [--limit 1500] [--workers 2]
//     [--attackers 6] [--dist dist] [--no-option] [--json]
// The limit, in MiB, is a cgroup if this user may make one (root); otherwise this script ends a
// service that exceeds it. `--no-option` leaves out `--max-memory`, for versions without it. Each
// good photo is compared with its answer before the attack.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { json, machine, option } from '../support.mjs';
import { worstImages } from './worst-images.mjs';

const MIB = 2 ** 20;
const seconds = Number(option('seconds', 30));
const limit = Number(option('limit', 1500)) * MIB;
const attackers = Number(option('attackers', 6));
const main = `${option('dist', fileURLToPath(new URL('../../dist', import.meta.url)))}/cli/main.js`;
const GOOD_CLIENTS = 2;
const counted = { answered: 0, refused: 0, wrong: 0, lost: 0, slowest: 0 };

const worst = await Promise.all(
  Object.entries(worstImages()).map(async ([name, make]) => ({ name, body: await make() })),
);
const fixtures = new URL('../../test/image/fixtures/', import.meta.url);
const good = [
  new URL('../../examples/chelsea.png', import.meta.url),
  ...[
    '420.jpg',
    'progressive.jpg',
    'lossless.webp',
    'lossy.webp',
    'exif-6.jpg',
    'png-6-16-interlaced.png',
  ].map((name) => new URL(name, fixtures)),
].map((file) => readFileSync(file));

const group = makeGroup();
const service = await start();
let peak = 0;
let killed = false;
const watch = setInterval(() => {
  const now = resident();
  peak = Math.max(peak, now);
  if (group === undefined && now > limit) {
    killed = true;
    service.child.kill('SIGKILL');
  }
}, 50);

const idle = resident();
const answers = [];
for (const body of good) answers.push(await post(body));
if (answers.some(({ status }) => status !== 200))
  throw new Error('a good photo is refused before the attack');

const statuses = new Map();
const end = Date.now() + 1000 * seconds;
await Promise.all([
  ...Array.from({ length: attackers }, (_, i) => attack(i)),
  ...Array.from({ length: GOOD_CLIENTS }, (_, i) => check(i)),
]);
const atEnd = resident();
await sleep(10_000);
const after = resident();
// a photo after the attack
const last = await post(good[0]).catch(() => ({ status: 'none' }));
clearInterval(watch);
const groupPeak = group && Number(readFileSync(`${group.path}/${group.peak}`, 'utf8'));
service.child.kill();
await service.ended;
if (group) rmdirSync(group.path);

const rows = [...statuses]
  .map(([name, counts]) => ({ image: name, ...counts }))
  .sort((a, b) => (a.image < b.image ? -1 : 1));
const mib = (bytes) => Math.round(bytes / MIB);
const summary = {
  seconds,
  'limit, MiB': mib(limit),
  enforced: group ? `cgroup ${group.kind}` : 'watched',
  killed: killed || service.signal === 'SIGKILL',
  'before, MiB': mib(idle),
  'peak, MiB': mib(peak),
  ...(group ? { 'peak of the cgroup, MiB': mib(groupPeak) } : {}),
  'at the end, MiB': mib(atEnd),
  'after 10 s, MiB': mib(after),
  'good photos answered': counted.answered,
  'good photos refused': counted.refused,
  'good photos without answer': counted.lost,
  'wrong answers': counted.wrong,
  'slowest good photo, ms': Math.round(counted.slowest),
  'good photo after it': last.status,
};
console.log(json ? JSON.stringify({ machine: machine(), summary, rows }) : machine());
if (!json) {
  console.table(rows);
  console.table(summary);
}

async function attack(i) {
  for (let n = i; Date.now() < end && !service.gone; n++) {
    const { name, body } = worst[n % worst.length];
    const { status, code } = await post(body).catch(() => ({ status: 'no answer' }));
    const counts = statuses.get(name) ?? {};
    statuses.set(name, counts);
    const key = code ? `${status} ${code}` : status;
    counts[key] = (counts[key] ?? 0) + 1;
    if (status === 'no answer') await sleep(100);
  }
}

async function check(i) {
  for (let n = i; Date.now() < end && !service.gone; n++) {
    const { predictions, status } = await post(good[n % good.length]).catch(() => ({ status: 'no answer' }));
    if (status === 200) {
      counted.answered++;
      if (predictions !== answers[n % good.length].predictions) counted.wrong++;
    } else if (status === 'no answer') counted.lost++;
    else counted.refused++;
    await sleep(20);
  }
}

async function post(body) {
  const start = performance.now();
  const response = await fetch(`${service.url}/v1/classify?top=10`, { method: 'POST', body });
  const { code, results } = await response.json();
  if (good.includes(body)) counted.slowest = Math.max(counted.slowest, performance.now() - start);
  return { status: response.status, code, predictions: results && JSON.stringify(results[0].predictions) };
}

async function start() {
  const args = ['serve', '--port', '0', '--workers', option('workers', '2'), '--log-level', 'error'];
  if (!process.argv.includes('--no-option')) args.push('--max-memory', String(limit));
  const enter = group ? `echo $$ > ${group.path}/cgroup.procs && ` : '';
  const child = spawn('sh', ['-c', `${enter}exec "$@"`, 'sh', process.execPath, main, ...args]);
  const made = { child, url: undefined, gone: false, signal: undefined };
  made.ended = new Promise((resolve) => {
    child.on('exit', (_, signal) => {
      made.gone = true;
      made.signal = signal;
      resolve();
    });
  });
  child.stdout.pipe(process.stderr);
  let text = '';
  for await (const part of child.stderr.iterator({ destroyOnReturn: false })) {
    text += part;
    const url = / at (http:\S+)\n/.exec(text)?.[1];
    if (url === undefined) continue;
    child.stderr.pipe(process.stderr);
    return Object.assign(made, { url });
  }
  throw new Error(text);
}

function resident() {
  try {
    const status = readFileSync(`/proc/${service.child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s*(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** A cgroup with the limit, inside that of this process; undefined if it cannot be made. */
function makeGroup() {
  const own = readFileSync('/proc/self/cgroup', 'utf8');
  const v1 = /^\d+:memory:(.*)$/m.exec(own)?.[1];
  const v2 = /^0::(.*)$/m.exec(own)?.[1];
  const kinds = [
    {
      kind: 'v2',
      base: `/sys/fs/cgroup${v2}`,
      limits: { 'memory.max': limit, 'memory.swap.max': 0 },
      peak: 'memory.peak',
    },
    {
      kind: 'v1',
      base: `/sys/fs/cgroup/memory${v1}`,
      limits: { 'memory.limit_in_bytes': limit, 'memory.memsw.limit_in_bytes': limit },
      peak: 'memory.max_usage_in_bytes',
    },
  ];
  for (const { kind, base, limits, peak } of kinds) {
    const path = `${base.replace(/\/$/, '')}/fqvit-memory-${process.pid}`;
    try {
      mkdirSync(path);
    } catch {
      continue;
    }
    const [first] = Object.keys(limits);
    if (readdirSync(path).includes(first)) {
      for (const [name, value] of Object.entries(limits)) {
        if (existsSync(`${path}/${name}`)) writeFileSync(`${path}/${name}`, String(value));
      }
      return { kind, path, peak };
    }
    rmdirSync(path);
  }
  return undefined;
}

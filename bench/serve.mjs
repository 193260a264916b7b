// `fqvit serve` under load from another process on the same machine, which takes its share of the
// cores:
//   npm run build && node bench/serve.mjs [--model M] [--photo FILE] [--workers N] [--seconds 10]
//     [--only load,overload,soak,malformed] [--json]
// load       1, 2, 8 and 64 clients; each sends the photo again as soon as it has an answer
// overload   ten times the rate that 8 clients reached, from 640 connections, for 60 seconds:
//            resident memory before, at its peak and after, the answers, and the time of the first
//            photo afterwards
// soak       20,000 photos from 8 clients: resident memory after 1,000 and after the last
// malformed  1,000 bodies: cut, damaged, long, of other types, slow, and with dropped connections;
//            the answers
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { json, list, machine, option } from './support.mjs';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const seconds = Number(option('seconds', 10));
const photo = readFileSync(
  option('photo', fileURLToPath(new URL('../examples/chelsea.png', import.meta.url))),
);
const own = option('model') ? ['--model', option('model')] : [];
const workers = option('workers') ? ['--workers', option('workers')] : [];

const service = await start('--log-level', 'error', '--timeout', '5000');
const results = {};
const benches = { load, overload, soak, malformed };
try {
  for (const name of list('only', Object.keys(benches).join())) {
    results[name] = await benches[name]();
    if (!json) {
      console.log(name);
      console.table(results[name]);
    }
  }
  console.log(
    json ? JSON.stringify({ machine: machine(), photoBytes: photo.length, ...results }) : machine(),
  );
} finally {
  service.child.kill();
}

async function start(...args) {
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', ...own, ...workers, ...args]);
  child.stdout.pipe(process.stderr); // errors only
  let text = '';
  for await (const part of child.stderr) {
    text += part;
    const url = / at (http:\S+)\n/.exec(text)?.[1];
    if (url) {
      child.on('exit', (code) => code && console.error(`the service ended with ${code}`));
      return { child, url: `${url}/v1/classify`, resident: () => residentOf(child.pid) };
    }
  }
  throw new Error(text);
}

function residentOf(pid) {
  return Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

function cannon(options) {
  return autocannon({
    url: service.url,
    method: 'POST',
    body: photo,
    headers: { 'content-type': 'image/png' },
    ...options,
  });
}

async function load() {
  await cannon({ connections: 8, duration: 3 });
  const rows = [];
  for (const clients of [1, 2, 8, 64]) {
    const { latency, statusCodeStats, errors, duration, ...rest } = await cannon({
      connections: clients,
      duration: seconds,
    });
    rows.push({
      clients,
      'photos/s': rest['2xx'] / duration,
      'p50 ms': latency.p50,
      'p99 ms': latency.p99,
      statuses: statuses(statusCodeStats),
      errors,
      'resident MB': service.resident(),
    });
  }
  return rows;
}

function statuses(stats) {
  return Object.entries(stats)
    .map(([status, { count }]) => `${status}: ${count}`)
    .join(', ');
}

async function overload() {
  const capacity = (await cannon({ connections: 8, duration: seconds }))['2xx'] / seconds;
  const before = service.resident();
  let peak = 0;
  let isOn = true;
  const refusals = { clean: 0, others: 0 };
  const watch = (async () => {
    while (isOn) {
      peak = Math.max(peak, service.resident());
      await sleep(200);
    }
  })();
  const probe = (async () => {
    while (isOn) {
      const answer = await fetch(service.url, { method: 'POST', body: photo });
      const body = await answer.json();
      if (answer.status === 200) continue;
      const isClean =
        answer.status === 503 &&
        Number(answer.headers.get('retry-after')) >= 1 &&
        answer.headers.get('content-type') === 'application/problem+json' &&
        body.code === 'OVERLOAD';
      refusals[isClean ? 'clean' : 'others']++;
      await sleep(50);
    }
  })();
  const result = await cannon({
    connections: 640,
    overallRate: Math.round(10 * capacity),
    duration: 60,
    timeout: 30,
  });
  isOn = false;
  await Promise.all([watch, probe]);
  const start = performance.now();
  const answer = await fetch(service.url, { method: 'POST', body: photo });
  return [
    {
      'capacity, photos/s': capacity,
      'offered/s': result.requests.total / result.duration,
      'answered/s': result['2xx'] / result.duration,
      statuses: statuses(result.statusCodeStats),
      errors: result.errors,
      'probes: clean 503': refusals.clean,
      'probes: others': refusals.others,
      'MB before': before,
      'MB peak': peak,
      'MB after': service.resident(),
      'first after, ms': performance.now() - start,
      'its status': answer.status,
    },
  ];
}

async function soak() {
  await cannon({ connections: 8, amount: 1000 });
  const before = service.resident();
  const result = await cannon({ connections: 8, amount: 20_000 });
  return [
    {
      photos: result['2xx'],
      errors: result.errors + result.non2xx,
      'MB after 1,000': before,
      'MB after 21,000': service.resident(),
      minutes: result.duration / 60,
    },
  ];
}

/** The answers to each kind of body, by status; `ended` if the service closed without one. */
async function malformed() {
  const kinds = {
    'cut photo': (i) => post(photo.subarray(0, Math.floor((photo.length * i) / 100))),
    'damaged photo': (i) => post(damaged(i)),
    'no photo': (i) => post(Buffer.alloc(i * 100, i)),
    'other type': () => post(photo, { 'content-type': 'text/plain' }),
    'damaged JSON': (i) =>
      post(Buffer.from(`{"images":["${'A'.repeat(i)}`), { 'content-type': 'application/json' }),
    'damaged form': (i) =>
      post(photo.subarray(0, 1000 * i), { 'content-type': 'multipart/form-data; boundary=x' }),
    'long body': () => post(Buffer.alloc(11 * 2 ** 20)),
    'cut connection': (i) => raw(photo.subarray(0, i * 1000), photo.length, true),
    'slow body': (i) => raw(photo.subarray(0, i), photo.length, false),
    'damaged head': (i) => raw(undefined, 'x'.repeat(i), false),
  };
  const rows = [];
  for (const [kind, send] of Object.entries(kinds)) {
    const counts = {};
    for (const status of await Promise.all(Array.from({ length: 100 }, (_, i) => send(i)))) {
      counts[status] = (counts[status] ?? 0) + 1;
    }
    rows.push({ kind, answers: JSON.stringify(counts), 'photo after': await post(photo) });
  }
  return rows;
}

async function post(body, headers = { 'content-type': 'image/png' }) {
  try {
    const answer = await fetch(service.url, { method: 'POST', body, headers });
    const isProblem = answer.headers.get('content-type') === 'application/problem+json';
    await answer.json();
    return answer.ok || isProblem ? answer.status : `${answer.status} without a problem`;
  } catch {
    return 'ended';
  }
}

function damaged(seed) {
  const copy = Buffer.from(photo);
  for (let i = 0; i < 20; i++) copy[(seed * 7919 + i * 104729) % copy.length] ^= 0xff;
  return copy;
}

/**
 * Sends part of a body over a new connection, which then ends or stays open; returns the status of
 * the answer.
 */
async function raw(body, length, ends) {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname).on('error', () => {});
  await once(socket, 'connect');
  socket.write(`POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
  if (body) socket.write(body);
  if (ends) {
    socket.destroy();
    return 'gone';
  }
  let text = '';
  for await (const part of socket) text += part;
  return /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 'ended';
}

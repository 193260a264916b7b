// Hostile clients against `fqvit serve` (two workers, the bundled model, 127.0.0.1). Each scenario
// has its own service:
//   npm run build:ts && node bench/attacks/serve.mjs [SCENARIO...] [--main dist/cli/main.js]
//     [--seconds 12] [--json]
// Another process attacks. Meanwhile this one posts a good photo every 100 ms and requests /healthz
// every 50 ms, each over a new connection, and sends SIGTERM during the attack. Columns: most
// images inside (slots); good photos with status 200, 503 and no answer; ms from the start of the
// attack to the first 200; worst ms of /healthz and its failures; the longest pause of the
// service's main thread; peak memory; ms from SIGTERM to the exit; exit code.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, get, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { pngFile } from '../png.mjs';
import { json, machine, option } from '../support.mjs';

const MB = 2 ** 20;
const photo = readFileSync(new URL('../../examples/chelsea.png', import.meta.url));
const HEAD = 'POST /v1/classify HTTP/1.1\r\nHost: a\r\n';
const QUICK = ['--timeout', '4000'];

/** How each scenario attacks `port` until its process ends, and options of the service. */
const SCENARIOS = {
  none: { attack: () => {} },
  'silent-128': { attack: (port) => hold(port, 128, `${HEAD}Content-Length: 100000\r\n\r\n`) },
  'silent-1000': { attack: (port) => hold(port, 1000, `${HEAD}Content-Length: 100000\r\n\r\n`) },
  'dribble-1128': {
    args: QUICK,
    attack: (port) => hold(port, 1128, `${HEAD}Content-Length: 100000\r\n\r\n`, 'x'),
  },
  'heads-1128': { attack: (port) => hold(port, 1128, 'GET /healthz HTTP/1.1\r\na', 'a') },
  'mute-1128': { attack: (port) => hold(port, 1128, '') },
  'idle-1128': { attack: (port) => hold(port, 1128, 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n') },
  'no-http-1128': { attack: (port) => hold(port, 1128, 'x\r\n\r\n', 'x') },
  'unread-1128': {
    attack: (port) =>
      hold(port, 1128, 'GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(99), undefined, true),
  },
  'nearly-whole-64': {
    attack: (port) => hold(port, 64, `${HEAD}Content-Length: ${10 * MB}\r\n\r\n${'x'.repeat(9.9 * MB)}`),
  },
  'chunks-of-1-byte': {
    attack: (port) => stream(port, 8, `${HEAD}Transfer-Encoding: chunked\r\n\r\n`, '1\r\nx\r\n'.repeat(1e4)),
  },
  'chunk-extensions': {
    attack: (port) =>
      stream(port, 8, `${HEAD}Transfer-Encoding: chunked\r\n\r\n`, `1;${'a'.repeat(16_000)}\r\nx\r\n`),
  },
  ...Object.fromEntries(
    Object.entries(bodies()).map(([name, [type, body]]) => [
      name,
      { attack: (port) => post(port, 2, type, body) },
    ]),
  ),
  'slow-photos': {
    args: ['--timeout', '3000'],
    seconds: 30,
    attack: (port) => post(port, 4, 'image/png', picture(7000)),
  },
  'slow-photos-default': { seconds: 30, attack: (port) => post(port, 4, 'image/png', picture(7000)) },
};

if (process.send) {
  const [name, port] = process.argv.slice(2);
  SCENARIOS[name].attack(Number(port));
  process.on('disconnect', () => process.exit());
} else {
  const named = process.argv
    .slice(2)
    .filter((one, i, all) => one in SCENARIOS && !all[i - 1]?.startsWith('--'));
  const rows = [];
  for (const name of named.length ? named : Object.keys(SCENARIOS)) {
    rows.push({ scenario: name, ...(await measure(name)) });
    if (!json) console.log(rows.at(-1));
  }
  if (json) console.log(JSON.stringify({ machine: machine(), rows }));
  else {
    console.table(rows);
    console.log(machine());
  }
}

async function measure(name) {
  const { args = [], seconds = Number(option('seconds', 12)) } = SCENARIOS[name];
  const main = option('main', fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)));
  const all = ['serve', '--port', '0', '--workers', '2', '--log-level', 'silent', ...args];
  const service = spawn(process.execPath, [main, ...all], { stdio: ['ignore', 'inherit', 'pipe'] });
  const ended = once(service, 'exit');
  let port;
  for await (const text of service.stderr.setEncoding('utf8')) {
    port = Number(/ at http:\S+:(\d+)\n/.exec(text)?.[1]);
    if (port) break;
  }
  await good(port);
  const attacker = fork(fileURLToPath(import.meta.url), [name, String(port)]);
  await once(attacker, 'spawn');
  const start = performance.now();
  const isOn = () => performance.now() - start < seconds * 1000;
  const counts = { 200: 0, 503: 0, other: 0 };
  let first;
  let slots = 0;
  let pause;
  let worst = 0;
  let failed = 0;
  const photos = async () => {
    await sleep(1000); // the attack is there by then
    while (isOn()) {
      const status = await good(port);
      counts[status in counts ? status : 'other']++;
      if (status === 200) first ??= performance.now() - start;
      await sleep(name.startsWith('slow') ? 0 : 100);
    }
  };
  const health = async () => {
    while (isOn()) {
      const asked = performance.now();
      if ((await ask(port, '/healthz'))?.status !== 200) failed++;
      worst = Math.max(worst, performance.now() - asked);
      await sleep(50);
    }
  };
  const watch = async () => {
    while (isOn()) {
      const text = (await ask(port, '/metrics'))?.text;
      slots = Math.max(slots, Number(/images_inside (\d+)/.exec(text)?.[1] ?? 0));
      const lag = Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(text)?.[1] ?? 0);
      // the first lag counts from the start of the service
      pause = pause === undefined ? 0 : Math.max(pause, 1000 * lag);
      await sleep(500);
    }
  };
  await Promise.all([photos(), photos(), health(), watch()]);
  const peak = Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))[1]) / 1024;
  const stopping = performance.now();
  service.kill('SIGTERM');
  const [code] = await ended;
  const stop = performance.now() - stopping;
  attacker.disconnect();
  return {
    slots,
    'good 200': counts[200],
    503: counts[503],
    none: counts.other,
    'first 200, ms': first && Math.round(first),
    'healthz, worst ms': Math.round(worst),
    'healthz failed': failed,
    'longest pause, ms': Math.round(pause ?? 0),
    'peak MB': Math.round(peak),
    'stop, ms': Math.round(stop),
    'exit code': code,
  };
}

/** The status of a good photo, or what went wrong. */
function good(port) {
  return new Promise((resolve) => {
    const options = {
      port,
      host: '127.0.0.1',
      path: '/v1/classify',
      method: 'POST',
      agent: false,
      timeout: 20_000,
    };
    const asking = request(options, (answer) => {
      answer.resume().on('close', () => resolve(answer.statusCode));
    });
    asking.on('error', (error) => resolve(error.code)).on('timeout', () => asking.destroy());
    asking.end(photo);
  });
}

function ask(port, path) {
  return new Promise((resolve) => {
    const asking = get({ port, host: '127.0.0.1', path, agent: false, timeout: 5000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => (text += part));
      answer.on('close', () => resolve({ status: answer.statusCode, text }));
    });
    asking.on('error', () => resolve(undefined)).on('timeout', () => asking.destroy());
  });
}

/**
 * Connections that send `first`, then `more` every second, and ignore the answers. A closed one is
 * replaced after 100 ms.
 */
function hold(port, count, first, more, isDeaf = false) {
  const open = () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    if (isDeaf) socket.pause();
    else socket.resume();
    socket.write(first);
    const timer = more && setInterval(() => socket.write(more), 1000);
    socket
      .on('error', () => {})
      .on('close', () => {
        clearInterval(timer);
        setTimeout(open, 100);
      });
  };
  for (let i = 0; i < count; i++) setTimeout(open, i / 2);
}

/** Connections that send `more` as fast as the service reads it. */
function stream(port, count, first, more) {
  const open = () => {
    const socket = connect(port, '127.0.0.1').resume();
    const write = () => {
      while (!socket.destroyed && socket.write(more));
    };
    socket.write(first);
    socket
      .on('drain', write)
      .on('error', () => {})
      .on('close', () => setTimeout(open, 10));
    write();
  };
  for (let i = 0; i < count; i++) open();
}

/** Clients that post the same body repeatedly. */
function post(port, count, type, body) {
  const agent = new Agent({ keepAlive: true });
  const one = () => {
    const headers = { 'content-type': type, 'content-length': body.length };
    const options = { port, host: '127.0.0.1', path: '/v1/classify', method: 'POST', agent, headers };
    request(options, (answer) => answer.resume().on('close', one))
      .on('error', () => setTimeout(one, 10))
      .end(body);
  };
  for (let i = 0; i < count; i++) one();
}

/** Bodies of 10 MB that once took long to refuse or to read. */
function bodies() {
  const long = 'b'.repeat(70);
  const form = (head, body, boundary = 'BB') => [
    `multipart/form-data; boundary=${boundary}`,
    Buffer.from(`--${boundary}\r\n${head}\r\n\r\n${body}\r\n--${boundary}--\r\n`),
  ];
  const file = 'Content-Disposition: form-data; name=image; filename=a';
  const filled = (text) => text.repeat(Math.floor((10 * MB - 500) / text.length));
  const document = (text) => ['application/json', Buffer.from(text)];
  return {
    'form: space before the colon': form(file.replace(':', ' :'), filled('\r\n')),
    'form: line ends': form(file, filled('\r\n--')),
    'form: nearly boundaries': form(file, filled(`\r\n--${long.slice(1)}a`), long),
    'form: one letter': form(file, filled('b'), long),
    'form: header lines': form(filled('a: b\r\n') + file, ''),
    'form: blanks in a parameter': form(`Content-Disposition: form-data; name=${' '.repeat(16_000)}x"`, ''),
    'form: parts': form(`${file}\r\n\r\n\r\n--BB\r\n`.repeat(1e5) + file, ''),
    'json: brackets': document(filled('[')),
    'json: brackets, closed': document('['.repeat(5 * MB - 20) + ']'.repeat(5 * MB - 20)),
    'json: empty lists': document(`{"images":[${filled('[],')}[]]}`),
    'json: members': document(`{${Array.from({ length: 8e5 }, (_, i) => `"k${i}":1`).join()}}`),
    'json: base64': document(`{"images":["${filled('A')}"]}`),
    'json: escapes': document(`{"images":["${filled('\\u0041')}"]}`),
    'json: an address': document(`{"images":["http://${filled('@')}"]}`),
  };
}

/** A black PNG: a few kilobytes that take long to decode. */
function picture(side) {
  return pngFile(side, side, deflateSync(Buffer.alloc((1 + side * 3) * side)));
}

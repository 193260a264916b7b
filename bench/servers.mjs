// The same app in four servers over loopback, in turn: workerd (one isolate), Deno, Bun and Node
// (a pool of two workers each). The test installs the engines:
//   npm test -- test/examples/servers && node bench/servers.mjs [--rounds 4] [--jpeg FILE] [--json]
// start    from a fresh process to the first answer to a photo, ms
// warm     median of 50 posts of examples/chelsea.png, one after the other, ms
// resident memory of the process afterwards, and its peak with one post of --jpeg, MB
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median, option, report } from './support.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const engines = join(root, 'test/runtimes/node_modules');
const photo = readFileSync('examples/chelsea.png');
const jpeg = option('jpeg') && readFileSync(option('jpeg'));
const folder = mkdtempSync(join(tmpdir(), 'fqvit-servers-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const SERVERS = {
  workerd: (port) => [
    join(engines, '@cloudflare/workerd-linux-64/bin/workerd'),
    'serve',
    join(folder, 'worker/config.capnp'),
    `--socket-addr=http=127.0.0.1:${port}`,
  ],
  Deno: (port) => [join(engines, '@deno/linux-x64-glibc/deno'), 'run', '-A', 'examples/deno/server.ts', port],
  Bun: (port) => [join(engines, '@oven/bun-linux-x64/bin/bun'), 'examples/bun/server.ts', port],
  Node: (port) => [process.execPath, 'dist/cli/main.js', 'serve', '--port', port, '--log-level', 'error'],
};

buildWorker();
const rows = Object.fromEntries(Object.keys(SERVERS).map((name) => [name, []]));
for (let round = 0; round < Number(option('rounds', 4)); round++) {
  for (const [name, command] of Object.entries(SERVERS)) rows[name].push(await measured(command));
}
report(
  'servers',
  { photoBytes: photo.length },
  Object.entries(rows).map(([server, rounds]) => {
    const each = (key) => rounds.map((round) => round[key]);
    return {
      server,
      'start ms': median(each('start')),
      'warm ms': median(each('warm')),
      'resident MB': median(each('resident')),
      ...(jpeg ? { 'peak MB': median(each('peak')) } : {}),
    };
  }),
);

/** Follows its README, in a folder with fqvit and esbuild. */
function buildWorker() {
  const packages = join(folder, 'node_modules');
  mkdirSync(packages);
  symlinkSync(root, join(packages, 'fqvit'));
  symlinkSync(join(engines, 'esbuild'), join(packages, 'esbuild'));
  cpSync('examples/worker', join(folder, 'worker'), {
    recursive: true,
    filter: (path) => !path.includes('worker/dist'),
  });
  execFileSync(process.execPath, [join(folder, 'worker/build.mjs')], { stdio: 'pipe' });
}

async function measured(command) {
  const port = await freePort();
  const [file, ...args] = command(String(port));
  const begin = performance.now();
  const server = spawn(file, args, { stdio: 'ignore' });
  const post = async (body) => {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/classify`, { method: 'POST', body });
    await answer.json();
    if (answer.status !== 200) throw new Error(`${file}: ${answer.status}`);
  };
  await retried(() => post(photo));
  const start = performance.now() - begin;
  const times = [];
  for (let i = 0; i < 50; i++) {
    const at = performance.now();
    await post(photo);
    times.push(performance.now() - at);
  }
  const resident = memory(server.pid, 'VmRSS');
  if (jpeg) await post(jpeg);
  const peak = memory(server.pid, 'VmHWM');
  server.kill('SIGKILL');
  await once(server, 'close');
  return { start, warm: median(times), resident, peak };
}

async function retried(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // nobody listens yet
      await sleep(2);
    }
  }
}

function memory(pid, key) {
  return Number(new RegExp(`${key}:\\s*(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

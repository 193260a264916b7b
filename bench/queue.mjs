// `fqvit work` with three workers of one thread each: undisturbed, and with workers and Redis
// killed on the way. Needs redis-server.
//   npm run build && node bench/queue.mjs [--images 2400] [--job-size 20] [--kills 6] [--runs 3]
//     [--json]
// A disturbed run kills and replaces a worker every 1.5 seconds, `--kills` times, and kills Redis
// together with the second and fifth. Then its parts are compared with those of the undisturbed
// run, byte by byte.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { writePictures } from './png.mjs';
import { json, machine, option, random } from './support.mjs';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const WORKERS = 3;
const images = Number(option('images', 2400));
const kills = Number(option('kills', 6));

const folder = mkdtempSync(join(tmpdir(), 'fqvit-queue-'));
const port = await freePort();
const env = { ...process.env, REDIS_URL: `redis://127.0.0.1:${port}` };
let redis = await startRedis();
const rows = [];
try {
  writePictures(folder, images, () => 128 + 127 * random());
  const undisturbed = await run('undisturbed', 0);
  for (let i = 1; i <= Number(option('runs', 3)); i++) {
    const disturbed = await run(`disturbed ${i}`, kills);
    rows.at(-1)['same bytes'] = disturbed.equals(undisturbed);
  }
} finally {
  redis.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
if (json) console.log(JSON.stringify({ machine: machine(), images, rows }));
else {
  console.table(rows);
  console.log(machine());
}

/** The joined parts of a list. */
async function run(name, count) {
  const queue = name.replace(' ', '-');
  const output = join(folder, queue);
  mkdirSync(output);
  await ended(
    fqvit('enqueue', join(folder, 'pictures'), '--queue', queue, '--job-size', option('job-size', '20')),
  );
  const start = performance.now();
  const options = ['--queue', queue, '-o', output, '--drain', '--workers', '1', '--lock', '2'];
  const workers = Array.from({ length: WORKERS }, () => fqvit('work', ...options));
  for (let killed = 1; killed <= count; killed++) {
    await sleep(1500);
    const at = killed % WORKERS;
    workers[at].kill('SIGKILL');
    workers[at] = fqvit('work', ...options);
    if (killed !== 2 && killed !== 5) continue;
    redis.kill('SIGKILL');
    await once(redis, 'exit');
    await sleep(500);
    redis = await startRedis();
  }
  await Promise.all(workers.map(ended));
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  const parts = readdirSync(output).filter((part) => /-part-\d+\.jsonl$/.test(part));
  rows.push({ name, seconds, 'workers killed': count, parts: parts.length });
  return Buffer.concat(parts.sort().map((part) => readFileSync(join(output, part))));
}

function fqvit(...args) {
  return spawn(process.execPath, [MAIN, ...args], { env, stdio: 'ignore' });
}

async function ended(child) {
  const code = child.exitCode ?? (await once(child, 'exit'))[0];
  if (code !== 0) throw new Error(`${child.spawnargs.slice(2).join(' ')} ended with ${code}`);
}

async function startRedis() {
  const options = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
  const server = spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--dir', folder, ...options]);
  for await (const text of server.stdout) if (/Ready to accept/.test(text)) break;
  return server;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: free } = server.address();
  server.close();
  return String(free);
}

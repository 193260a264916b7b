// Pools and teams of threads, disposed of while busy: what stays open, and how long dispose() takes
// (Linux; also with `deno run -A` or `bun`):
//   npm run build && node bench/attacks/threads.mjs [--rounds 200] [--only CASE] [--json]
// All cases run in this process, one after the other. Descriptors, threads and memory are counted
// after a tenth of the rounds and after all of them. `--dist FOLDER` tests another build.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { json, machine, median, option, random } from '../support.mjs';

const ROUNDS = Number(option('rounds', '200'));
const here = (path) => new URL(`../../${path}`, import.meta.url);
const dist = pathToFileURL(`${option('dist', fileURLToPath(here('dist')))}/`);
const { load } = await import(new URL('index.js', dist));
const { createPool } = await import(new URL('pool/index.js', dist));

const model = readFileSync(here('models/deit_cifar10.safetensors'));
const files = ['420.jpg', 'lossy.webp'].map((name) => fileURLToPath(here(`test/image/fixtures/${name}`)));
const photos = files.map((file) => readFileSync(file));
const pixels = (side) => ({
  width: side,
  height: side,
  data: Uint8Array.from({ length: side * side * 3 }, () => 128 + 127 * random()),
});
const [small, large] = [pixels(32), pixels(1500)];
const four = [0, 1, 0, 1];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Milliseconds that dispose() takes, a while after the calls. */
const pool = (use) => async () => {
  const made = await createPool(model, { workers: 2 });
  const calls = use(made).map((call) => call.catch(() => {}));
  await pause(8 * Math.abs(random()));
  const start = performance.now();
  await made.dispose();
  const ms = performance.now() - start;
  await Promise.all(calls);
  return ms;
};
const team = (use) => async () => {
  const made = await load(model, { threads: 3 });
  const call = use(made).catch(() => {});
  const start = performance.now();
  made.dispose();
  const ms = performance.now() - start;
  await call;
  return ms;
};

const CASES = {
  'pool, idle': pool(() => []),
  'pool, small pictures': pool((made) => four.map(() => made.classify(small))),
  'pool, large pictures': pool((made) => four.map(() => made.classify(large))),
  'pool, photos': pool((made) => four.map((i) => made.classify(photos[i]))),
  'pool, files': pool((made) => four.map((i) => made.classify(files[i]))),
  'pool, limits': pool((made) => four.map(() => made.classify(large, { limitMs: 1 }))),
  'pool, aborted': pool((made) =>
    four.map((i) => made.classify(photos[i], { signal: AbortSignal.timeout(1) })),
  ),
  'team, idle': team(async () => {}),
  'team, busy': team((made) => made.classify(photos[0])),
};

const megabytes = () =>
  Math.round(Number(/VmRSS:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024);
const count = () => [readdirSync('/proc/self/fd').length, readdirSync('/proc/self/task').length, megabytes()];
/** A thread ends a moment after its last message, or a second after terminate(). */
async function settled(expected) {
  for (let waited = 0; waited < 2000 && count().some((value, i) => value > expected[i]); waited += 100) {
    await pause(100);
  }
  return count();
}

const rows = [];
for (const [name, round] of Object.entries(CASES)) {
  if (!name.startsWith(option('only', ''))) continue;
  for (let i = 0; i < ROUNDS / 10; i++) await round();
  await pause(100);
  const before = count();
  const times = [];
  for (let i = 0; i < ROUNDS; i++) times.push(await round());
  const after = await settled([before[0], before[1], Number.POSITIVE_INFINITY]);
  const [descriptors, threads, resident] = before.map((value, i) => [value, after[i]]);
  rows.push({ name, descriptors, threads, resident, median: median(times), longest: Math.max(...times) });
}

if (json) {
  console.log(JSON.stringify({ machine: machine(), rounds: ROUNDS, rows }));
} else {
  const change = ([before, after]) => `${before} → ${after}`;
  console.log(`${ROUNDS} rounds of each`, machine());
  console.table(
    rows.map((row) => ({
      case: row.name,
      descriptors: change(row.descriptors),
      threads: change(row.threads),
      'MB resident': change(row.resident),
      'dispose ms': +row.median.toFixed(1),
      longest: +row.longest.toFixed(1),
    })),
  );
}

// Measures one contender, alone in this process:
//   node bench/peers/run.mjs --peer ort-web-f32 --model FILE [--threads 1] [--runs 30]
//     [--warmup 5] [--warmup-ms 3000] [--image FILE] [--tier simd] [--cold]
// Prints one JSON document. The time excludes making the input (normalised floats, or pixels).
// --cold stops after the first answer.
import { existsSync, readFileSync } from 'node:fs';

const bare = process.memoryUsage().rss;
const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};

const started = performance.now();
const { PEERS } = await import('./contenders.mjs');
const peer = PEERS[option('peer')];
if (peer === undefined) throw new Error(`--peer: expected one of ${Object.keys(PEERS).join(', ')}`);
const cold = process.argv.includes('--cold');
const threads = Number(option('threads', 1));
const runs = cold ? 0 : Number(option('runs', 30));
const warmup = Number(option('warmup', 5));
const warmupMs = Number(option('warmup-ms', 3000));

const { create } = await import(`./runtimes/${peer.runtime}.mjs`);
const imported = performance.now();
const runner = await create(option('model'), { threads, tier: option('tier') });
const loaded = performance.now();
const { readPixels } = await import('./pixels.mjs');
const input = runner.prepare(await readPixels(option('image')));

const time = async () => {
  const start = performance.now();
  const logits = await runner.run(input);
  return { ms: performance.now() - start, logits };
};
const first = await time();
const times = [];
let warm = 1;
if (!cold) {
  // the engine optimises a large module in the background: warm up by count and by time
  const start = performance.now();
  for (; warm < warmup || performance.now() - start < warmupMs; warm++) await time();
  while (times.length < runs) times.push((await time()).ms);
}
times.sort((a, b) => a - b);

/** Peak resident memory, if the system reports it. */
function peak() {
  const status = '/proc/self/status';
  if (!existsSync(status)) return undefined;
  return 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync(status, 'utf8'))[1]);
}
const megabytes = (bytes) => +(bytes / 1e6).toFixed(1);
const { bun, node } = process.versions;
const deno = globalThis.Deno?.version.deno;
const engine = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}`;
const round = (ms) => (ms === undefined ? undefined : +ms.toFixed(2));
console.log(
  JSON.stringify({
    peer: option('peer'),
    version: runner.version,
    engine,
    tier: runner.tier,
    threads,
    importMs: round(imported - started),
    loadMs: round(loaded - imported),
    firstMs: round(first.ms),
    medianMs: round(times[Math.floor(times.length / 2)]),
    minMs: round(times[0]),
    runs: times.length,
    warmup: cold ? 0 : warm,
    bareMB: megabytes(bare),
    peakMB: megabytes(peak() ?? Number.NaN),
    rssMB: megabytes(process.memoryUsage().rss),
    top1: first.logits.indexOf(first.logits.reduce((a, b) => Math.max(a, b))),
  }),
);
process.exit(0); // thread pools would keep the process

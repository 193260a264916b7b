// fqvit against other runtimes on this machine. Each measurement is a fresh process; the contenders
// take turns, round by round. A figure is the median over the processes of the median in each.
// How to make the models: bench/peers/README.md.
//   npm run build && node bench/compare.mjs [--models bench/peers/models]
//     [--arch deit_tiny|deit_small|swin_tiny] [--rounds 5] [--runs 30] [--threads 1|2]
//     [--only "fqvit simd,litert-s8-static"] [--image FILE] [--node PATH] [--cold | --memory]
//     [--json]
// --cold    from the start of a process to its first answer (import, compile, load, one image), and
//           to its exit
// --memory  resident memory after the runs, minus that of the same process at its start
// --node    another engine for all of them: a Node, Deno or Bun binary
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CONTENDERS, PEERS } from './peers/contenders.mjs';
import { json, machine, median, option } from './support.mjs';

const models = option('models', fileURLToPath(new URL('peers/models', import.meta.url)));
const arch = option('arch', 'deit_tiny');
const threads = Number(option('threads', 1));
const rounds = Number(option('rounds', 5));
const cold = process.argv.includes('--cold');
const memory = process.argv.includes('--memory');
const runs = Number(option('runs', memory ? 10 : 30));
const image = option('image');
const engine = option('node', process.execPath);
const script = fileURLToPath(new URL('peers/run.mjs', import.meta.url));
const TIMEOUT = 600_000;

const names = option('only', Object.keys(CONTENDERS).join()).split(',');
const unknown = names.filter((name) => !(name in CONTENDERS));
if (unknown.length > 0) {
  throw new Error(
    `--only: expected some of ${Object.keys(CONTENDERS).join(', ')}; found ${unknown.join(', ')}`,
  );
}
const left = []; // who cannot take part, and why
const contenders = names.flatMap((name) => {
  const { peer, tier } = CONTENDERS[name];
  const { file, oneThread } = PEERS[peer];
  const model = join(models, `${arch}.${file}`);
  const refuse = (why) => {
    left.push({ name, why });
    return [];
  };
  if (oneThread && threads > 1) return refuse('it has one thread');
  if (!existsSync(model)) return refuse(`no ${arch}.${file} in ${models}`);
  return [{ name, peer, tier, model, results: [] }];
});
if (cold && contenders.some(({ peer }) => PEERS[peer].runtime === 'litert')) {
  (await import('./peers/runtimes/litert.mjs')).copyScripts();
}

const floor = [];
for (let round = cold ? -1 : 0; round < rounds; round++) {
  const turn = round % 2 === 0 ? contenders : contenders.toReversed();
  if (cold) record(floor, round, await process_(bareArguments()));
  for (const contender of turn) {
    if (contender.failed) continue;
    try {
      record(contender.results, round, await measure(contender));
    } catch (error) {
      contender.failed = true;
      left.push({ name: contender.name, why: error.message });
    }
  }
  if (!json) process.stderr.write(`round ${round + 1} of ${rounds} done\n`);
}
report();

/** The first round of a cold start only fills the file cache. */
function record(results, round, result) {
  if (round >= 0) results.push(result);
}

async function measure({ peer, tier, model }) {
  const flags = ['--peer', peer, '--model', model, '--threads', threads, '--runs', runs];
  if (tier) flags.push('--tier', tier);
  if (image) flags.push('--image', image);
  if (cold) flags.push('--cold');
  const { stdout, ...wall } = await process_([...runner(), script, ...flags.map(String)]);
  return { ...JSON.parse(stdout.slice(stdout.lastIndexOf('{"peer"'))), ...wall };
}

function runner() {
  return basename(engine) === 'deno' ? ['run', '--allow-all', '--no-lock'] : [];
}

function bareArguments() {
  return basename(engine) === 'deno' ? ['eval', '0'] : ['-e', '0'];
}

/** Runs a fresh process: its output, ms to the answer and ms to the exit. */
function process_(args) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(engine, args, { timeout: TIMEOUT });
    let stdout = '';
    let stderr = '';
    let answerMs;
    child.stdout.on('data', (data) => {
      stdout += data;
      if (stdout.includes('{"peer"')) answerMs ??= performance.now() - start;
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve({ stdout, answerMs, wallMs: performance.now() - start });
      else reject(new Error(/^\S*Error.*/m.exec(stderr)?.[0] ?? `exit code ${code}`));
    });
  });
}

function report() {
  const done = contenders.filter(({ results }) => results.length > 0);
  const rows = done.map(({ name, model, results }) => {
    const middle = (key) => median(results.map((result) => result[key]));
    const [{ version, top1 }] = results;
    return {
      name,
      version,
      ...(cold
        ? { answerMs: middle('answerMs'), wallMs: middle('wallMs') }
        : { medianMs: middle('medianMs'), minMs: Math.min(...results.map(({ minMs }) => minMs)) }),
      importMs: middle('importMs'),
      loadMs: middle('loadMs'),
      firstMs: middle('firstMs'),
      memoryMB: median(results.map(({ rssMB, bareMB }) => rssMB - bareMB)),
      peakMB: median(results.map(({ peakMB, bareMB }) => peakMB - bareMB)),
      fileMB: statSync(model).size / 1e6,
      top1,
      processes: results.length,
    };
  });
  const measured = cold ? 'answerMs' : memory ? 'memoryMB' : 'medianMs';
  const base = rows.find(({ name }) => name === names[0]); // where it failed there is no ratio
  for (const row of rows) row.ratio = base ? row[measured] / base[measured] : Number.NaN;
  const about = {
    ...machine(),
    version: undefined,
    engine: done[0]?.results[0].engine,
    arch,
    threads,
    rounds,
    ...(cold
      ? { bareProcessMs: median(floor.map(({ wallMs }) => wallMs)) }
      : { runs, warmup: '5 runs and 3 s at least' }),
  };
  if (json) {
    console.log(JSON.stringify({ about, measured, against: base?.name, rows, left }));
    return;
  }
  console.log(Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined)));
  const columns = cold
    ? ['answerMs', 'ratio', 'wallMs', 'importMs', 'loadMs', 'firstMs']
    : memory
      ? ['memoryMB', 'ratio', 'peakMB', 'fileMB']
      : ['medianMs', 'ratio', 'minMs', 'loadMs', 'firstMs', 'memoryMB', 'fileMB', 'top1'];
  const digits = { ratio: 2, top1: 0 };
  console.table(
    Object.fromEntries(
      rows.map((row) => [
        `${row.name} (${row.version})`,
        Object.fromEntries(columns.map((key) => [key, +row[key].toFixed(digits[key] ?? 1)])),
      ]),
    ),
  );
  console.log(`ratio: ${measured} of the row / ${measured} of ${names[0]}`);
  for (const { name, why } of left) console.log(`left out: ${name}: ${why}`);
}

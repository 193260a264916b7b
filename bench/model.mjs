// Whole models, one image at a time: every tier, number of threads and width of weights, and the float model beside them. Weights are
// generated (unit gain) and scales calibrated on noise: time, sizes and memory depend on neither. Or a model of your own.
//   npm run build && node bench/model.mjs [--only deit_tiny_patch16_224] [--tiers scalar,simd,relaxed] [--threads 2]
//     [--weight-bits 8,7,6,4] [--activation-bits 8] [--rounds 5] [--runs 15] [--seconds 3] [--batch 8] [--json]
//   node bench/model.mjs --model M.safetensors [--reference FLOAT.safetensors] ...
// Every measurement is a fresh process, the contenders in turn, round by round, back and forth: up to 3 warm-up images in up to 2
// seconds, then up to --runs images in up to --seconds; ms is the median over the processes of the median in each. `first/this` is
// the ratio of ms to the first row's. WebAssembly memory is planned at load and never grows, so it is the peak; resident memory is
// the peak of the process, loading included. All contenders of one model must give the same codes.
// --threads T  with 1, 2, ... T threads for each image
// --batch N    N images a run, ms of one: one after the other, each shared by the threads, against as many models of one thread in
//              workers, which run at once
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { timmArchitecture } from '../dist/checkpoint/timm-architectures.js';
import { load } from '../dist/index.js';
import { quantize, readFloatModel } from '../dist/quantize/index.js';
import { NARROW_BITS } from '../dist/runtime/tier.js';
import { floatCheckpoint, noise } from './generated.mjs';
import { tiers as runnable } from './kernels.mjs';
import { json, list, median, option, report } from './support.mjs';

const NAMES = [
  'deit_tiny_patch16_224',
  'deit_small_patch16_224',
  'deit_base_patch16_224',
  'vit_base_patch16_224',
  'swin_tiny_patch4_window7_224',
  'swin_small_patch4_window7_224',
  'swin_base_patch4_window7_224',
];
const SCRIPT = fileURLToPath(new URL('model/run.mjs', import.meta.url));

const tiers = list('tiers', runnable.join());
const mostThreads = Number(option('threads', 1));
const widths = list('weight-bits', '8,7,6,4').map(Number);
const activationBits = Number(option('activation-bits', 8));
const rounds = Number(option('rounds', 5));
const rule = {
  warmUp: { runs: 3, seconds: 2 },
  measured: { runs: Number(option('runs', 15)), seconds: Number(option('seconds', 3)) },
  batch: Number(option('batch', 1)),
};

const own = option('model');
const folder = mkdtempSync(join(tmpdir(), 'fqvit-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));

const rows = [];
for (const name of own ? [own] : list('only', NAMES.join())) {
  rows.push(...measure(own ? await ownModel() : await generatedModel(name)));
}
report('model', { weights: own ? 'own' : 'generated', rounds, ...rule }, rows);

/** Files of an architecture: the float checkpoint, and an integer one of each width. */
async function generatedModel(name) {
  const known = timmArchitecture(name);
  const checkpoint = floatCheckpoint(known);
  const images = [noise(known.imageSize), noise(known.imageSize)];
  const save = (suffix, bytes) => {
    const file = join(folder, `${name}.${suffix}.safetensors`);
    writeFileSync(file, bytes);
    return file;
  };
  const integers = [];
  for (const weightBits of widths) {
    const { bytes } = await quantize(checkpoint, images, { arch: name, weightBits, activationBits });
    integers.push({ weightBits, file: save(`w${weightBits}`, bytes) });
  }
  const float = { file: save('float', checkpoint), arch: name };
  return { name, float, integers };
}

async function ownModel() {
  const model = await load(own);
  const { architecture, recipe } = model.info;
  model.dispose();
  const reference = option('reference');
  return {
    name: architecture.name,
    ...(reference ? { float: { file: reference, arch: option('arch') } } : {}),
    integers: [{ weightBits: recipe.weightBits, file: own }],
  };
}

function measure({ name, float, integers }) {
  const contenders = [
    ...(float ? [{ way: 'float', tier: 'float', threads: 1, weightBits: 32, ...float }] : []),
    ...integers.flatMap((integer) => tiers.flatMap((tier) => ways(integer, tier))),
  ].map((contender) => ({ ...contender, results: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const { results, ...contender } of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const flags = [...process.execArgv, SCRIPT, JSON.stringify({ ...contender, ...rule })];
      results.push(JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8' })));
    }
    if (!json) process.stderr.write(`${name}: round ${round + 1} of ${rounds} done\n`);
  }
  for (const { file } of integers) expectOneAnswer(contenders.filter((contender) => contender.file === file));
  return rowsOf(name, contenders);
}

/** What there is to measure of a checkpoint on a tier. */
function ways({ weightBits, file }, tier) {
  if (tier === 'relaxed' && weightBits > NARROW_BITS) return []; // the same instructions as simd
  const counts = Array.from({ length: tier === 'scalar' ? 1 : mostThreads }, (_, i) => i + 1);
  return counts.flatMap((threads) => {
    const contender = { file, tier, threads, weightBits };
    const shared = { way: 'threads', ...contender };
    return rule.batch > 1 && threads > 1 ? [shared, { way: 'models', ...contender }] : [shared];
  });
}

function expectOneAnswer(contenders) {
  const answers = new Set(contenders.flatMap(({ results }) => results.map(({ answer }) => answer)));
  if (answers.size > 1) throw new Error(`${contenders[0].file}: expected one answer, found ${answers.size}`);
}

function rowsOf(name, contenders) {
  const middle = ({ results }, key) => median(results.map((result) => result[key]));
  const first = middle(contenders[0], 'medianMs');
  const { way, file, arch } = contenders[0];
  const parameters = way === 'float' ? { parametersM: parametersOf(file, arch) / 1e6 } : {};
  return contenders.map((contender) => ({
    model: name,
    way: contender.way,
    tier: contender.tier,
    threads: contender.threads,
    weightBits: contender.weightBits,
    ...parameters,
    fileMB: statSync(contender.file).size / 1e6,
    loadMs: middle(contender, 'loadMs'),
    ms: middle(contender, 'medianMs'),
    minMs: Math.min(...contender.results.map(({ minMs }) => minMs)),
    'first/this': first / middle(contender, 'medianMs'),
    wasmMB: middle(contender, 'wasmBytes') / 1e6,
    residentMB: middle(contender, 'residentBytes') / 1e6,
  }));
}

function parametersOf(file, arch) {
  const { tensors } = readFloatModel(new Uint8Array(readFileSync(file)), { file, arch });
  return [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
}

// Whole models, one image at a time: every tier, number of threads and width of weights, next to the
// float model. Weights are generated, and scales calibrated on noise: time, size and memory depend
// on neither. Or a model of your own.
//   npm run build && node bench/model.mjs [--only deit_tiny_patch16_224]
//     [--tiers scalar,simd,relaxed] [--threads 2] [--weight-bits 8,7,6,4] [--activation-bits 8]
//     [--rounds 5] [--seconds 2] [--batch 8] [--json]
//   node bench/model.mjs --model M.safetensors [--reference FLOAT.safetensors] ...
// Each measurement is a fresh process; the contenders take turns, round by round, back and forth.
// A process warms up for half of --seconds, then measures for --seconds. `ms` is the median over the
// processes of the median in each. `first/this` is the ratio to the first row, the median over the
// rounds, and `spread` its least and greatest value. WebAssembly memory is planned at load and never
// grows; resident memory is the peak of the process. All contenders of one model must give the same
// codes. `fqvit bench` measures one model in the same way.
// --threads T  with 1, 2, ... T threads for each image
// --batch N    N images per run, ms per image: one after the other, each shared by the threads,
//              next to as many models of one thread in workers
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { noise } from '../dist/bench/generated.js';
import { median } from '../dist/bench/measure.js';
import { inFreshProcess, speedUp, takeTurns } from '../dist/bench/turns.js';
import { timmArchitecture } from '../dist/checkpoint/timm-architectures.js';
import { load } from '../dist/index.js';
import { quantize, readFloatModel } from '../dist/quantize/index.js';
import { NARROW_BITS } from '../dist/runtime/tier.js';
import { floatCheckpoint } from './generated.mjs';
import { tiers as runnable } from './kernels.mjs';
import { json, list, option, report } from './support.mjs';

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
const measuredMs = 1000 * Number(option('seconds', 2));
const rule = { warmUpMs: measuredMs / 2, measuredMs };
const batch = Number(option('batch', 1));

const own = option('model');
const folder = mkdtempSync(join(tmpdir(), 'fqvit-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));

const rows = [];
for (const name of own ? [own] : list('only', NAMES.join())) {
  rows.push(...(await measure(own ? await ownModel() : await generatedModel(name))));
}
report('model', { weights: own ? 'own' : 'generated', rounds, batch, ...rule }, rows);

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

async function measure({ name, float, integers }) {
  const contenders = [
    ...(float ? [{ way: 'float', tier: 'float', threads: 1, weightBits: 32, ...float }] : []),
    ...integers.flatMap((integer) => tiers.flatMap((tier) => ways(integer, tier))),
  ];
  const run = (contender) => inFreshProcess(SCRIPT, { ...contender, rule, batch });
  const turns = await takeTurns(contenders, rounds, run, (done, total) => {
    if (!json && done % contenders.length === 0)
      process.stderr.write(`${name}: ${done} of ${total} processes done\n`);
  });
  for (const { file } of integers) expectOneAnswer(turns.filter((one) => one.contender.file === file));
  return rowsOf(name, turns);
}

/** What there is to measure of a checkpoint on a tier. */
function ways({ weightBits, file }, tier) {
  if (tier === 'relaxed' && weightBits > NARROW_BITS) return []; // the same instructions as simd
  const counts = Array.from({ length: tier === 'scalar' ? 1 : mostThreads }, (_, i) => i + 1);
  return counts.flatMap((threads) => {
    const contender = { file, tier, threads, weightBits };
    const shared = { way: 'threads', ...contender };
    return batch > 1 && threads > 1 ? [shared, { way: 'models', ...contender }] : [shared];
  });
}

function expectOneAnswer(turns) {
  const answers = new Set(turns.flatMap(({ rounds }) => rounds.map(({ digest }) => digest)));
  if (answers.size > 1) {
    throw new Error(`${turns[0].contender.file}: expected one answer, found ${answers.size}`);
  }
}

function rowsOf(name, turns) {
  const [first] = turns;
  const { way, file, arch } = first.contender;
  const parameters = way === 'float' ? { parametersM: parametersOf(file, arch) / 1e6 } : {};
  return turns.map((one) => {
    const { contender, rounds } = one;
    const middle = (key) => median(rounds.map((round) => round[key]));
    const ratio = speedUp(first, one);
    return {
      model: name,
      way: contender.way,
      tier: contender.tier,
      threads: contender.threads,
      weightBits: contender.weightBits,
      ...parameters,
      fileMB: statSync(contender.file).size / 1e6,
      loadMs: middle('loadMs'),
      ms: middle('medianMs'),
      minMs: Math.min(...rounds.map(({ minMs }) => minMs)),
      'first/this': ratio.median,
      spread: `${ratio.least.toFixed(2)}-${ratio.greatest.toFixed(2)}`,
      wasmMB: middle('wasmBytes') / 1e6,
      residentMB: middle('residentBytes') / 1e6,
    };
  });
}

function parametersOf(file, arch) {
  const { tensors } = readFloatModel(new Uint8Array(readFileSync(file)), { file, arch });
  return [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
}

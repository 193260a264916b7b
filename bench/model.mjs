// Whole models, one image at a time: every tier, number of threads and width of weights, next to
// the float model. Weights are generated, and scales calibrated on noise: time, size and memory
// depend on neither. Or a model of your own; without --reference, its float weights are generated.
//   npm run build && node bench/model.mjs [--only deit_tiny_patch16_224]
//     [--tiers scalar,simd,relaxed] [--threads 2] [--weight-bits 8,7,6,4] [--activation-bits 8]
//     [--rounds 5] [--seconds 1] [--batch 8] [--json]
//   node bench/model.mjs --model M.safetensors [--reference FLOAT.safetensors] [--arch NAME] ...
// Each measurement is a fresh process; the contenders take turns, round by round, back and forth.
// A process warms up for --seconds, then measures for --seconds. `ms` is the median over the
// processes of the median in each. `first/this` is the ratio to the first row, the median over the
// rounds, and `spread` its least and greatest value. WebAssembly memory is planned at load and
// never grows; resident memory is the peak of the process. All contenders of one model must give
// the same codes. `fqvit bench` measures one model with the same code.
// --threads T  with 1, 2, ... T threads for each image
// --batch N    N images per run, ms per image: one after the other, each shared by the threads,
//              next to as many models of one thread in workers
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { timmArchitecture } from '../dist/architecture/timm-architectures.js';
import { writeFloatFile } from '../dist/bench/float-file.js';
import { generatedModel } from '../dist/bench/generated.js';
import { median, ruleOf } from '../dist/bench/measure.js';
import { commonDigest, inFreshProcess, speedUp, takeTurns } from '../dist/bench/turns.js';
import { readIntegerModel } from '../dist/checkpoint/integer/model.js';
import { findBundled } from '../dist/model/bundled.js';
import { quantize, readFloatModel } from '../dist/quantize/index.js';
import { NARROW_BITS } from '../dist/runtime/tier.js';
import { floatCheckpoint, noisePicture } from './generated.mjs';
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
const ONE_MODEL = new URL('../dist/bench/child.js', import.meta.url);
const SEVERAL_MODELS = new URL('model/run.mjs', import.meta.url);

const tiers = list('tiers', runnable.join());
const mostThreads = Number(option('threads', 1));
const widths = list('weight-bits', '8,7,6,4').map(Number);
const activationBits = Number(option('activation-bits', 8));
const rounds = Number(option('rounds', 5));
const rule = ruleOf(1000 * Number(option('seconds', 1)));
const batch = Number(option('batch', 1));

const own = option('model');
const folder = mkdtempSync(join(tmpdir(), 'fqvit-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));

const rows = [];
for (const name of own ? [own] : list('only', NAMES.join())) {
  rows.push(...(await measure(own ? ownModel() : await timmModel(name))));
}
report('model', { weights: own ? 'own' : 'generated', rounds, batch, ...rule }, rows);

function save(name, bytes) {
  const file = join(folder, `${name}.safetensors`);
  writeFileSync(file, bytes);
  return file;
}

/** Generated weights of an architecture: the float model, and an integer one of each width. */
async function timmModel(name) {
  const checkpoint = floatCheckpoint(timmArchitecture(name));
  const float = readFloatModel(checkpoint, { arch: name });
  const { imageSize } = float.architecture;
  const images = [noisePicture(imageSize), noisePicture(imageSize)];
  const integers = [];
  for (const weightBits of widths) {
    const { bytes } = await quantize(checkpoint, images, { arch: name, weightBits, activationBits });
    integers.push({ weightBits, file: save(`${name}.w${weightBits}`, bytes) });
  }
  return { name, float, integers };
}

function ownModel() {
  const file = findBundled(own) ?? own;
  const { architecture, preprocessing, recipe } = readIntegerModel(readFileSync(file), { file });
  const reference = option('reference');
  const float = reference
    ? readFloatModel(readFileSync(reference), { file: reference, arch: option('arch') })
    : generatedModel(architecture, preprocessing);
  return { name: architecture.name, float, integers: [{ weightBits: recipe.weightBits, file }] };
}

async function measure({ name, float, integers }) {
  const floatFile = save(`${name}.float`, writeFloatFile(float));
  const contenders = [
    { kind: 'float', tier: 'float', threads: 1, weightBits: 32, file: floatFile },
    ...integers.flatMap((integer) => tiers.flatMap((tier) => ways(integer, tier))),
  ];
  const run = (contender) =>
    inFreshProcess(contender.kind === 'models' ? SEVERAL_MODELS : ONE_MODEL, { ...contender, rule, batch });
  const turns = await takeTurns(contenders, rounds, run, (done, total) => {
    if (!json && done % contenders.length === 0)
      process.stderr.write(`${name}: ${done} of ${total} processes done\n`);
  });
  for (const { file } of integers) {
    const nameOf = ({ kind, tier, threads }) => `${kind} ${tier} ${threads}`;
    commonDigest(
      turns.filter(({ contender }) => contender.file === file),
      nameOf,
    );
  }
  return rowsOf(name, turns, parametersOf(float));
}

/** The measurements of a checkpoint on a tier. */
function ways({ weightBits, file }, tier) {
  if (tier === 'relaxed' && weightBits > NARROW_BITS) return []; // the same instructions as simd
  const counts = Array.from({ length: tier === 'scalar' ? 1 : mostThreads }, (_, i) => i + 1);
  return counts.flatMap((threads) => {
    const contender = { file, tier, threads, weightBits };
    const shared = { kind: 'integer', ...contender };
    return batch > 1 && threads > 1 ? [shared, { kind: 'models', ...contender }] : [shared];
  });
}

function rowsOf(name, turns, parameters) {
  const [first] = turns;
  return turns.map((one) => {
    const { contender, rounds } = one;
    const middle = (key) => median(rounds.map((round) => round[key]));
    const ratio = speedUp(first, one);
    return {
      model: name,
      kind: contender.kind,
      tier: contender.tier,
      threads: contender.threads,
      weightBits: contender.weightBits,
      parametersM: parameters / 1e6,
      fileMB: statSync(contender.file).size / 1e6,
      loadMs: middle('loadMs'),
      ms: middle('medianMs'),
      minMs: Math.min(...rounds.map(({ minMs }) => minMs)),
      'first/this': ratio.median,
      spread: `${ratio.least.toPrecision(3)}-${ratio.greatest.toPrecision(3)}`,
      wasmMB: middle('wasmBytes') / 1e6,
      residentMB: middle('residentBytes') / 1e6,
    };
  });
}

function parametersOf({ tensors }) {
  return [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
}

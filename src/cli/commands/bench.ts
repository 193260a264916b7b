import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Contender } from '../../bench/contender.js';
import { writeFloatFile } from '../../bench/float-file.js';
import { generatedModel } from '../../bench/generated.js';
import { machine } from '../../bench/machine.js';
import { type Measurement, median, type Rule, ruleOf } from '../../bench/measure.js';
import { commonDigest, inFreshProcess, speedUp, type Turns, takeTurns } from '../../bench/turns.js';
import { type IntegerModel, readIntegerModel } from '../../checkpoint/integer/model.js';
import { narrowestWeights } from '../../checkpoint/integer/program.js';
import { CheckpointError, FqvitError, RuntimeError, UsageError } from '../../errors.js';
import { BUNDLED_MODELS, DEFAULT_MODEL } from '../../model/bundled.js';
import { networkOf } from '../../networks/index.js';
import { shownSource } from '../../platform/address.js';
import { systemReason } from '../../platform/system-reason.js';
import type { FloatModel } from '../../quantize/index.js';
import { expectSameLayers } from '../../quantize/same-layers.js';
import type { Tier } from '../../runtime/kernels.js';
import { availableThreads } from '../../runtime/threads.js';
import { chooseTier, NARROW_BITS, namedTier } from '../../runtime/tier.js';
import { describeCommand } from '../command.js';
import { columns, escapeControls, formatBytes, plural } from '../format.js';
import { readCheckpoint } from '../image-command.js';
import { startProgress } from '../progress.js';
import { describeMethod } from '../recipe.js';
import { readReference } from '../reference.js';
import { print, printJson, warn } from '../report.js';
import { integerOption, THREADS_OPTION, threadsOption } from '../values.js';
import { version } from '../version.js';

const CHILD = new URL('../../bench/child.js', import.meta.url);
const TIERS: readonly Tier[] = ['relaxed', 'simd', 'scalar'];

export default describeCommand({
  name: 'bench',
  summary: 'measure the speed of integer and float models on this machine',
  usage: '[MODEL] [OPTIONS]',
  args: {
    model: {
      type: 'positional',
      required: false,
      description: `Integer checkpoint: a file, a URL, a Hugging Face id or a bundled model: ${BUNDLED_MODELS.join(' or ')} (default: ${DEFAULT_MODEL})`,
    },
    reference: {
      type: 'string',
      valueHint: 'FLOAT',
      description:
        'Float checkpoint to compare with: the source of MODEL (default: generated weights of the same architecture, which take the same time)',
    },
    weights: {
      type: 'string',
      valueHint: 'NAME',
      description: 'Which model, if FLOAT holds several',
    },
    threads: { ...THREADS_OPTION, description: 'Also measure 2 to N threads that share each image' },
    rounds: {
      type: 'string',
      valueHint: 'N',
      default: '5',
      description: 'Processes per contender; they take turns',
    },
    ms: {
      type: 'string',
      valueHint: 'N',
      default: '1000',
      description: 'Milliseconds that each process measures, after as many of warm-up',
    },
    markdown: { type: 'boolean', description: 'Print a row for the table in docs/performance.md' },
    json: {
      type: 'boolean',
      description:
        'Print JSON: {machine, model, tier, threads, integer: {medianMs, minMs, runs}, float: {weights, …}, speedUp: {median, least, greatest}, digest, contenders}; tier, threads and integer are those that `load` chooses',
    },
  },
  examples: [
    'fqvit bench',
    'fqvit bench swin_cifar10 --threads 2',
    'fqvit bench m.safetensors --reference deit_tiny.safetensors',
    'fqvit bench m.safetensors --markdown   # to share',
    'fqvit bench --json > bench.json',
  ],
  async run({ model: named, reference, weights, threads: threadsText, rounds, ms, markdown, json }) {
    const threads = availableThreads(threadsOption(threadsText));
    const count = integerOption('rounds', rounds, 1, 1000);
    const rule = ruleOf(integerOption('ms', ms, 1, 3_600_000));
    if (weights !== undefined && reference === undefined) {
      throw new UsageError('OPTION', '--weights: expected --reference with it, found none');
    }
    if (markdown && json) {
      throw new UsageError('OPTION', '--markdown: expected it without --json, found both');
    }
    const { bytes, source } = await readCheckpoint(named);
    const model = readIntegerModel(bytes, { file: source });
    const float = await floatModel(model, source, reference, weights);
    const tiers = await tiersFor(model);
    const { tier } = await chooseTier(narrowestWeights(model), threads > 1);
    const { load, cores } = machine();
    if (load.before > cores / 2) {
      const found = `load ${load.before.toFixed(1)}, ${plural(cores, 'core')}`;
      warn(`the machine is busy (${found}): times are longer, and ratios vary more: see their spread`);
    }

    const folder = temporary(() => mkdtempSync(join(tmpdir(), 'fqvit-bench-')));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const save = (name: string, content: Uint8Array): string => {
      const file = join(folder, name);
      temporary(() => writeFileSync(file, content));
      return file;
    };
    const contenders: Contender[] = [
      { kind: 'float', file: save('float.safetensors', writeFloatFile(float)) },
      ...integerContenders(save('integer.safetensors', bytes), tiers, threads),
    ];
    const turns = await measureAll(contenders, count, rule);
    const report = { model, source, reference, rule, ...reportOf(turns, tier, threads) };
    if (json) printJson(documentOf(report));
    else if (markdown) print(markdownRow(report));
    else printReport(report);
  },
});

/** @throws FqvitError `OUTPUT` if there is no room for temporary files */
function temporary<T>(write: () => T): T {
  try {
    return write();
  } catch (cause) {
    throw new FqvitError(
      'OUTPUT',
      `${tmpdir()}: expected a folder with room for the models, found ${systemReason(cause)}`,
      { cause },
    );
  }
}

/**
 * @throws CheckpointError `CHECKPOINT_ARCHITECTURE` for a reference of other sizes; like
 *   `readReference`
 */
async function floatModel(
  model: IntegerModel,
  source: string,
  reference: string | undefined,
  weights: string | undefined,
): Promise<FloatModel> {
  if (reference === undefined) {
    // generated weights take the same time only if the float model has the same layers
    expectSameLayers(networkOf(model.architecture, true), model.program, (message) => {
      throw new CheckpointError(
        'CHECKPOINT_ARCHITECTURE',
        `${source}: expected the layers of its architecture, ${message}; choose a float model with --reference`,
      );
    });
    return generatedModel(model.architecture, model.preprocessing);
  }
  const float = await readReference(reference, weights, model);
  const { layerNormEps: _, ...found } = float.architecture;
  const sizes = { ...found, ...model.architecture };
  for (const key of Object.keys(sizes) as (keyof typeof sizes)[]) {
    const [expected, value] = [model.architecture[key], found[key]].map((size) => JSON.stringify(size));
    if (key === 'name' || value === expected) continue;
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${shownSource(reference)}: ${key}: expected ${expected}, as the integer model has, found ${value}`,
    );
  }
  return float;
}

/** The tiers that this engine computes, and computes correctly. */
async function tiersFor(model: IntegerModel): Promise<Tier[]> {
  const tiers: Tier[] = [];
  for (const tier of TIERS) {
    // for wider weights, the relaxed tier runs the instructions of simd
    if (tier === 'relaxed' && narrowestWeights(model) > NARROW_BITS) continue;
    if (await runs(tier)) tiers.push(tier);
  }
  return tiers;
}

async function runs(tier: Tier): Promise<boolean> {
  try {
    await namedTier(tier, false);
    return true;
  } catch (error) {
    if (error instanceof RuntimeError && error.code !== 'WASM_MISSING') return false;
    throw error;
  }
}

function integerContenders(file: string, tiers: readonly Tier[], threads: number): Contender[] {
  return tiers.flatMap((tier) =>
    Array.from({ length: tier === 'scalar' ? 1 : threads }, (_, i): Contender => {
      return { kind: 'integer', file, tier, threads: i + 1 };
    }),
  );
}

async function measureAll(
  contenders: readonly Contender[],
  rounds: number,
  rule: Rule,
): Promise<Turns<Contender>[]> {
  const total = rounds * contenders.length;
  const progress = startProgress('measuring', total, { unit: 'measurement' });
  try {
    const one = (contender: Contender) => inFreshProcess(CHILD, { ...contender, rule });
    return await takeTurns(contenders, rounds, one, progress.update);
  } finally {
    progress.stop();
  }
}

/** @throws RuntimeError `TIER` if the integer contenders' codes differ */
function reportOf(turns: readonly Turns<Contender>[], tier: Tier, threads: number) {
  const rows = turns.map((one) => rowOf(one, turns[0]!));
  const integers = turns.filter(({ contender }) => contender.kind === 'integer');
  return {
    machine: { ...machine(), fqvit: version() },
    rounds: turns[0]!.rounds.length,
    digest: commonDigest(integers, nameOf),
    float: rows[0]!,
    /** What `load` chooses. */
    chosen: rows.find((row) => row.tier === tier && row.threads === (tier === 'scalar' ? 1 : threads))!,
    rows,
  };
}

function nameOf(contender: Contender): string {
  if (contender.kind === 'float') return 'float32';
  return `integer, ${contender.tier}${contender.threads > 1 ? `, ${contender.threads} threads` : ''}`;
}

function rowOf(one: Turns<Contender>, first: Turns<Contender>) {
  const { contender, rounds } = one;
  const middle = (key: Exclude<keyof Measurement, 'digests'>) => median(rounds.map((round) => round[key]));
  const isInteger = contender.kind === 'integer';
  return {
    name: nameOf(contender),
    kind: contender.kind,
    tier: isInteger ? contender.tier : 'float',
    threads: isInteger ? contender.threads : 1,
    medianMs: middle('medianMs'),
    minMs: Math.min(...rounds.map(({ minMs }) => minMs)),
    runs: rounds.reduce((sum, { runs }) => sum + runs, 0),
    speedUp: speedUp(first, one),
    loadMs: middle('loadMs'),
    firstMs: middle('firstMs'),
    wasmBytes: middle('wasmBytes'),
    residentBytes: middle('residentBytes'),
  };
}

type BenchRow = ReturnType<typeof rowOf>;

interface BenchReport extends ReturnType<typeof reportOf> {
  readonly model: IntegerModel;
  readonly source: string;
  readonly reference: string | undefined;
  readonly rule: Rule;
}

/** For `--json`. */
function documentOf(report: BenchReport) {
  const { machine, model, source, reference, chosen, float, rounds, rule, digest, rows } = report;
  const { method, weightBits, activationBits } = model.recipe;
  const times = ({ medianMs, minMs, runs }: BenchRow) => ({ medianMs, minMs, runs });
  return {
    machine,
    model: { source, name: model.architecture.name, method, weightBits, activationBits },
    tier: chosen.tier,
    threads: chosen.threads,
    integer: times(chosen),
    float: { weights: reference === undefined ? 'generated' : shownSource(reference), ...times(float) },
    speedUp: chosen.speedUp,
    digest,
    rounds,
    ...rule,
    contenders: rows.map(({ name: _, ...row }) => row),
  };
}

function printReport({
  machine: m,
  model,
  source,
  reference,
  rounds,
  rule,
  digest,
  chosen,
  rows,
}: BenchReport) {
  const { cpu, cores, platform, arch, engine, version: engineVersion, load } = m;
  print(escapeControls(`${source}: ${model.architecture.name}, ${describeMethod(model.recipe)}`));
  print(escapeControls(`${cpu}, ${plural(cores, 'core')}, ${platform} ${arch}; ${engine} ${engineVersion}`));
  const [before, after] = [load.before, load.after].map((value) => value.toFixed(1));
  print(`fqvit ${m.fqvit}; load average ${before} before, ${after} after\n`);
  const header = ['', 'ms/image', 'speed-up', 'spread', 'WebAssembly', 'process', 'first answer'];
  const cells = rows.map((row) => [
    row.kind === 'float' && reference === undefined ? `${row.name}, generated weights` : row.name,
    threeFigures(row.medianMs),
    threeFigures(row.speedUp.median),
    spreadOf(row),
    formatBytes(row.wasmBytes),
    formatBytes(row.residentBytes),
    `${Math.round(row.firstMs)} ms`,
  ]);
  for (const line of columns([header, ...cells], [1, 2, 3, 4, 5, 6])) print(line);
  print('');
  const processes = `${rounds} ${rounds === 1 ? 'process' : 'processes'} each, in turn`;
  const [warmUp, measured] = [rule.warmUpMs, rule.measuredMs].map((ms) => `${ms / 1000} s`);
  for (const line of columns([
    ['speed-up', 'how many times as fast as float32: the median over the rounds, and its spread'],
    ...(reference === undefined ? [] : [['float weights', escapeControls(shownSource(reference))]]),
    ['load chooses', chosen.name],
    ['measured', `${processes}; ${warmUp} to warm up, then ${measured}`],
    ['codes', `the same in every integer row; SHA-256 ${digest}`],
  ]))
    print(line);
}

/** A row for docs/performance.md. */
function markdownRow({ machine: m, model, reference, float, chosen }: BenchReport): string {
  const { name, weightBits, activationBits } = { ...model.architecture, ...model.recipe };
  const cells = [
    `${m.cpu}, ${plural(m.cores, 'core')}; ${m.engine} ${m.version}`,
    `${name} W${weightBits}A${activationBits}`,
    `${threeFigures(float.medianMs)}${reference === undefined ? ' (generated weights)' : ''}`,
    `${threeFigures(chosen.medianMs)} (${chosen.tier}, ${plural(chosen.threads, 'thread')})`,
    `${threeFigures(chosen.speedUp.median)} (${spreadOf(chosen)})`,
  ];
  return `| ${cells.map((cell) => escapeControls(cell).replaceAll('|', '\\|')).join(' | ')} |`;
}

function spreadOf({ speedUp: { least, greatest } }: BenchRow): string {
  return `${threeFigures(least)}-${threeFigures(greatest)}`;
}

/** Three significant digits, without an exponent. */
const threeFigures = (value: number): string =>
  value < 1000 ? value.toPrecision(3) : String(Math.round(value));

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Measurement, median, type Rule } from '../../bench/measure.js';
import { inFreshProcess, speedUp, type Turns, takeTurns } from '../../bench/turns.js';
import { type IntegerModel, readIntegerModel } from '../../checkpoint/integer-model.js';
import { CheckpointError, RuntimeError, UsageError } from '../../errors.js';
import { BUNDLED_MODELS, DEFAULT_MODEL } from '../../models/bundled.js';
import { shownSource } from '../../platform/address.js';
import type { FloatModel } from '../../quantize/index.js';
import type { Tier } from '../../runtime/kernels.js';
import { availableThreads } from '../../runtime/threads.js';
import { chooseTier, NARROW_BITS, namedTier } from '../../runtime/tier.js';
import type { Contender, FloatContender } from '../bench-child.js';
import { describeCommand } from '../command.js';
import { columns, formatBytes, plain, plural } from '../format.js';
import { readCheckpoint } from '../image-command.js';
import { startProgress } from '../progress.js';
import { describeMethod } from '../recipe.js';
import { readReference } from '../reference.js';
import { print, printJson, warn } from '../report.js';
import { integerOption, shown, THREADS_OPTION, threadsOption } from '../values.js';
import { version } from '../version.js';

const CHILD = fileURLToPath(new URL('../bench-child.js', import.meta.url));
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
      description: 'Milliseconds that each process measures, after half as many of warm-up',
    },
    markdown: { type: 'boolean', description: 'Print a row for the table in docs/performance.md' },
    json: {
      type: 'boolean',
      description:
        'Print JSON: {machine, model, tier, threads, integer: {medianMs, minMs, runs}, float: {…}, speedUp, digest, contenders}',
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
    const measuredMs = integerOption('ms', ms, 1, 3_600_000);
    const rule: Rule = { warmUpMs: measuredMs / 2, measuredMs };
    if (weights !== undefined && reference === undefined) {
      throw new UsageError('OPTION', '--weights: expected --reference with it, found none');
    }
    if (markdown && json) {
      throw new UsageError('OPTION', '--markdown: expected it without --json, found both');
    }
    const { bytes, source } = await readCheckpoint(named);
    const model = readIntegerModel(bytes, { file: source });
    if (reference !== undefined) expectSame(model, await readReference(reference, weights, model), reference);

    const folder = mkdtempSync(join(tmpdir(), 'fqvit-bench-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'model.safetensors');
    writeFileSync(file, bytes);
    const float: FloatContender = { kind: 'float', file, reference, weights };
    const contenders: Contender[] = [float, ...(await integerContenders(file, model, threads))];

    const before = loadavg()[0]!;
    if (before > 0.5 * cpus().length) {
      warn(`the machine is busy (load ${before.toFixed(1)}): times are longer, and ratios less certain`);
    }
    const progress = startProgress('measuring', count * contenders.length, { unit: 'measurement' });
    let turns: Turns<Contender>[];
    try {
      turns = await takeTurns(
        contenders,
        count,
        (contender) => inFreshProcess(CHILD, { ...contender, rule }),
        progress.update,
      );
    } finally {
      progress.stop();
    }
    const { tier } = await chooseTier(model.recipe.weightBits, threads > 1);
    const report = reportOf({
      machine: machine(before),
      source,
      model,
      reference,
      tier,
      threads,
      rule,
      turns,
    });
    if (json) {
      const { recipe: _, ...document } = report;
      const [float, integer] = [report.contenders[0]!, chosen(report)];
      return printJson({ ...document, integer: summaryOf(integer), float: summaryOf(float) });
    }
    if (markdown) return print(markdownRow(report));
    printReport(report);
  },
});

function reportOf({
  machine,
  source,
  model: { architecture, recipe },
  reference,
  tier,
  threads,
  rule,
  turns,
}: {
  machine: Machine;
  source: string;
  model: IntegerModel;
  reference: string | undefined;
  tier: Tier;
  threads: number;
  rule: Rule;
  turns: readonly Turns<Contender>[];
}) {
  const { weightBits, activationBits, method } = recipe;
  return {
    machine,
    model: { source, name: architecture.name, method, weightBits, activationBits },
    recipe,
    ...(reference === undefined ? {} : { reference }),
    tier,
    threads,
    rounds: turns[0]!.rounds.length,
    rule,
    digest: commonDigest(turns),
    contenders: turns.map((one) => rowOf(one, turns[0]!)),
  };
}

const summaryOf = ({ medianMs, minMs, runs }: Row) => ({ medianMs, minMs, runs });

type Machine = ReturnType<typeof machine>;
type Report = ReturnType<typeof reportOf>;
type Row = ReturnType<typeof rowOf>;

/** Every tier that the engine has, and every number of threads. */
async function integerContenders(
  file: string,
  { recipe }: IntegerModel,
  threads: number,
): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const tier of TIERS) {
    // with wider weights it runs the instructions of simd
    if (tier === 'relaxed' && recipe.weightBits > NARROW_BITS) continue;
    if (!(await runs(tier))) continue;
    const most = tier === 'scalar' ? 1 : threads;
    for (let n = 1; n <= most; n++) contenders.push({ kind: 'integer', file, tier, threads: n });
  }
  return contenders;
}

/** Whether the engine computes a tier, and correctly. */
async function runs(tier: Tier): Promise<boolean> {
  try {
    await namedTier(tier, false);
    return true;
  } catch (error) {
    if (error instanceof RuntimeError) return false;
    throw error;
  }
}

/** @throws RuntimeError `TIER` if the contenders' codes differ */
function commonDigest(turns: readonly Turns<Contender>[]): string {
  const integers = turns.filter(({ contender }) => contender.kind === 'integer');
  const digests = new Set(integers.flatMap(({ rounds }) => rounds.map(({ digest }) => digest)));
  if (digests.size === 1) return [...digests][0]!;
  throw new RuntimeError(
    'TIER',
    `codes: expected the same ones from every tier and thread, found ${digests.size} different answers`,
  );
}

/** @throws CheckpointError `CHECKPOINT_ARCHITECTURE` if the float model has other sizes */
function expectSame({ architecture }: IntegerModel, float: FloatModel, file: string): void {
  const { layerNormEps: _, ...found } = float.architecture;
  for (const [key, expected] of Object.entries(architecture)) {
    const value = found[key as keyof typeof found];
    if (key === 'name' || JSON.stringify(value) === JSON.stringify(expected)) continue;
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${shownSource(file)}: expected ${key} ${shown(String(expected))} as in the integer checkpoint, found ${shown(String(value))}`,
    );
  }
}

function machine(loadBefore: number) {
  const { versions } = process as { versions: NodeJS.ProcessVersions & { deno?: string; bun?: string } };
  const engine = versions.deno ? 'deno' : versions.bun ? 'bun' : 'node';
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    platform: process.platform,
    arch: process.arch,
    engine,
    version: versions[engine]!,
    v8: versions.v8,
    fqvit: version(),
    load: { before: loadBefore, after: loadavg()[0]! },
  };
}

function rowOf(one: Turns<Contender>, first: Turns<Contender>) {
  const { contender, rounds } = one;
  const middle = (key: Exclude<keyof Measurement, 'digest'>) => median(rounds.map((round) => round[key]));
  return {
    kind: contender.kind,
    tier: contender.kind === 'integer' ? contender.tier : 'float',
    threads: contender.kind === 'integer' ? contender.threads : 1,
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

/** The contender that `load` would choose. */
function chosen({ contenders, tier, threads }: Report): Row {
  return contenders.find((row) => row.tier === tier && row.threads === (tier === 'scalar' ? 1 : threads))!;
}

function printReport(report: Report): void {
  const { machine: m, model, contenders, reference, rounds, rule, digest } = report;
  const { cpu, cores, platform, arch, engine, version: engineVersion, load } = m;
  print(plain(`${model.source}: ${model.name}, ${describeMethod(report.recipe)}`));
  print(plain(`${cpu}, ${cores} cores, ${platform} ${arch}; ${engine} ${engineVersion}; fqvit ${m.fqvit}`));
  print(`load ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} after\n`);
  const header = ['', 'threads', 'ms/image', 'speed-up', 'spread', 'WebAssembly', 'process', 'first answer'];
  const rows = contenders.map((row) => [
    row.kind === 'float' ? 'float32' : `integer, ${row.tier}`,
    String(row.threads),
    formatMs(row.medianMs),
    row.speedUp.median.toFixed(2),
    `${row.speedUp.least.toFixed(2)}-${row.speedUp.greatest.toFixed(2)}`,
    formatBytes(row.wasmBytes),
    formatBytes(row.residentBytes),
    `${Math.round(row.firstMs)} ms`,
  ]);
  for (const line of columns([header, ...rows], [1, 2, 3, 4, 5, 6, 7])) print(line);
  const best = chosen(report);
  print('');
  for (const line of columns([
    ['load chooses', `${best.tier}, ${plural(best.threads, 'thread')}`],
    ['float weights', reference === undefined ? 'generated, in the same architecture' : plain(reference)],
    [
      'measured',
      `${rounds} ${rounds === 1 ? 'process' : 'processes'} each, in turn, ${rule.measuredMs / 1000} s after ${rule.warmUpMs / 1000} s of warm-up`,
    ],
    ['codes', `the same in every tier and thread, SHA-256 ${digest.slice(0, 16)}…`],
  ]))
    print(line);
}

/** `speed-up` is how many times as fast as float. */
function markdownRow(report: Report): string {
  const { machine: m, model, contenders } = report;
  const best = chosen(report);
  const cells = [
    `${m.cpu}, ${m.cores} cores`,
    `${m.engine} ${m.version}`,
    `${model.name} W${model.weightBits}A${model.activationBits}`,
    formatMs(contenders[0]!.medianMs),
    `${formatMs(best.medianMs)} (${best.tier}, ${plural(best.threads, 'thread')})`,
    `${best.speedUp.median.toFixed(2)} (${best.speedUp.least.toFixed(2)}-${best.speedUp.greatest.toFixed(2)})`,
  ];
  return `| ${cells.map((cell) => plain(cell).replaceAll('|', '\\|')).join(' | ')} |`;
}

const formatMs = (ms: number): string => ms.toPrecision(3);

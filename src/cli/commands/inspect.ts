import { type Architecture, swinStages } from '../../architecture/architecture.js';
import type { ModelPreprocessing } from '../../checkpoint/integer/description.js';
import { describeCommand } from '../command.js';
import { readFloatSource } from '../float-source.js';
import { columns, escapeControls, formatBytes, formatCount, plural } from '../format.js';
import type { FloatReport, IntegerReport, QuantizerReport, TensorReport } from '../inspection.js';
import { MEANINGS } from '../meaning.js';
import { modelPath } from '../model-source.js';
import { describePreprocessing } from '../preprocessing.js';
import { describeMethod } from '../recipe.js';
import { print, printJson, warn } from '../report.js';
import { integerOption } from '../values.js';

const LABELS_SHOWN = 5;

type InspectRow = readonly string[];

export default describeCommand({
  name: 'inspect',
  summary: 'show what is in a checkpoint',
  usage: 'M [OPTIONS]',
  args: {
    m: {
      type: 'positional',
      required: true,
      description:
        'Integer or float checkpoint: a file, a folder, a URL, a Hugging Face id or a bundled model',
    },
    plan: {
      type: 'boolean',
      description: 'List every step of a forward pass: shape, multiply-accumulates, bytes, scratch memory',
    },
    weights: {
      type: 'string',
      valueHint: 'NAME',
      description: 'Which model, if a float checkpoint holds several (as for quantize)',
    },
    arch: {
      type: 'string',
      valueHint: 'NAME',
      description: 'timm name of a float checkpoint (as for quantize)',
    },
    heads: { type: 'string', valueHint: 'N', description: 'Heads of a float checkpoint (as for quantize)' },
    tensors: { type: 'boolean', description: 'List every tensor, quantiser and layer' },
    json: { type: 'boolean', description: 'Print everything as JSON' },
  },
  examples: [
    'fqvit inspect deit_cifar10 --plan',
    'fqvit inspect m.safetensors --tensors | less',
    'fqvit inspect facebook/deit-tiny-patch16-224 --json   # what quantize reads',
    'fqvit inspect last.ckpt --weights state_dict.model --arch vit_tiny_patch16_224',
  ],
  async run({ m, plan, weights, arch, heads, tensors, json }) {
    const path = modelPath(m);
    const given = {
      ...(weights === undefined ? {} : { weights }),
      ...(arch === undefined ? {} : { arch }),
      ...(heads === undefined ? {} : { heads: integerOption('heads', heads, 1) }),
    };
    const source = await readFloatSource(path, arch);
    const { inspectCheckpoint } = await import('../inspection.js');
    const report = await inspectCheckpoint(source, given);
    if (report.kind === 'float') {
      for (const warning of report.warnings) warn(warning);
      if (plan) warn('--plan is ignored: expected an integer checkpoint, found a float one');
    } else {
      for (const option of Object.keys(given)) {
        warn(`--${option} is ignored: expected a float checkpoint, found an integer one`);
      }
    }
    if (json) return printJson(report);
    const summary = report.kind === 'integer' ? integerSummary(report) : floatSummary(report);
    for (const line of columns(summary)) print(escapeControls(line));
    if (plan && report.kind === 'integer') printPlan(report);
    if (tensors) printTables(report);
    if (report.kind === 'float') {
      const options = Object.entries(given).map(([name, value]) => ` --${name} ${value}`);
      const command = escapeControls(`fqvit quantize ${path}${options.join('')} [--calibration DIR] -o OUT`);
      print(`\nQuantise it: ${command}`);
    } else if (!plan && !tensors) {
      print('\n--plan lists every step of a forward pass, --tensors every tensor and quantiser.');
    }
  },
});

function integerSummary(report: IntegerReport): InspectRow[] {
  const { recipe, tensors, bytes, memoryBytes, weightBytes, quantizers, plan } = report;
  const factors = factorTotals(quantizers);
  return [
    ['file', report.file],
    ['kind', `integer checkpoint (${report.format} version ${report.version})`],
    ...architectureRows(report.architecture, report.preprocessing),
    ...answerRows(report),
    ['method', describeMethod(recipe)],
    [
      'calibration',
      `${plural(recipe.calibrationImages, recipe.calibration === 'synthetic' ? 'synthetic picture' : 'image')}, ${recipe.seed === null ? 'in the order given' : `seed ${recipe.seed}`}`,
    ],
    [
      'made from',
      `the float checkpoint with SHA-256 ${recipe.sourceSha256}${recipe.weights === undefined ? '' : `, ${recipe.weights} in it`}`,
    ],
    ['size', `${formatBytes(bytes)} (weights ${formatBytes(weightBytes)})`],
    [
      'memory',
      `${formatBytes(memoryBytes)} when loaded (activations ${formatBytes(plan.activationBytes)}, scratch ${formatBytes(plan.scratchBytes)})`,
    ],
    ['work', `${formatCount(plan.macs)} multiply-accumulates in ${plural(plan.steps.length, 'step')}`],
    ['tensors', `${tensors.length} (${dtypeTotals(tensors)})`],
    ['quantisers', `${quantizers.length} of activations`],
    ...(factors === undefined ? [] : [['factors', factors]]),
  ];
}

function floatSummary(report: FloatReport): InspectRow[] {
  return [
    ['file', report.file],
    ['kind', 'float checkpoint'],
    ...architectureRows(report.architecture, report.preprocessing),
    ...(report.weights === undefined ? [] : [['weights', report.weights]]),
    ...answerRows(report),
    ['parameters', formatCount(report.parameters)],
    ['size', formatBytes(report.bytes)],
    ['tensors', `${report.tensors.length} (${dtypeTotals(report.tensors)})`],
  ];
}

function architectureRows(a: Architecture, p: ModelPreprocessing): InspectRow[] {
  return [
    ['architecture', `${a.name} (${a.family})`],
    [
      'sizes',
      `image ${a.imageSize}, patch ${a.patchSize}, ${blockSizes(a)}, ${a.classes} ${a.classes === 1 ? 'class' : 'classes'}`,
    ],
    ...(a.family === 'swin' ? [['maps', mapSizes(a)]] : []),
    ['preprocessing', describePreprocessing(p)],
  ];
}

function answerRows({ labels, output }: IntegerReport | FloatReport): InspectRow[] {
  const list: InspectRow = ['labels', labelList(labels)];
  return labels.length === 0 ? [list] : [list, ['logits', MEANINGS[output]]];
}

function blockSizes(a: Architecture): string {
  return a.family === 'swin'
    ? `dim ${a.dim}, depths ${a.depths.join(', ')}, heads ${a.heads.join(', ')}, MLP ${a.mlpDim}, window ${(a.windows ?? [a.window]).join(', ')}`
    : `dim ${a.dim}, depth ${a.depth}, heads ${a.heads}, MLP ${a.mlpDim}`;
}

/** The maps of a Swin's stages: tokens and channels. */
function mapSizes(a: Architecture & { family: 'swin' }): string {
  return swinStages(a)
    .map(({ side, dim }) => `${side}×${side}×${dim}`)
    .join(', ');
}

function labelList(labels: readonly string[]): string {
  const rest = labels.length - LABELS_SHOWN;
  return `${formatCount(labels.length)}: ${labels.slice(0, LABELS_SHOWN).join(', ')}${rest > 0 ? ` and ${formatCount(rest)} more` : ''}`;
}

/** `38 I8 5.5 MB, 76 I32 0.2 MB`. */
function dtypeTotals(tensors: readonly TensorReport[]): string {
  const totals = new Map<string, { count: number; bytes: number }>();
  for (const { dtype, bytes } of tensors) {
    const total = totals.get(dtype) ?? { count: 0, bytes: 0 };
    totals.set(dtype, { count: total.count + 1, bytes: total.bytes + bytes });
  }
  return [...totals].map(([dtype, { count, bytes }]) => `${count} ${dtype} ${formatBytes(bytes)}`).join(', ');
}

/** Channels by their power-of-two factor, over all quantisers that have factors. */
function factorTotals(quantizers: readonly QuantizerReport[]): string | undefined {
  const all = quantizers.flatMap(({ factors }) => (factors ? [factors] : []));
  if (all.length === 0) return undefined;
  const total = [0, 1, 2, 3].map((factor) => all.reduce((sum, counts) => sum + counts[factor]!, 0));
  const channels = total.reduce((sum, count) => sum + count, 0);
  const parts = total.map((count, factor) => `${factor}: ${((100 * count) / channels).toFixed(1)} %`);
  return `${parts.join(', ')} of ${formatCount(channels)} channels`;
}

function printPlan({ plan }: IntegerReport): void {
  printTable(
    ['step', 'kernel', 'shape', 'MACs', 'bytes', 'scratch'],
    plan.steps.map((step) => [
      step.output,
      step.kernel,
      `[${step.shape.join(', ')}]`,
      ...[step.macs, step.bytes, step.scratchBytes].map(formatCount),
    ]),
    [3, 4, 5],
  );
}

function printTables(report: IntegerReport | FloatReport): void {
  printTable(
    ['tensor', 'dtype', 'shape', 'bytes', 'bits'],
    report.tensors.map((t) => [
      t.name,
      t.dtype,
      `[${t.shape.join(', ')}]`,
      formatCount(t.bytes),
      String(t.bits),
    ]),
    [3, 4],
  );
  if (report.kind === 'float') return;
  printTable(
    ['quantiser', 'scale', 'zero point', 'channels with factor 0, 1, 2, 3'],
    report.quantizers.map((q) => [
      q.name,
      q.scale.toPrecision(6),
      String(q.zeroPoint),
      q.factors?.join(', ') ?? '',
    ]),
    [1, 2],
  );
  printTable(
    ['layer', 'kind', 'reads', 'attributes'],
    report.layers.map(({ kind, name, reads, parameters: _, ...attributes }) => [
      name,
      kind,
      reads.join(', '),
      Object.entries(attributes)
        .filter(([key]) => key !== 'scale' && key !== 'zeroPoint')
        .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
        .join(', '),
    ]),
  );
}

function printTable(header: InspectRow, rows: readonly InspectRow[], right: readonly number[] = []): void {
  print('');
  for (const line of columns([header, ...rows], right)) print(escapeControls(line));
}

import { stat } from 'node:fs/promises';
import { FqvitError, UsageError } from '../../errors.js';
import type { Model } from '../../model/model.js';
import { checkClasses } from '../../model/predict.js';
import { shownSource } from '../../platform/address.js';
import { expectFolder } from '../../platform/files.js';
import { joinPath } from '../../platform/join-path.js';
import { checkOutput, expectNoInput, writeOutput } from '../../platform/output-file.js';
import { systemReason } from '../../platform/system-reason.js';
import type { EvaluationReport } from '../../quantize/index.js';
import { describeCommand } from '../command.js';
import { type Confusion, EvalRows } from '../eval-rows.js';
import { evaluationTables } from '../evaluation-tables.js';
import { columns, escapeControls, plural } from '../format.js';
import { type LabelledFile, readLabelsCsv } from '../labels-csv.js';
import { labelsOfFolders } from '../labels-folders.js';
import { MEANINGS } from '../meaning.js';
import { loadModel, modelPath } from '../model-source.js';
import { startProgress } from '../progress.js';
import { describeMethod } from '../recipe.js';
import { readReference } from '../reference.js';
import { print, printJson, warn } from '../report.js';
import { integerOption, optional, THREADS_OPTION, threadsOption } from '../values.js';

/** If there are more, only the JSON has them. */
const CLASSES_SHOWN = 20;
/** Confused pairs beyond these are only in the JSON. */
const PAIRS_SHOWN = 20;

export default describeCommand({
  name: 'eval',
  summary: 'measure accuracy on labelled photos, and agreement with the float model',
  usage: 'M --images DIR [--labels CSV] [OPTIONS]',
  args: {
    m: {
      type: 'positional',
      required: true,
      description: 'Integer checkpoint: a file, a URL, a Hugging Face id or a bundled model',
    },
    images: { type: 'string', valueHint: 'DIR', required: true, description: 'Folder of the photos' },
    labels: {
      type: 'string',
      valueHint: 'CSV',
      description:
        'Table with the header file,class and a row for each photo: its path in DIR and the index of its class (cat.jpg,3); for a multi-label model, its classes (cat.jpg,3 7), or none; for a regression model, file,value (default: each subfolder of DIR is a class, named by label or WordNet id)',
    },
    reference: {
      type: 'string',
      valueHint: 'FLOAT',
      description: 'Float checkpoint to compare with: the source of M',
    },
    weights: {
      type: 'string',
      valueHint: 'NAME',
      description: 'Which model, if FLOAT holds several (default: the source of M)',
    },
    limit: {
      type: 'string',
      valueHint: 'N',
      description: 'Only the first N photos of CSV; from subfolders, N in all, spread evenly',
    },
    threads: THREADS_OPTION,
    rows: {
      type: 'string',
      valueHint: 'FILE',
      description:
        'Write one JSON line per photo: {file, truth, integer: {index, label, probability}, reference}',
    },
    force: { type: 'boolean', description: 'Replace FILE if it exists' },
    confusion: {
      type: 'boolean',
      description: 'Show which classes are confused most often; with --json, the whole confusion matrix',
    },
    json: {
      type: 'boolean',
      description:
        'Print JSON: {output, images, top1, top5, classes, reference: {top1, top5, agreement, kl}, msPerImage}; multi-label has mAP instead of top1 and top5, regression mae and rmse',
    },
  },
  examples: [
    'fqvit eval m.safetensors --images photos/ --labels labels.csv',
    'fqvit eval m.safetensors --images val/   # val/cat/1.jpg, val/ship/7.jpg, …',
    'fqvit eval m.safetensors --images val/ --reference deit_tiny.safetensors --limit 500',
    'fqvit eval m.safetensors --images val/ --confusion --rows rows.jsonl',
    'fqvit eval tags.safetensors --images photos/ --labels tags.csv   # multi-label: cat.jpg,3 7',
    'fqvit eval age.safetensors --images photos/ --labels ages.csv   # regression: anna.jpg,31.5',
  ],
  async run({
    m,
    images: folder,
    labels,
    reference: source,
    limit: limitText,
    threads,
    json,
    weights,
    ...args
  }) {
    const threadCount = threadsOption(threads);
    const limit = optional(limitText, (n) => integerOption('limit', n, 1));
    await expectFolder(folder);
    const model = await loadModel(modelPath(m), threadCount);
    checkClasses(model.info.architecture.classes);
    if (args.confusion && model.info.output !== 'softmax') {
      throw new UsageError(
        'OPTION',
        `--confusion: expected a single-label model, found ${MEANINGS[model.info.output]}`,
      );
    }
    const force = Boolean(args.force);
    const inputs = [modelPath(m), labels, source].filter((path) => path !== undefined);
    const rowsFile = optional(args.rows, (path) => checkOutput(path, { force, inputs }));
    const rows =
      labels === undefined
        ? (await photosOfFolders(folder, model)).slice(0, limit)
        : await labelsOfTable(labels, folder, model, limit);
    if (rowsFile !== undefined)
      expectNoInput(
        rowsFile,
        rows.map(({ file }) => joinPath(folder, file)),
      );
    if (weights !== undefined && source === undefined) {
      throw new UsageError('OPTION', '--weights: expected --reference with it, found none');
    }
    const reference = source === undefined ? undefined : await readReference(source, weights, model.info);

    const { evaluate } = await import('../../quantize/index.js');
    const progress = startProgress('evaluating', rows.length);
    const answers = new EvalRows(rows, model.info);
    let report: EvaluationReport;
    try {
      report = await evaluate(
        model,
        rows.map(({ file, ...truth }) => ({ image: joinPath(folder, file), ...truth })),
        {
          reference,
          onImage: (...logits) => answers.add(...logits),
          onProgress: progress.update,
        },
      );
    } finally {
      progress.stop();
    }
    model.dispose();
    if (rowsFile !== undefined) writeOutput(rowsFile, answers.lines(), { force });
    const confusion = args.confusion ? answers.confusion() : undefined;
    if (json) return printJson({ ...report, ...(confusion ? { confusion } : {}) });
    printReport(m, model, report);
    if (confusion) printConfusion(confusion, model.info.labels);
  },
});

async function photosOfFolders(folder: string, { info }: Model): Promise<Omit<LabelledFile, 'line'>[]> {
  if (info.output === 'value') {
    throw new FqvitError(
      'LABELS',
      `${folder}: expected --labels CSV with the header file,value for a regression model, found no --labels`,
    );
  }
  const { photos, warnings } = await labelsOfFolders(folder, info);
  for (const warning of warnings) warn(warning);
  return photos;
}

async function labelsOfTable(
  labels: string,
  folder: string,
  { info }: Model,
  limit: number | undefined,
): Promise<LabelledFile[]> {
  const { output, architecture } = info;
  const { classes } = architecture;
  const rows = (await readLabelsCsv(labels, { output, classes })).slice(0, limit);
  for (const row of rows) await expectImage(folder, row, labels);
  return rows;
}

/** Checks a photo before the work, so that a missing one does not end it halfway. */
async function expectImage(folder: string, { file, line }: LabelledFile, labels: string): Promise<void> {
  const path = joinPath(folder, file);
  const found = await stat(path).then(
    (stats) => (stats.isFile() ? undefined : stats.isDirectory() ? 'a folder' : 'a pipe or device'),
    (cause: unknown) => systemReason(cause),
  );
  if (found === undefined) return;
  throw new FqvitError(
    'LABELS',
    `${labels}:${line}: expected a photo at ${shownSource(path)}, found ${found}`,
  );
}

function printReport(name: string, { info }: Model, report: EvaluationReport): void {
  const { images, msPerImage, reference } = report;
  const tables = evaluationTables(report);
  const times = ['ms/image', msPerImage.toFixed(2), reference?.msPerImage.toFixed(2) ?? ''];
  const names = ['', 'integer', 'float'];
  print(
    `${escapeControls(shownSource(name))}: ${escapeControls(info.architecture.name)}, ${describeMethod(info.recipe)}`,
  );
  print(`${plural(images, 'image')}\n`);
  const rows = tables.figures.map((figures, i) => [names[i]!, ...figures, times[i]!]);
  for (const line of columns(rows, [1, 2, 3])) print(line);
  const [head, ...classes] = tables.classes;
  if (head !== undefined && classes.length <= CLASSES_SHOWN) {
    const labels = (report.output === 'value' ? [] : report.classes).map(({ index }) => info.labels[index]!);
    print('');
    const named = classes.map((cells, i) => [escapeControls(labels[i]!), ...cells]);
    for (const line of columns([['class', ...head], ...named], [1, 2, 3])) print(line);
  }
  if (tables.nearness.length > 0) print('');
  for (const line of columns(tables.nearness)) print(line);
}

function printConfusion(confusion: readonly Confusion[], labels: readonly string[]): void {
  const wrong = confusion.filter((one) => one.class !== one.predicted);
  print(wrong.length === 0 ? '\nno confused classes' : '');
  const rows = wrong
    .slice(0, PAIRS_SHOWN)
    .map((one) => [
      escapeControls(labels[one.class]!),
      escapeControls(labels[one.predicted]!),
      String(one.images),
    ]);
  if (rows.length > 0) {
    for (const line of columns([['class', 'taken for', 'images'], ...rows], [2])) print(line);
  }
  if (wrong.length > PAIRS_SHOWN) print(`and ${wrong.length - PAIRS_SHOWN} more pairs: --json has all`);
}

import type { Model, Prediction } from '../../classify.js';
import { FqvitError } from '../../errors.js';
import { BUNDLED_MODEL, bundledModelPath } from '../bundled-model.js';
import { describeCommand } from '../command.js';
import { expectFile } from '../files.js';
import { bar, columns, formatDuration, plain } from '../format.js';
import { EXIT, note, print, printJson, reportError } from '../report.js';
import { integerOption, THREADS_OPTION, threadsOption } from '../values.js';

interface Result {
  readonly file: string;
  readonly model: string;
  readonly predictions: readonly Prediction[];
  /** Of reading, decoding and classifying. */
  readonly ms: number;
}

const BAR_CELLS = 20;

export default describeCommand({
  name: 'classify',
  summary: 'say what is in photos',
  usage: 'IMAGE... [OPTIONS]',
  args: {
    image: {
      type: 'positional',
      required: true,
      description: 'JPEG, PNG or WebP: a file or a URL; several, one after the other',
    },
    model: {
      type: 'string',
      valueHint: 'M',
      description: `Integer checkpoint, a file or a URL (default: the bundled ${BUNDLED_MODEL}, ten classes)`,
    },
    top: { type: 'string', valueHint: 'N', default: '5', description: 'Classes to show, best first' },
    threads: THREADS_OPTION,
    json: {
      type: 'boolean',
      description: 'Print JSON: [{file, model, predictions: [{index, label, probability}], ms}]',
    },
  },
  repeats: true,
  examples: [
    'fqvit classify photo.jpg',
    'fqvit classify photos/*.jpg --model deit_tiny.int8.safetensors --top 1',
    'fqvit classify photos/*.jpg --model m.safetensors --threads 4',
    'fqvit classify photo.jpg --json',
  ],
  async run({ _: files, model: source, top, threads, json }) {
    const count = integerOption('top', top, 1);
    const threadCount = threadsOption(threads);
    const path = source ?? bundledModelPath();
    await expectFile(path);
    const { load } = await import('../../index.js');
    const model = await load(path, { threads: threadCount });
    const name = source ?? BUNDLED_MODEL;
    if (source === undefined) noteBundled(model);

    const results: Result[] = [];
    for (const file of files) {
      const result = await classify(model, file, count, name);
      if (result === undefined) continue;
      if (!json) print(`${results.length > 0 ? '\n' : ''}${block(result)}`);
      results.push(result);
    }
    model.dispose();
    if (json) printJson(results);
    return results.length === files.length ? EXIT.done : EXIT.badInput;
  },
});

/** Undefined for an image that cannot be read, after saying so: the others are not its fault. */
async function classify(model: Model, file: string, top: number, name: string): Promise<Result | undefined> {
  try {
    await expectFile(file);
    const start = performance.now();
    const predictions = await model.classify(file, { top });
    const ms = Math.round((performance.now() - start) * 100) / 100;
    return { file, model: name, predictions, ms };
  } catch (error) {
    if (!(error instanceof FqvitError)) throw error;
    reportError(error);
    return undefined;
  }
}

function block({ file, predictions, ms }: Result): string {
  const rows = predictions.map(({ label, probability }) => [
    ` ${(100 * probability).toFixed(1)} %`,
    bar(probability, BAR_CELLS).padEnd(BAR_CELLS),
    plain(label),
  ]);
  return [`${plain(file)}  (${formatDuration(ms)})`, ...columns(rows, [0])].join('\n');
}

function noteBundled({ info }: Model): void {
  note(
    `fqvit: the bundled model knows only ${info.labels.length} classes (${info.labels.join(', ')}); ` +
      'for others make a model with `fqvit quantize` and name it with --model',
  );
}

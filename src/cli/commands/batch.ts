import { existsSync } from 'node:fs';
import { countOf, listOf, startList } from '../../batch/image-list.js';
import { runBatch } from '../../batch/run.js';
import { type BatchTask, claim } from '../../batch/unfinished.js';
import { UsageError } from '../../errors.js';
import { DEFAULT_MAX_PIXELS } from '../../image/limits.js';
import { checkClasses } from '../../model/predict.js';
import { checkOutput, expectNoInput } from '../../platform/output-file.js';
import { BatchWatch } from '../batch-watch.js';
import { describeCommand } from '../command.js';
import {
  classifyInTime,
  IMAGE_TIMEOUT_OPTION,
  imageTimeout,
  MAX_MEMORY_OPTION,
  MODEL_OPTION,
  noteBundled,
  openPool,
  WORKERS_OPTION,
} from '../image-command.js';
import { stopProgress } from '../progress.js';
import { EXIT, printJson } from '../report.js';
import { integerOption } from '../values.js';
import { version } from '../version.js';

/** Images in progress per worker, so that none waits for the next. */
const PER_WORKER = 3;

export default describeCommand({
  name: 'batch',
  summary: 'classify many photos on all cores; run it again to continue after an interruption',
  usage: 'DIR|LIST|- -o OUT [OPTIONS]',
  args: {
    images: {
      type: 'positional',
      required: true,
      description:
        'A folder with its subfolders; a text file with one path per line; or - for such lines on stdin',
    },
    output: {
      type: 'string',
      alias: 'o',
      valueHint: 'OUT',
      required: true,
      description:
        'File with one line per image, or - for stdout. Until it is complete, OUT.unfinished exists next to it',
    },
    model: MODEL_OPTION,
    top: { type: 'string', valueHint: 'N', default: '5', description: 'Classes for each image, best first' },
    format: {
      type: 'enum',
      options: ['jsonl', 'csv'],
      valueHint: 'FORMAT',
      default: 'jsonl',
      description: 'Format of OUT',
    },
    workers: WORKERS_OPTION,
    'max-memory': MAX_MEMORY_OPTION,
    'image-timeout': IMAGE_TIMEOUT_OPTION,
    unordered: { type: 'boolean', description: 'Write lines as they finish, not in the order of the list' },
    overwrite: { type: 'boolean', description: 'Replace OUT if it is complete or another command wrote it' },
    'max-pixels': {
      type: 'string',
      valueHint: 'N',
      default: String(DEFAULT_MAX_PIXELS),
      description: 'Refuse larger images',
    },
    json: {
      type: 'boolean',
      description: 'Print JSON: {output, images, refused, before, seconds, imagesPerSecond, workers}',
    },
  },
  examples: [
    'fqvit batch photos/ -o out.jsonl',
    'fqvit batch photos/ -o out.jsonl --model m.safetensors --top 1',
    'fqvit batch list.txt -o out.csv --format csv --workers 8',
    "find /data -name '*.jpg' | fqvit batch - -o out.jsonl --unordered",
    'fqvit batch photos/ -o - | grep \'"error"\'',
  ],
  async run({ images, output: target, json, ...args }) {
    if (json && target === '-') {
      throw new UsageError('OPTION', 'option --json: expected a file for the lines, found --output -');
    }
    const limits = {
      top: integerOption('top', args.top, 1),
      maxPixels: integerOption('max-pixels', args['max-pixels'], 1),
    };
    const seconds = imageTimeout(args['image-timeout']);
    const output =
      target === '-' ? undefined : checkOutput(target, { force: true, inputs: [images, args.model ?? ''] });
    if (output !== undefined && args.overwrite && images !== '-') await expectNoImage(output, images);
    const total = await countOf(images);
    const { pool, source, isBundled, sha256 } = await openPool(args.model, args.workers, args['max-memory']);
    const { labels, output: meaning } = pool.info;
    checkClasses(labels.length);
    const task: BatchTask = {
      fqvit: version(),
      model: sha256,
      input: images,
      format: args.format as BatchTask['format'],
      order: args.unordered ? 'any' : 'list',
      ...limits,
    };
    const watch = new BatchWatch(target, total);
    try {
      const classify = classifyInTime(pool, seconds);
      const list = await startList(listOf(images));
      await runBatch({
        task,
        output,
        continues: output !== undefined && claim(output, task, args.overwrite === true),
        images: list,
        classify: (file) => classify(file, limits),
        classes: Math.min(limits.top, labels.length),
        meaning,
        atOnce: PER_WORKER * pool.info.workers,
        onStart: (there) => {
          if (isBundled) noteBundled(source, labels);
          watch.begin(there);
        },
        onRecord: (record) => watch.record(record),
      });
    } finally {
      stopProgress();
      if (images === '-') process.stdin.destroy(); // its writer may never end
      await pool.dispose();
    }
    const summary = watch.end();
    if (json) printJson({ output: target, ...summary, workers: pool.info.workers });
    return summary.refused === 0 ? EXIT.done : EXIT.badInput;
  },
});

/** @throws FqvitError `OUTPUT` if the output is one of the images */
async function expectNoImage(output: string, images: string): Promise<void> {
  if (!existsSync(output)) return;
  for await (const file of listOf(images)) expectNoInput(output, [file]);
}

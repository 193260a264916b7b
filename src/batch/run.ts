import type { Output as Meaning } from '../architecture/output.js';
import type { Prediction } from '../model/predict.js';
import { Done } from './done.js';
import { FileOutput, type ResultOutput, StandardOutput } from './output.js';
import { pump } from './pump.js';
import { csvHeader, csvLine, type ImageRecord, jsonLine, recordOf } from './record.js';
import { type BatchTask, finish } from './unfinished.js';

export interface BatchOptions {
  task: BatchTask;
  /** The file passed to `claim`; undefined for stdout. */
  output: string | undefined;
  /** The result of `claim`. */
  continues: boolean;
  images: AsyncIterable<string>;
  classify(file: string): Promise<Prediction[]>;
  /** Most classes per image. */
  classes: number;
  /** The meaning of the logits. */
  meaning: Meaning;
  atOnce: number;
  /** Called before the first image with what is done already. */
  onStart(there: Counts): void;
  onRecord(record: ImageRecord): void;
}

export interface Counts {
  readonly images: number;
  readonly refused: number;
}

/**
 * Writes a line for every image; of an unfinished output, for the images that are missing.
 *
 * @throws FqvitError `RESUME`, `OUTPUT`; like `images` and `recordOf`
 */
export async function runBatch(options: BatchOptions): Promise<void> {
  const { task, output: path, images, classify, classes, meaning, atOnce } = options;
  const header = task.format === 'csv' ? csvHeader(classes, meaning) : '';
  const done = await doneBefore(options, header);
  options.onStart({ images: done.count, refused: done.refused });
  const output = await openOutput(options, done.bytes);
  if (done.bytes === 0 && header !== '') output.add(header);
  const line = task.format === 'csv' ? (record: ImageRecord) => csvLine(record, classes) : jsonLine;
  const pumping = pump(done.rest(images), {
    work: ({ index, file }) => recordOf(index, file, classify),
    emit(record) {
      output.add(line(record));
      options.onRecord(record);
    },
    room: () => output.room(),
    isOrdered: task.order === 'list',
    atOnce,
  });
  try {
    await Promise.race([pumping, output.failed]);
  } finally {
    await output.close();
  }
  if (path !== undefined) finish(path);
}

async function doneBefore({ task, output, continues }: BatchOptions, header: string): Promise<Done> {
  return output !== undefined && continues ? Done.of(output, task, header) : new Done('', task, header);
}

async function openOutput({ output, continues }: BatchOptions, length: number): Promise<ResultOutput> {
  if (output === undefined) return new StandardOutput();
  return continues ? FileOutput.extend(output, length) : FileOutput.create(output);
}

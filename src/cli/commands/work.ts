import { constants } from 'node:os';
import { checkClasses } from '../../model/predict.js';
import { openFolder } from '../../queue/folder.js';
import type { PartOutput } from '../../queue/output.js';
import { describeCommand } from '../command.js';
import { formatDuration, plural } from '../format.js';
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
import { withLibraries } from '../library.js';
import { QUEUE_OPTION, REDIS_OPTION, withQueue, withQueueLibraries } from '../queue-options.js';
import { note } from '../report.js';
import { onFirstSignal } from '../signals.js';
import { integerOption } from '../values.js';

/** Time between two progress lines. */
const NOTE_MS = 10_000;

export default describeCommand({
  name: 'work',
  summary: 'classify the photos of a queue; run it on as many machines as you like',
  usage: '--queue NAME -o OUT [OPTIONS]',
  args: {
    queue: QUEUE_OPTION,
    redis: REDIS_OPTION,
    model: MODEL_OPTION,
    output: {
      type: 'string',
      alias: 'o',
      valueHint: 'OUT',
      required: true,
      description: 'Where results go: a folder that all machines share, or s3://BUCKET/PREFIX',
    },
    workers: WORKERS_OPTION,
    'max-memory': MAX_MEMORY_OPTION,
    'image-timeout': IMAGE_TIMEOUT_OPTION,
    drain: { type: 'boolean', description: 'Exit when the whole list is done, instead of waiting for more' },
    lock: {
      type: 'string',
      valueHint: 'SECONDS',
      default: '30',
      description: 'How long a silent worker keeps its job',
    },
  },
  examples: [
    'fqvit work --queue july --model m.safetensors -o results/',
    'fqvit work --queue july --model m.safetensors -o s3://bucket/july --drain',
    'cat results/july-part-*.jsonl   # all results, in the order of the list',
  ],
  async run({ queue: name, redis, model, output: target, workers, drain, lock, ...args }) {
    const seconds = imageTimeout(args['image-timeout']);
    const lockMs = 1000 * integerOption('lock', lock, 1, 86_400);
    const output = await openOutput(target);
    const { work } = await withQueueLibraries(() => import('../../queue/work.js'));
    const { pool, sha256, source, isBundled } = await openPool(model, workers, args['max-memory']);
    const { labels } = pool.info;
    checkClasses(labels.length);
    if (isBundled) noteBundled(source, labels);
    const interruption = new Interruption();
    const { signal } = interruption;
    const report = new WorkReport();
    try {
      const classify = classifyInTime(pool, seconds);
      await withQueue(name, redis, { isPatient: true, signal }, (queue) =>
        work(queue, {
          model: sha256,
          classify,
          output,
          drain: drain === true,
          lockMs,
          signal,
          say: (message) => note(`fqvit: ${message}`),
          onPart: (part, { images, refused }) => report.add(part, images, refused),
        }),
      );
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await pool.dispose();
      report.end();
    }
    // something may still wait for Redis
    if (interruption.exitCode !== undefined) process.exit(interruption.exitCode);
  },
});

async function openOutput(target: string): Promise<PartOutput> {
  if (!target.startsWith('s3:')) return openFolder(target);
  const load = () => import('../../queue/bucket.js');
  const { openBucket } = await withLibraries('s3://', ['@aws-sdk/client-s3'], load);
  return openBucket(target, process.env);
}

/** Aborts on the first SIGINT or SIGTERM. */
class Interruption extends AbortController {
  exitCode: number | undefined;

  constructor() {
    super();
    onFirstSignal((signal) => {
      note('fqvit: interrupted; returning its jobs to the queue');
      this.exitCode = 128 + constants.signals[signal];
      this.abort();
    });
  }
}

/** Reports the progress of this worker on stderr. */
class WorkReport {
  readonly #start = performance.now();
  #last = this.#start;
  #parts = 0;
  #images = 0;
  #refused = 0;

  add(part: string, images: number, refused: number): void {
    this.#parts++;
    this.#images += images;
    this.#refused += refused;
    if (refused === images) {
      note(`fqvit: warning: no image of ${part} can be read: are they on this machine, at these paths?`);
    }
    if (performance.now() - this.#last >= NOTE_MS) this.end();
  }

  /** Prints the progress, if there is any. */
  end(): void {
    if (this.#parts === 0) return;
    this.#last = performance.now();
    const ms = this.#last - this.#start;
    const rate = Math.round((1e5 * this.#images) / ms) / 100;
    const refused = this.#refused === 0 ? '' : `, ${plural(this.#refused, 'image')} refused`;
    note(
      `fqvit: ${plural(this.#images, 'image')} in ${plural(this.#parts, 'part')}${refused}; ${formatDuration(ms)}, ${rate} images/s`,
    );
  }
}

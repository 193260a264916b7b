import { type Job, WaitingError, Worker } from 'bullmq';
import { jsonLine, recordOf } from '../batch/record.js';
import { FqvitError, UsageError } from '../errors.js';
import type { Prediction } from '../predict.js';
import type { PartData, PartResult } from './part.js';
import type { PartQueue } from './part-queue.js';
import { isRefusal } from './refusal.js';

/** Where the parts go. */
export interface PartOutput {
  /** Writes a file whole or not at all, in place of one of that name. @throws FqvitError `OUTPUT` */
  write(name: string, bytes: Uint8Array): Promise<void>;
}

export interface WorkOptions {
  /** SHA-256 of the model behind `classify`. */
  readonly model: string;
  readonly classify: (file: string, options: { top: number; signal: AbortSignal }) => Promise<Prediction[]>;
  readonly output: PartOutput;
  /** End when the whole list is done. */
  readonly drain: boolean;
  /** How long a job stays with a worker that is not heard of. */
  readonly lockMs: number;
  /** Ends the work; the jobs that are not done go back. */
  readonly signal: AbortSignal;
  readonly onPart: (part: string, result: PartResult) => void;
  /** Told where there is no list yet. */
  readonly say: (message: string) => void;
}

/** So that the images of the next job follow at once on the last of one. */
const JOBS_AT_ONCE = 2;

/** Restarts of machines, of which each takes the jobs of a worker along; a job that kills its worker must not go round for ever. */
const MAX_STALLED = 5;

const POLL_MS = 500;

/** For what is left to tell Redis, which may be away. */
const FAREWELL_MS = 2000;

/**
 * Does the jobs of a queue as they come: one file of JSONL for each.
 *
 * @throws UsageError `QUEUE_OTHER` for another model than that of the parts so far; FqvitError `OUTPUT`, `QUEUE_FAILED` where with
 *   `drain` parts have failed for good; RuntimeError `REDIS`; the reason of `signal`
 */
export async function work(queue: PartQueue, options: WorkOptions): Promise<void> {
  if (!(await queue.isKnown())) options.say(`queue ${queue.name} has no list yet: waiting for one`);
  await queue.agree('model', options.model);
  const stopping = new AbortController();
  const { signal } = stopping;
  const stop = () => stopping.abort(options.signal.reason);
  options.signal.addEventListener('abort', stop);
  if (options.signal.aborted) stop();

  const run = async (job: Job<PartData, PartResult>, token?: string): Promise<PartResult> => {
    try {
      return await part(queue, job, options, signal);
    } catch (error) {
      if (!signal.aborted && !endsWork(error)) throw error;
      stopping.abort(error);
      await job.moveToWait(token);
      throw new WaitingError();
    }
  };
  const worker = new Worker<PartData, PartResult>(queue.name, run, {
    connection: queue.client,
    concurrency: JOBS_AT_ONCE,
    lockDuration: options.lockMs,
    stalledInterval: options.lockMs,
    maxStalledCount: MAX_STALLED,
    runRetryDelay: POLL_MS,
  });
  // what else there is: the connection says it itself, and a job that went to another worker meanwhile is done twice with the same result
  worker.on('error', (error) => isRefusal(error) && stopping.abort(error));
  worker.on('completed', (job, result) => options.onPart(job.id!, result));
  try {
    await (options.drain ? Promise.race([drained(queue, signal), aborted(signal)]) : aborted(signal));
  } finally {
    options.signal.removeEventListener('abort', stop);
    stopping.abort();
    await farewell(worker, queue.client.status !== 'ready');
  }
}

/** The records of a part, written. */
async function part(
  queue: PartQueue,
  { id, data }: Job<PartData, PartResult>,
  { model, classify, output }: WorkOptions,
  signal: AbortSignal,
): Promise<PartResult> {
  queue.expectPart(id);
  await queue.agree('model', model);
  const { first, top, files } = data;
  const records = await Promise.all(
    files.map((file, i) => recordOf(first + i, file, (path) => classify(path, { top, signal }))),
  );
  signal.throwIfAborted();
  await output.write(`${queue.name}-${id}.jsonl`, Buffer.from(records.map(jsonLine).join('')));
  return { images: records.length, refused: records.filter((record) => 'error' in record).length };
}

/** What would go wrong with every job of this worker. */
function endsWork(error: unknown): boolean {
  return error instanceof FqvitError && (error.code === 'OUTPUT' || error instanceof UsageError);
}

/** @throws FqvitError `QUEUE_FAILED` */
async function drained(queue: PartQueue, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { isListed, waiting, active, failed, failures } = await queue.status();
    if (isListed && waiting + active === 0) {
      if (failed === 0) return;
      const [first] = failures;
      throw new FqvitError(
        'QUEUE_FAILED',
        `queue ${queue.name}: expected all parts done, found ${failed} failed; ${first?.part}: ${first?.reason}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
}

/** Waits until the jobs at hand have gone back. Where Redis is away they come back by themselves. */
async function farewell(worker: Worker, isAway: boolean): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, FAREWELL_MS);
  });
  await Promise.race([worker.close(isAway), late]);
  clearTimeout(timer);
}

import { type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import { jsonLine, recordOf } from '../batch/record.js';
import { FqvitError, UsageError } from '../errors.js';
import type { Prediction } from '../model/predict.js';
import { rejectOnAbort } from '../platform/reject-on-abort.js';
import { isReplaced, type StoredList } from './list-facts.js';
import { fileOf, missingParts, type PartOutput } from './output.js';
import { type ListFacts, type PartData, type PartResult, partData } from './part.js';
import { isUnreadable, type PartQueue, type QueueProgress } from './part-queue.js';
import { isRefusal } from './refusal.js';

export interface WorkOptions {
  /** SHA-256 of the model that `classify` runs. */
  readonly model: string;
  readonly classify: (file: string, options: { top: number; signal: AbortSignal }) => Promise<Prediction[]>;
  readonly output: PartOutput;
  /** Whether to end when the whole list is done. */
  readonly drain: boolean;
  /** How long a silent worker keeps its job. */
  readonly lockMs: number;
  /** Ends the work; unfinished jobs go back. */
  readonly signal: AbortSignal;
  readonly onPart: (part: string, result: PartResult) => void;
  /** Called repeatedly with what it waits for, and when everything is done. */
  readonly say: (message: string) => void;
}

/** Jobs in flight, so that the next job's images follow at once. */
const JOBS_AT_ONCE = 2;

/**
 * Deaths of workers per job: machines restart, but a job that kills its worker must not go round
 * for ever.
 */
const MAX_STALLED = 5;

const POLL_MS = 250;

/** Time between two messages about the same wait. */
const REMIND_MS = 30_000;

/** Time for the last commands to Redis, which may be away. */
const FAREWELL_MS = 2000;

/**
 * Works on the jobs of a queue, and writes one JSONL file per job.
 *
 * @throws UsageError `QUEUE_OTHER` for a model other than that of earlier parts
 * @throws FqvitError `OUTPUT`, `QUEUE_FACTS`; with `drain` `QUEUE_FAILED` if parts have failed,
 *   `QUEUE_LOST` if the list or parts of it are gone, `QUEUE_OUTPUT` if files of finished parts are
 *   missing
 * @throws RuntimeError `REDIS`, `REDIS_EVICTION`; the reason of `signal`
 */
export async function work(queue: PartQueue, options: WorkOptions): Promise<void> {
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
  // ignore other errors: the connection reports its own, and a job that another worker took is done
  // twice with the same result
  worker.on('error', (error) => {
    if (isRefusal(error)) stopping.abort(error);
    else if (isUnreadable(error)) queue.failUnreadable().catch((cause) => stopping.abort(cause));
  });
  worker.on('completed', (job, result) => options.onPart(job.id!, result));
  try {
    await Promise.race([watch(queue, options, signal), rejectOnAbort(signal)]);
  } finally {
    options.signal.removeEventListener('abort', stop);
    stopping.abort();
    await farewell(worker, queue.client.status !== 'ready');
  }
}

/** Computes and writes the records of a part. */
async function part(
  queue: PartQueue,
  { id, data }: Job<PartData, PartResult>,
  { model, classify, output }: WorkOptions,
  signal: AbortSignal,
): Promise<PartResult> {
  queue.expectPart(id);
  await queue.agree('model', model);
  const list = await queue.list();
  const { first, top, files } = readable(id, data, list);
  const records = await Promise.all(
    files.map((file, i) => recordOf(first + i, file, (path) => classify(path, { top, signal }))),
  );
  signal.throwIfAborted();
  // after a long absence, a worker may hold a part of a list that is gone, whose name another list
  // has
  const now = await queue.list();
  if (isReplaced(list, now)) throw queue.lost('its list as it was', now ? 'another' : 'none any more');
  await output.write(fileOf(queue.name, id), Buffer.from(records.map(jsonLine).join('')));
  return { images: records.length, refused: records.filter((record) => 'error' in record).length };
}

/** Like `partData`; a damaged job is not tried again. */
function readable(id: string, data: unknown, list: ListFacts | undefined): PartData {
  try {
    return partData(id, data, list);
  } catch (error) {
    throw error instanceof FqvitError ? new UnrecoverableError(error.message) : error;
  }
}

/** Whether an error would affect every job of this worker. */
function endsWork(error: unknown): boolean {
  return error instanceof FqvitError && (error.code === 'OUTPUT' || error instanceof UsageError);
}

/** Follows the queue; with `drain`, until all of it is done. @throws like `work` */
async function watch(
  queue: PartQueue,
  { drain, say, output }: WorkOptions,
  signal: AbortSignal,
): Promise<void> {
  const remind = reminder(say);
  let known: StoredList | undefined;
  while (!signal.aborted) {
    await queue.expectNoEviction();
    const progress = await queue.progress();
    const { list, left } = progress;
    const lost = lossOf(queue, known, progress);
    if (lost && drain) throw lost;
    known = list ?? known;
    if (lost) remind(`${lost.message}: waiting for it`);
    else if (list === undefined) remind(`queue ${queue.name} has no list yet: waiting for one`);
    else if (!list.isWhole) {
      if (left === 0) remind(`queue ${queue.name}: expected the rest of its list: waiting for \`enqueue\``);
    } else if (drain && left === 0 && (await isDone(queue, list, output))) {
      say(`queue ${queue.name}: ${list.parts} of ${list.parts} parts are done`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The parts that a queue has lost, as far as counts tell. */
function lossOf(
  queue: PartQueue,
  known: StoredList | undefined,
  { list, stored, left }: QueueProgress,
): FqvitError | undefined {
  if (list === undefined) {
    if (known === undefined && stored === 0) return undefined;
    return queue.lost(known ? `its list of ${known.parts} parts` : 'its list', 'none any more');
  }
  if (isReplaced(known, list)) return queue.lost('its list as it was', 'another');
  if (!list.isWhole || stored >= list.parts || left > 0) return undefined;
  return queue.lost(`${list.parts} parts`, `${stored}`);
}

/**
 * Whether all parts of a list are done, after counting them one by one with their images and files.
 *
 * @throws FqvitError `QUEUE_LOST`, `QUEUE_FAILED`, `QUEUE_OUTPUT`; RuntimeError `REDIS_EVICTION`
 */
async function isDone(queue: PartQueue, list: StoredList, output: PartOutput): Promise<boolean> {
  const { waiting, active, missing, done, failed, failures, images } = await queue.status(list);
  if (waiting + active > 0) return false;
  if (missing > 0) throw queue.lost(`${list.parts} parts`, `${list.parts - missing}`);
  if (failed > 0) {
    const [first] = failures;
    throw new FqvitError(
      'QUEUE_FAILED',
      `queue ${queue.name}: expected all parts done, found ${failed} failed; ${first?.part}: ${first?.reason}`,
    );
  }
  if (done !== list.parts) throw queue.lost(`${list.parts} parts done`, `${done}`);
  if (images !== list.images) throw queue.lost(`${list.images} images done`, `${images}`);
  await expectFiles(queue, list.parts, output);
  await queue.expectNoEviction();
  return !isReplaced(list, await queue.list());
}

/** @throws FqvitError `QUEUE_OUTPUT` */
async function expectFiles({ name }: PartQueue, parts: number, output: PartOutput): Promise<void> {
  const missing = await missingParts(name, parts, output);
  if (missing.length === 0) return;
  throw new FqvitError(
    'QUEUE_OUTPUT',
    `queue ${name}: expected ${parts} parts in the output, found ${parts - missing.length}; ${missing[0]} is done and not there: do all workers write to the same folder? \`fqvit queue ${name} --retry --output DIR\` puts back what is missing`,
  );
}

/** Reports a new state at once, and the same state every 30 s. */
function reminder(say: WorkOptions['say']): (message: string) => void {
  let [last, at] = ['', 0];
  return (message) => {
    if (message === last && performance.now() - at < REMIND_MS) return;
    [last, at] = [message, performance.now()];
    say(message);
  };
}

/** Waits until the current jobs have gone back. Without Redis they go back by themselves. */
async function farewell(worker: Worker, isAway: boolean): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, FAREWELL_MS);
  });
  await Promise.race([worker.close(isAway), late]);
  clearTimeout(timer);
}

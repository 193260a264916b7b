import { FqvitError, UsageError } from '../errors.js';
import { formatValue } from '../text/format-value.js';

/** The content of a job: consecutive images of the list. */
export interface PartData {
  /** Position of the first image in the list. */
  readonly first: number;
  /** Classes per image. */
  readonly top: number;
  readonly files: readonly string[];
}

/** The result of a job. */
export interface PartResult {
  readonly images: number;
  readonly refused: number;
}

const DIGITS = 6;

export const MAX_PARTS = 10 ** DIGITS;

/** Images of a part. */
export const MAX_JOB_SIZE = 100_000;

/**
 * The name of a part, which is the id of its job and names its file. Sorting by name sorts by
 * number.
 *
 * @throws UsageError `QUEUE_PARTS`
 */
export function partName(number: number): string {
  if (number < MAX_PARTS) return `part-${String(number).padStart(DIGITS, '0')}`;
  throw new UsageError(
    'QUEUE_PARTS',
    `list: expected at most ${MAX_PARTS} parts, found more; a greater --job-size makes fewer`,
  );
}

/** The number in a name from `partName`. */
export function partNumber(name: string): number {
  return Number(name.slice(-DIGITS));
}

/** Whether a job's id is ours: other programs have queues in the same Redis. */
export function isPartName(id: string | undefined): id is string {
  return id !== undefined && /^part-\d{6}$/.test(id);
}

/**
 * Checks the content of a job. Redis may hold anything.
 *
 * @param list the list that must contain it, if known
 * @throws FqvitError `QUEUE_JOB` for a job that `enqueue` cannot have added
 */
export function partData(id: string, data: unknown, list: ListFacts | undefined): PartData {
  const expect = (isSo: boolean, expected: string, found: unknown) => {
    if (isSo) return;
    throw new FqvitError(
      'QUEUE_JOB',
      `job: expected ${expected}, found ${formatValue(found)}; enqueue the list again to repair it`,
    );
  };
  const isObject = typeof data === 'object' && data !== null && !Array.isArray(data);
  expect(isObject, 'a job of {first, top, files}', data);
  const { first, top, files } = data as Record<keyof PartData, unknown>;
  expect(isCount(top) && top > 0, 'top, a positive integer', top);
  expect(isCount(first), 'first, the index of an image', first);
  expect(Array.isArray(files), 'files, an array', files);
  const names = files as unknown[];
  const other = names.findIndex((name) => typeof name !== 'string');
  expect(other < 0, 'paths in files', names[other]);
  const number = partNumber(id);
  const { parts = MAX_PARTS, images = Number.MAX_SAFE_INTEGER, jobSize } = list ?? {};
  expect(number < parts, `a list of ${parts} parts`, `part ${number}`);
  const begin = number * (jobSize ?? 0);
  expect(jobSize === undefined || first === begin, `first ${begin}`, first);
  const least = jobSize === undefined ? 1 : Math.min(jobSize, images - begin);
  const most = Math.min(jobSize ?? MAX_JOB_SIZE, images - (first as number));
  const range = least === most ? `${most} files` : `from ${least} to ${most} files`;
  expect(names.length >= least && names.length <= most, range, names.length);
  return { first: first as number, top: top as number, files: names as string[] };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** The list in parts of `size` images. */
export async function* partsOf(
  list: AsyncIterable<string>,
  size: number,
  top: number,
): AsyncGenerator<PartData> {
  let first = 0;
  let files: string[] = [];
  for await (const file of list) {
    files.push(file);
    if (files.length < size) continue;
    yield { first, top, files };
    first += files.length;
    files = [];
  }
  if (files.length > 0) yield { first, top, files };
}

/** What all workers must know of an image list. */
export interface ListFacts {
  /** SHA-256 of all its parts, in hex. Unknown, like `jobSize`, for a queue filled by fqvit 0.1. */
  readonly sha256?: string;
  readonly parts: number;
  readonly images: number;
  /** Images of each part except the last. */
  readonly jobSize?: number;
}

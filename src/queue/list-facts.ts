import { FqvitError } from '../errors.js';
import { formatValue } from '../text/format-value.js';
import { type ListFacts, MAX_JOB_SIZE, MAX_PARTS } from './part.js';

/** The stored facts of a list. */
export interface StoredList extends ListFacts {
  /** Whether `enqueue` has put all parts into the queue. */
  readonly isWhole: boolean;
}

/** The list as a claim on the queue: one value, so that a single Redis command makes it. */
export function claimOf({ sha256, parts, images, jobSize }: Required<ListFacts>): string {
  return [sha256, parts, images, jobSize].join(':');
}

const CLAIM = /^([0-9a-f]{64}):(\d{1,7}):(\d{1,12}):(\d{1,6})$/;

/**
 * The list from a queue's facts; undefined if none was claimed or stored.
 *
 * @param queue its name in messages
 * @throws FqvitError `QUEUE_FACTS` for facts that `enqueue` cannot have written
 */
export function storedList(
  queue: string,
  { list, parts, images }: Record<string, string | undefined>,
): StoredList | undefined {
  const isWhole = parts !== undefined;
  if (list === undefined) {
    if (!isWhole) return undefined;
    const counts = { parts: count(parts, MAX_PARTS), images: count(images, MAX_PARTS * MAX_JOB_SIZE) };
    if (counts.parts <= counts.images) return { ...counts, isWhole };
    throw refused(queue, 'counts of parts and images', `${parts} and ${images}`);
  }
  const [, sha256, ...numbers] = CLAIM.exec(list) ?? [];
  const [claimed, all, jobSize] = numbers.map(Number) as [number, number, number];
  if (sha256 === undefined || claimed > MAX_PARTS || claimed !== Math.ceil(all / jobSize)) {
    throw refused(queue, 'the digest and the counts of a list', list);
  }
  expectCount('parts', claimed, parts);
  expectCount('images', all, images);
  return { sha256, parts: claimed, images: all, jobSize, isWhole };

  function expectCount(what: string, expected: number, found: string | undefined): void {
    if (found !== undefined && found !== String(expected)) throw refused(queue, `${what} ${expected}`, found);
  }

  function count(text: string | undefined, most: number): number {
    const value = /^\d{1,12}$/.test(text ?? '') ? Number(text) : Number.NaN;
    if (value <= most) return value;
    throw refused(queue, `a count of at most ${most}`, text);
  }
}

/** Whether a list that was in the queue is gone. */
export function isReplaced(before: ListFacts | undefined, now: ListFacts | undefined): boolean {
  return before?.sha256 !== undefined && before.sha256 !== now?.sha256;
}

function refused(queue: string, expected: string, found: unknown): FqvitError {
  return new FqvitError(
    'QUEUE_FACTS',
    `queue ${queue}: expected ${expected}, found ${formatValue(found)}; \`fqvit queue ${queue} --remove\` and enqueue the list again`,
  );
}

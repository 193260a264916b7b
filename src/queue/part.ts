import { UsageError } from '../errors.js';

/** What a job of the queue asks for: some images of the list, one after the other. */
export interface PartData {
  /** Index in the list of the first image. */
  readonly first: number;
  /** Classes of an image. */
  readonly top: number;
  readonly files: readonly string[];
}

/** What a job is done with. */
export interface PartResult {
  readonly images: number;
  readonly refused: number;
}

const DIGITS = 6;

/**
 * The name of a part of the list, which is the id of its job and of its file: sorted by name they are sorted by number.
 *
 * @throws UsageError `QUEUE_PARTS`
 */
export function partName(number: number): string {
  if (number < 10 ** DIGITS) return `part-${String(number).padStart(DIGITS, '0')}`;
  throw new UsageError(
    'QUEUE_PARTS',
    `list: expected at most ${10 ** DIGITS} parts, found more; a greater --job-size makes fewer`,
  );
}

/** Whether the id of a job is one of ours: other programs have queues in the same Redis. */
export function isPartName(id: string | undefined): boolean {
  return id !== undefined && /^part-\d{6}$/.test(id);
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

/** The complete lines of an unfinished output. */

import { createReadStream } from 'node:fs';
import { csvRow } from './record.js';
import type { BatchTask } from './unfinished.js';

/** The content of an existing line. */
export interface DoneLine {
  readonly index: number;
  readonly file: string;
  readonly isRefused: boolean;
  /** Bytes up to the next line, from the start. */
  readonly end: number;
}

const LINE_FEED = 0x0a;
const QUOTE = 0x22;

/** Most bytes of a record. */
const MAX_BYTES = 2 ** 23;

/**
 * Ends before the first torn line or one that is not a record. @param header first line of a CSV
 */
export async function* doneLines(
  path: string,
  format: BatchTask['format'],
  header: string,
): AsyncGenerator<DoneLine> {
  let isFirst = format === 'csv';
  for await (const { text, end } of wholeLines(path, format === 'csv')) {
    if (isFirst && text !== header) return;
    const record = isFirst ? undefined : format === 'csv' ? fromCsv(text, header) : fromJson(text);
    if (!isFirst && record === undefined) return;
    isFirst = false;
    if (record !== undefined) yield { ...record, end };
  }
}

/** Lines with their line feed; a line feed in quotes does not end a line of CSV. */
async function* wholeLines(path: string, hasQuotes: boolean): AsyncGenerator<{ text: string; end: number }> {
  let rest = Buffer.alloc(0);
  let start = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([rest, chunk]);
    let from = 0;
    for (let to = lineEnd(bytes, from, hasQuotes); to > 0; to = lineEnd(bytes, from, hasQuotes)) {
      yield { text: bytes.toString('utf8', from, to), end: start + to };
      from = to;
    }
    rest = bytes.subarray(from);
    start += from;
    if (rest.length > MAX_BYTES) return;
  }
}

/** The end of the line that begins at `from`; 0 if it has none. */
function lineEnd(bytes: Buffer, from: number, hasQuotes: boolean): number {
  if (!hasQuotes) return bytes.indexOf(LINE_FEED, from) + 1;
  let isQuoted = false;
  for (let i = from; i < bytes.length; i++) {
    if (bytes[i] === QUOTE) isQuoted = !isQuoted;
    else if (bytes[i] === LINE_FEED && !isQuoted) return i + 1;
  }
  return 0;
}

type Parsed = Omit<DoneLine, 'end'> | undefined;

function fromJson(text: string): Parsed {
  try {
    const { index, file, predictions, error } = JSON.parse(text);
    return checked(
      index,
      file,
      Array.isArray(predictions) !== (typeof error?.code === 'string'),
      error !== undefined,
    );
  } catch {
    return undefined;
  }
}

function fromCsv(text: string, header: string): Parsed {
  const fields = csvFields(text);
  const [index, file, error] = fields;
  // no name has a NUL character, but a disk that lost its power leaves them in place of lines
  const isWhole = /^\d{1,15}$/.test(index!) && csvRow(fields) === text && !text.includes('\0');
  return checked(Number(index), file, isWhole && fields.length === header.split(',').length, error !== '');
}

function checked(index: unknown, file: unknown, isRecord: boolean, isRefused: boolean): Parsed {
  const isWhole = isRecord && Number.isSafeInteger(index) && typeof file === 'string';
  return isWhole ? { index: index as number, file, isRefused } : undefined;
}

function csvFields(text: string): string[] {
  return [...text.slice(0, -1).matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!,
  );
}

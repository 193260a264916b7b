import { isUtf8 } from 'node:buffer';
import { createReadStream, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { FqvitError, RuntimeError } from '../errors.js';
import { shownSource } from '../platform/address.js';
import { joinPath } from '../platform/join-path.js';
import { pathReason } from '../platform/system-reason.js';
import { escapeBytes, walkImages } from './image-walk.js';

/** No path is longer; a file that is not a list is refused without being read to its end. */
const MAX_LINE = 32_768;

/**
 * The images of a batch as paths that can be opened: those below a folder, or the lines of a text
 * file or of stdin (`-`), without blank lines. Reads on demand.
 *
 * @throws RuntimeError `SOURCE`; FqvitError `TEXT` for a list that is not text, `IMAGES` for an
 *   empty one
 */
export async function* listOf(source: string, stdin?: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let isEmpty = true;
  for await (const path of await paths(source, stdin)) {
    isEmpty = false;
    yield path;
  }
  if (isEmpty) throw new FqvitError('IMAGES', `${nameOf(source)}: expected images, found none`);
}

/**
 * A list whose first image exists, so that nothing is created for a faulty one. @throws like
 * `listOf`
 */
export async function startList(list: AsyncGenerator<string>): Promise<AsyncIterable<string>> {
  const { done, value } = await list.next();
  return (async function* () {
    if (!done) yield value;
    yield* list;
  })();
}

/** The number of images, if known in advance. @throws like `listOf` */
export async function countOf(source: string): Promise<number | undefined> {
  if (source === '-') return undefined;
  const what = await look(source);
  if (!what.isFile() && !what.isDirectory()) return undefined; // a pipe can be read only once
  let count = 0;
  for await (const _ of listOf(source)) count++;
  return count;
}

async function paths(
  source: string,
  stdin: AsyncIterable<Uint8Array> | undefined,
): Promise<AsyncIterable<string>> {
  if (source === '-') return lines(stdin ?? process.stdin, nameOf(source));
  const what = await look(source);
  return what.isDirectory() ? below(source) : lines(createReadStream(source), source);
}

async function look(source: string): Promise<Stats> {
  return stat(source).catch((cause: unknown) => {
    throw unreadable(source, cause);
  });
}

async function* below(folder: string): AsyncGenerator<string> {
  for await (const path of walkImages(folder)) yield joinPath(folder, path);
}

async function* lines(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<string> {
  let rest = Buffer.alloc(0);
  let before = 0;
  for await (const chunk of readable(bytes, name)) {
    const all = Buffer.concat([rest, chunk]);
    const end = all.lastIndexOf(LINE_FEED) + 1;
    if (end > 0) {
      const texts = textOf(all.subarray(0, end), name, before).split('\n').slice(0, -1);
      yield* filled(texts);
      before += texts.length;
    }
    rest = all.subarray(end);
    if (rest.length > MAX_LINE && rest.toString().length > MAX_LINE) {
      throw new FqvitError(
        'TEXT',
        `${name}: expected a path a line, found a line above ${MAX_LINE} characters`,
      );
    }
  }
  yield* filled([textOf(rest, name, before)]);
}

const LINE_FEED = 0x0a;

function filled(found: readonly string[]): string[] {
  return found.map((line) => line.replace(/\r$/, '')).filter((line) => line.trim() !== '');
}

/** Complete lines. @param before how many lines of the list precede them */
function textOf(bytes: Buffer, name: string, before: number): string {
  if (isUtf8(bytes)) return bytes.toString().replace(before === 0 ? /^\ufeff/ : '', '');
  let line = before + 1;
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(LINE_FEED, start);
    const path = bytes.subarray(start, end < 0 ? bytes.length : end);
    if (!isUtf8(path)) {
      const found = escapeBytes(path.subarray(0, SHOWN_BYTES));
      throw new FqvitError(
        'TEXT',
        `${name}: expected a list of paths in UTF-8, found other bytes in line ${line}: ${found}`,
      );
    }
    line++;
    start = end + 1;
  }
}

/** The name of a source, for messages. */
const SHOWN_BYTES = 80;

async function* readable(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

function unreadable(source: string, cause: unknown): RuntimeError {
  return new RuntimeError(
    'SOURCE',
    `${shownSource(source).replaceAll('\0', '\\0')}: expected a folder or a list of paths, found ${pathReason(source, cause)}`,
    { cause },
  );
}

function nameOf(source: string): string {
  return source === '-' ? 'standard input' : source;
}

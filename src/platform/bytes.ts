import { readPath } from '#platform/file';
import { RuntimeError } from '../errors.js';
import { isAddress, shownSource } from './address.js';
import {
  checkReadOptions,
  checkSize,
  type NamedBytes,
  type ReadOptions,
  unreadableSource,
} from './read-options.js';
import { collect, readResponse, readUrl } from './read-url.js';

/**
 * Where bytes come from: a path (in a browser an address, relative to the page), URL, Blob, File,
 * Response or stream, or the bytes themselves. `load` also takes names of models.
 */
export type ByteSource =
  | string
  | URL
  | Uint8Array
  | ArrayBuffer
  | Blob
  | Response
  | ReadableStream<Uint8Array>;

/** The kinds of `ByteSource`, for messages. */
export const BYTE_SOURCES = 'bytes, a path, URL, Blob, Response or stream';

export function isByteSource(source: unknown): source is ByteSource {
  return (
    typeof source === 'string' ||
    source instanceof URL ||
    source instanceof Uint8Array ||
    source instanceof ArrayBuffer ||
    source instanceof Blob ||
    // last, because naming Response loads all of Node's fetch
    source instanceof ReadableStream ||
    source instanceof Response
  );
}

/**
 * Reads a whole source.
 *
 * @throws RuntimeError `SOURCE` for a file that cannot be read, a status other than 2xx, and a
 *   server that is silent for 30 s; the reason of `signal`; UsageError `SIGNAL`, `PROGRESS`,
 *   `PROXY`
 */
export async function readBytes(source: ByteSource, options: ReadOptions = {}): Promise<NamedBytes> {
  checkReadOptions(options);
  if (typeof source === 'string' || source instanceof URL) {
    const text = String(source);
    return isAddress(text) ? readUrl(text, options) : readPath(source, options);
  }
  if (source instanceof Uint8Array) return { bytes: source, name: 'bytes' };
  if (source instanceof ArrayBuffer) return { bytes: viewOf(source), name: 'bytes' };
  if (source instanceof Blob) return readBlob(source, options);
  // last, because naming Response loads all of Node's fetch
  if (source instanceof Response) return readResponse(source, shownSource(source.url) || 'response', options);
  if (source instanceof ReadableStream) return readStream(source, options);
  throw new RuntimeError(
    'SOURCE',
    `source: expected ${BYTE_SOURCES}, found ${Object.prototype.toString.call(source)}`,
  );
}

function viewOf(buffer: ArrayBuffer): Uint8Array {
  try {
    return new Uint8Array(buffer);
  } catch (cause) {
    throw new RuntimeError('SOURCE', 'bytes: expected an ArrayBuffer, found one that has been transferred', {
      cause,
    });
  }
}

async function readBlob(blob: Blob, options: ReadOptions): Promise<NamedBytes> {
  const name = blob instanceof File ? blob.name : 'blob';
  checkSize(blob.size, name, options);
  const buffer = await blob.arrayBuffer().catch((cause: unknown) => {
    throw unreadableSource(name, 'a readable blob', cause);
  });
  options.signal?.throwIfAborted();
  options.onProgress?.(buffer.byteLength, buffer.byteLength);
  return { bytes: new Uint8Array(buffer), name };
}

async function readStream(stream: ReadableStream<Uint8Array>, options: ReadOptions): Promise<NamedBytes> {
  if (stream.locked) {
    throw new RuntimeError('SOURCE', 'stream: expected one that nobody reads, found one that is locked');
  }
  return { bytes: await collect(stream, 'stream', undefined, options), name: 'stream' };
}

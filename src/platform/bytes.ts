import { RuntimeError } from '../errors.js';

/** Where bytes come from: a path or URL, a Blob or Response, or the bytes themselves. For a model `load` takes names too. */
export type ByteSource = string | URL | Uint8Array | ArrayBuffer | Blob | Response;

export interface ReadOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((loaded: number, total: number | undefined) => void) | undefined;
  /** A longer answer is refused where it passes this. Default `MAX_BYTES`, 2 GiB. */
  maxBytes?: number | undefined;
}

export interface NamedBytes {
  readonly bytes: Uint8Array;
  /** How messages name the source. */
  readonly name: string;
}

/** What one source may hold: also what Node reads of a file. */
export const MAX_BYTES = 2 ** 31;

/**
 * Reads a source whole.
 *
 * @throws RuntimeError `SOURCE` for a file that cannot be read or an answer that is not 2xx; the reason of `signal`
 */
export async function readBytes(source: ByteSource, options: ReadOptions = {}): Promise<NamedBytes> {
  options.signal?.throwIfAborted();
  if (typeof source === 'string' || source instanceof URL) {
    const text = String(source);
    return /^(https?|data|blob):/i.test(text) ? readUrl(text, options) : readPath(source, options);
  }
  if (source instanceof Uint8Array) return { bytes: source, name: 'bytes' };
  if (source instanceof ArrayBuffer) return { bytes: new Uint8Array(source), name: 'bytes' };
  if (source instanceof Blob) return readBlob(source, options);
  // the last, since naming Response loads all of Node's fetch
  if (source instanceof Response) return readResponse(source, source.url || 'response', options);
  throw new RuntimeError(
    'SOURCE',
    `source: expected a path, URL, bytes, Blob or Response, found ${Object.prototype.toString.call(source)}`,
  );
}

async function readBlob(blob: Blob, options: ReadOptions): Promise<NamedBytes> {
  const name = blob instanceof File ? blob.name : 'blob';
  checkSize(blob.size, name, options);
  const buffer = await blob.arrayBuffer().catch((cause: unknown) => {
    throw unreadable(name, 'a readable blob', cause);
  });
  options.signal?.throwIfAborted();
  return { bytes: new Uint8Array(buffer), name };
}

async function readUrl(url: string, options: ReadOptions): Promise<NamedBytes> {
  const name = /^data:/i.test(url) ? 'data URL' : url;
  const response = await fetch(url, options.signal ? { signal: options.signal } : {}).catch(
    (cause: unknown) => {
      options.signal?.throwIfAborted();
      throw unreadable(name, 'an answer', cause);
    },
  );
  return readResponse(response, name, options);
}

async function readResponse(response: Response, name: string, options: ReadOptions): Promise<NamedBytes> {
  if (response.bodyUsed || response.body?.locked) {
    throw new RuntimeError('SOURCE', `${name}: expected an unread response, found one that has been read`);
  }
  try {
    if (!response.ok) {
      throw new RuntimeError('SOURCE', `${name}: expected status 200, found ${response.status}`);
    }
    // Of a compressed answer the header counts what came over the wire.
    const length = response.headers.has('content-encoding')
      ? 0
      : Number(response.headers.get('content-length'));
    const total = Number.isSafeInteger(length) && length > 0 ? length : undefined;
    checkSize(total, name, options);
    if (response.body === null) return { bytes: new Uint8Array(0), name };
    return { bytes: await collect(response.body, name, total, options), name };
  } finally {
    // Ends the connection of an answer that is not wanted; of one that has been read nothing is left.
    response.body?.cancel().catch(() => {});
  }
}

async function readPath(source: string | URL, options: ReadOptions): Promise<NamedBytes> {
  const { signal, onProgress } = options;
  const name = String(source).replaceAll('\0', '\\0') || '""';
  const failed = (cause: unknown): never => {
    signal?.throwIfAborted();
    throw unreadable(name, 'a readable file', cause);
  };
  const { readFile, stat } = await import('node:fs/promises');
  const path = await toPath(source).catch(failed);
  const found = await stat(path).catch(failed);
  // Opening a pipe can block a thread for ever, and a device need not end.
  if (!found.isFile() && !found.isDirectory()) {
    throw new RuntimeError('SOURCE', `${name}: expected a file, found a pipe or device`);
  }
  checkSize(found.size, name, options);
  const { buffer, byteOffset, length } = await readFile(path, { signal }).catch(failed);
  onProgress?.(length, length);
  return { bytes: new Uint8Array(buffer, byteOffset, length), name };
}

async function toPath(source: string | URL): Promise<string | URL> {
  return typeof source === 'string' && /^file:/i.test(source) ? new URL(source) : source;
}

/** With a reader rather than `for await`, which not every browser has for streams. */
async function collect(
  stream: ReadableStream<Uint8Array>,
  name: string,
  total: number | undefined,
  options: ReadOptions,
): Promise<Uint8Array> {
  const { signal, onProgress } = options;
  const reader = stream.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal?.addEventListener('abort', stop);
  const parts: Uint8Array[] = [];
  let loaded = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        signal?.throwIfAborted();
        throw unreadable(name, `${total ?? 'all'} bytes`, cause, `${loaded} and then `);
      });
      signal?.throwIfAborted();
      if (done) break;
      parts.push(value);
      loaded += value.length;
      checkSize(loaded, name, options);
      onProgress?.(loaded, total);
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
    reader.releaseLock();
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function checkSize(size: number | undefined, name: string, { maxBytes = MAX_BYTES }: ReadOptions): void {
  if (size === undefined || size <= maxBytes) return;
  throw new RuntimeError('SOURCE', `${name}: expected at most ${maxBytes} bytes, found at least ${size}`);
}

/** The system's code says more than the exception around it (`fetch failed`). */
function unreadable(name: string, expected: string, cause: unknown, before = ''): RuntimeError {
  const { code, cause: inner } = (cause ?? {}) as { code?: unknown; cause?: { code?: unknown } };
  const reason = [code, inner?.code].find((value) => typeof value === 'string') ?? String(cause);
  return new RuntimeError('SOURCE', `${name}: expected ${expected}, found ${before}${reason}`, { cause });
}

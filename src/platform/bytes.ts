import { RuntimeError } from '../errors.js';

/** Where bytes come from: a path or URL, a Blob or Response, or the bytes themselves. */
export type ByteSource = string | URL | Uint8Array | ArrayBuffer | Blob | Response;

export interface ReadOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((loaded: number, total: number | undefined) => void) | undefined;
}

export interface NamedBytes {
  readonly bytes: Uint8Array;
  /** How messages name the source; undefined for plain bytes. */
  readonly name: string;
}

/**
 * Reads a source whole.
 *
 * @throws RuntimeError `SOURCE` for a file that cannot be read or an answer that is not 2xx; the reason of `signal`
 */
export async function readBytes(source: ByteSource, options: ReadOptions = {}): Promise<NamedBytes> {
  options.signal?.throwIfAborted();
  if (source instanceof Uint8Array) return { bytes: source, name: 'bytes' };
  if (source instanceof ArrayBuffer) return { bytes: new Uint8Array(source), name: 'bytes' };
  if (source instanceof Blob) {
    const name = source instanceof File ? source.name : 'blob';
    return { bytes: new Uint8Array(await source.arrayBuffer()), name };
  }
  if (source instanceof Response) return readResponse(source, source.url || 'response', options);
  if (typeof source !== 'string' && !(source instanceof URL)) {
    throw new RuntimeError(
      'SOURCE',
      `source: expected a path, URL, bytes, Blob or Response, found ${Object.prototype.toString.call(source)}`,
    );
  }
  const text = String(source);
  if (/^(https?|data|blob):/.test(text)) {
    const response = await fetch(text, options.signal ? { signal: options.signal } : {}).catch((cause: unknown) => {
      options.signal?.throwIfAborted();
      throw new RuntimeError('SOURCE', `${text}: expected an answer, found ${String(cause)}`, { cause });
    });
    return readResponse(response, text, options);
  }
  return readPath(source, options);
}

async function readPath(source: string | URL, { signal, onProgress }: ReadOptions): Promise<NamedBytes> {
  const { readFile } = await import('node:fs/promises');
  const path = typeof source === 'string' && source.startsWith('file:') ? new URL(source) : source;
  try {
    const bytes = new Uint8Array(await readFile(path, { signal }));
    onProgress?.(bytes.length, bytes.length);
    return { bytes, name: String(source) };
  } catch (cause) {
    signal?.throwIfAborted();
    throw new RuntimeError(
      'SOURCE',
      `${String(source).replaceAll('\0', '\\0')}: expected a readable file, found ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      { cause },
    );
  }
}

async function readResponse(response: Response, name: string, { signal, onProgress }: ReadOptions): Promise<NamedBytes> {
  if (!response.ok) throw new RuntimeError('SOURCE', `${name}: expected status 200, found ${response.status}`);
  const length = Number(response.headers.get('content-length')) || undefined;
  const chunks: Uint8Array[] = [];
  let loaded = 0;
  try {
    for await (const chunk of response.body ?? []) {
      signal?.throwIfAborted();
      chunks.push(chunk);
      loaded += chunk.length;
      onProgress?.(loaded, length);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw new RuntimeError('SOURCE', `${name}: expected ${length ?? 'all'} bytes, the answer broke off after ${loaded}`, {
      cause,
    });
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return { bytes, name };
}

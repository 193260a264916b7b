import { request } from '#platform/fetch';
import { FqvitError, RuntimeError } from '../errors.js';
import { shownSource } from './address.js';
import { breathe } from './breathe.js';
import { joined } from './joined.js';
import { checkSize, type NamedBytes, type ReadOptions, unreadable } from './read-options.js';
import { reasonOf, Watch } from './watch.js';

/** Of a server that is there, and slow, an answer still comes within this. */
export const SILENCE_MS = 30_000;

/**
 * @throws RuntimeError `SOURCE` where nothing answers, or not with a whole 2xx, nothing more comes for `silenceMs`, or for long less than 1 kB/s; UsageError `PROXY`;
 *   the reason of `signal`
 */
export async function readUrl(url: string, options: ReadOptions): Promise<NamedBytes> {
  const name = shownSource(url);
  if (hasUser(url)) {
    throw new RuntimeError(
      'SOURCE',
      `${name}: expected an address without user and password, found one with them`,
    );
  }
  const watch = new Watch(options.signal, options.silenceMs ?? SILENCE_MS);
  try {
    const response = await watch.within(request(url, { signal: watch.signal })).catch((cause: unknown) => {
      options.signal?.throwIfAborted();
      throw cause instanceof FqvitError ? cause : unreadable(name, 'an answer', cause, watch.reason(cause));
    });
    return await readResponse(response, name, options, watch);
  } finally {
    watch.end();
  }
}

/** Engines do not send them: some refuse them and repeat them, others leave them out. */
function hasUser(url: string): boolean {
  const { username, password } = URL.canParse(url) ? new URL(url) : { username: '', password: '' };
  return username !== '' || password !== '';
}

/** @param watch of a request that is ours */
export async function readResponse(
  response: Response,
  name: string,
  options: ReadOptions,
  watch?: Watch,
): Promise<NamedBytes> {
  if (response.bodyUsed || response.body?.locked) {
    throw new RuntimeError('SOURCE', `${name}: expected an unread response, found one that has been read`);
  }
  try {
    // nobody asked for a part
    if (!response.ok || response.status === 206) {
      throw new RuntimeError('SOURCE', `${name}: expected status 200, found ${response.status}`);
    }
    // Of a compressed answer the header counts what came over the wire.
    const length = response.headers.has('content-encoding')
      ? 0
      : Number(response.headers.get('content-length'));
    const total = Number.isSafeInteger(length) && length > 0 ? length : undefined;
    checkSize(total, name, options);
    if (response.body === null) return { bytes: new Uint8Array(0), name };
    return { bytes: await collect(response.body, name, total, options, watch), name };
  } finally {
    // Ends the connection of an answer that is not wanted; of one that has been read nothing is left.
    response.body?.cancel().catch(() => {});
  }
}

/** With a reader rather than `for await`, which not every browser has for streams. */
export async function collect(
  stream: ReadableStream<Uint8Array>,
  name: string,
  total: number | undefined,
  options: ReadOptions,
  watch?: Watch,
): Promise<Uint8Array> {
  const { signal, onProgress } = options;
  const reader = stream.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal?.addEventListener('abort', stop);
  const parts: Uint8Array[] = [];
  let loaded = 0;
  try {
    for (;;) {
      const reading = reader.read();
      const { done, value } = await (watch?.part(reading) ?? reading).catch((cause: unknown) => {
        signal?.throwIfAborted();
        const found = `${loaded} and then ${watch?.reason(cause) ?? reasonOf(cause)}`;
        throw unreadable(name, `${total ?? 'all'} bytes`, cause, found);
      });
      signal?.throwIfAborted();
      if (done) break;
      if (!((value as unknown) instanceof Uint8Array)) {
        const found = Object.prototype.toString.call(value);
        throw new RuntimeError('SOURCE', `${name}: expected chunks that are Uint8Arrays, found ${found}`);
      }
      // A stream that gives nothing without end would keep timers and signals from running.
      if (value.length === 0) await breathe();
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
  return joined(parts, loaded);
}

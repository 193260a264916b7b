import { request } from '#platform/fetch';
import { FqvitError, RuntimeError } from '../errors.js';
import { shownSource } from './address.js';
import { joinBytes } from './join-bytes.js';
import { checkSize, type NamedBytes, type ReadOptions, unreadableSource } from './read-options.js';
import { reasonOf, Watch } from './watch.js';
import { yieldToEvents } from './yield-to-events.js';

/** A slow server still answers within this time. */
export const SILENCE_MS = 30_000;

/**
 * @throws RuntimeError `SOURCE` without a complete 2xx answer, after a silence of `silenceMs`, or
 *   if the answer stays below 1 kB/s for long; UsageError `PROXY`; the reason of `signal`
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
      throw cause instanceof FqvitError
        ? cause
        : unreadableSource(name, 'an answer', cause, watch.reason(cause));
    });
    return await readResponse(response, name, options, watch);
  } finally {
    watch.end();
  }
}

/** Engines do not send user and password: some refuse them and repeat them, others drop them. */
function hasUser(url: string): boolean {
  const { username, password } = URL.canParse(url) ? new URL(url) : { username: '', password: '' };
  return username !== '' || password !== '';
}

/** @param watch the watch of our own request */
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
    // not requested
    if (!response.ok || response.status === 206) {
      throw new RuntimeError('SOURCE', `${name}: expected status 200, found ${response.status}`);
    }
    // The header of a compressed answer counts the compressed bytes.
    const length = response.headers.has('content-encoding')
      ? 0
      : Number(response.headers.get('content-length'));
    const total = Number.isSafeInteger(length) && length > 0 ? length : undefined;
    checkSize(total, name, options);
    if (response.body === null) return { bytes: new Uint8Array(0), name };
    return { bytes: await collect(response.body, name, total, options, watch), name };
  } finally {
    // Ends the connection of an unwanted answer; does nothing after a complete one.
    response.body?.cancel().catch(() => {});
  }
}

/** With a reader, because not every browser has `for await` for streams. */
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
        throw unreadableSource(name, `${total ?? 'all'} bytes`, cause, found);
      });
      signal?.throwIfAborted();
      if (done) break;
      if (!((value as unknown) instanceof Uint8Array)) {
        const found = Object.prototype.toString.call(value);
        throw new RuntimeError('SOURCE', `${name}: expected chunks that are Uint8Arrays, found ${found}`);
      }
      // An endless stream of empty chunks would block timers and signals.
      if (value.length === 0) await yieldToEvents();
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
  return joinBytes(parts, loaded);
}

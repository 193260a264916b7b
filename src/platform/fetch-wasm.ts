import { request } from '#platform/fetch';
import { RuntimeError } from '../errors.js';
import { shownSource } from './address.js';
import { SILENCE_MS } from './read-url.js';
import { Watch } from './watch.js';

/**
 * A WebAssembly file at an address.
 *
 * @throws RuntimeError `WASM_MISSING` if it cannot be fetched; the reason of `signal`
 */
export async function fetchWasm(url: URL, signal?: AbortSignal): Promise<Response | Uint8Array<ArrayBuffer>> {
  // Bundlers inline small files as data: URLs, and a page's policy may forbid `fetch` of those.
  if (url.protocol === 'data:') return bytesOf(url);
  const watch = new Watch(signal, SILENCE_MS);
  const answer = await watch.within(request(url, { signal: watch.signal })).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw missing(url, watch.reason(cause), cause);
  });
  if (answer.ok) return answer;
  answer.body?.cancel().catch(() => {});
  throw missing(url, `status ${answer.status}`);
}

/** The bytes of a base64 `data:` URL, the form that bundlers write. */
function bytesOf({ href }: URL): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(href.slice(href.indexOf(',') + 1)), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw missing('data URL', 'no base64', cause);
  }
}

function missing(url: URL | string, found: string, cause?: unknown): RuntimeError {
  return new RuntimeError(
    'WASM_MISSING',
    `${shownSource(url)}: expected a WebAssembly module, found ${found}`,
    { cause },
  );
}

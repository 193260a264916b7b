import { RuntimeError } from '../errors.js';

/**
 * A WebAssembly file at an address.
 *
 * @throws RuntimeError `WASM_MISSING` if it cannot be fetched
 */
export async function fetchWasm(url: URL): Promise<Response | Uint8Array<ArrayBuffer>> {
  // bundlers put small files into their URLs, which a page's policy need not let `fetch` have
  if (url.protocol === 'data:') return bytesOf(url);
  const answer = await fetch(url).catch((cause: unknown) => {
    throw missing(url, String(cause), cause);
  });
  if (answer.ok) return answer;
  answer.body?.cancel().catch(() => {});
  throw missing(url, `status ${answer.status}`);
}

/** Of a `data:` URL in base64, the form that bundlers write. */
function bytesOf({ href }: URL): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(href.slice(href.indexOf(',') + 1)), (character) => character.charCodeAt(0));
}

function missing(url: URL, found: string, cause?: unknown): RuntimeError {
  return new RuntimeError('WASM_MISSING', `${url}: expected a WebAssembly module, found ${found}`, { cause });
}

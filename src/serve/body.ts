import { shown } from '../checkpoint/shown.js';
import { joined } from '../platform/joined.js';
import { Problem } from './problem.js';

/**
 * Refuses an encoded body: only its content type is applied.
 *
 * @throws Problem 415 `CONTENT_ENCODING`, 501 `TRANSFER_ENCODING`
 */
export function refuseCodings(headers: Headers): void {
  const content = codings(headers, 'content-encoding').find((coding) => coding !== 'identity');
  if (content !== undefined) {
    const message = `content-encoding: expected identity, found ${shown(content)}`;
    throw new Problem(415, 'CONTENT_ENCODING', message, { 'accept-encoding': 'identity' });
  }
  const transfer = codings(headers, 'transfer-encoding').find((coding) => coding !== 'chunked');
  if (transfer !== undefined) {
    const message = `transfer-encoding: expected chunked, found ${shown(transfer)}`;
    throw new Problem(501, 'TRANSFER_ENCODING', message, CLOSE);
  }
}

/** The codings in lower case; empty list elements are skipped. */
function codings(headers: Headers, name: string): string[] {
  const list = (headers.get(name) ?? '').split(',');
  return list.map((coding) => coding.trim().toLowerCase()).filter((coding) => coding !== '');
}

/**
 * The body, at most `maxBytes`: what the sender says of its length is not enough.
 *
 * @param signal ends a body that comes too slowly
 * @throws Problem 413 `BODY_TOO_LARGE`, 400 `BODY_CUT`; the reason of `signal`
 */
export async function readBody(
  { headers, body }: Request,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (Number(headers.get('content-length')) > maxBytes) throw tooLarge(maxBytes);
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  const aborted = abortOf(signal);
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), aborted]);
      if (done) return joined(parts, length);
      length += value.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      parts.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof Problem) throw error;
    throw new Problem(400, 'BODY_CUT', 'body: expected one to its end, found a connection that ended', CLOSE);
  }
}

/** The rest of the body is not read. */
const CLOSE = { connection: 'close' };

function tooLarge(maxBytes: number): Problem {
  return new Problem(413, 'BODY_TOO_LARGE', `body: expected at most ${maxBytes} bytes, found more`);
}

function abortOf(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {}); // also where it comes after the body
  return aborted;
}

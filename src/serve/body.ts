import { formatValue } from '../text/format-value.js';
import { Problem } from './problem.js';

/**
 * Refuses an encoded body: only its content type is applied.
 *
 * @throws Problem 415 `CONTENT_ENCODING`, 501 `TRANSFER_ENCODING`
 */
export function refuseCodings(headers: Headers): void {
  const content = codings(headers, 'content-encoding').find((coding) => coding !== 'identity');
  if (content !== undefined) {
    const message = `content-encoding: expected identity, found ${formatValue(content)}`;
    throw new Problem(415, 'CONTENT_ENCODING', message, { 'accept-encoding': 'identity' });
  }
  const transfer = codings(headers, 'transfer-encoding').find((coding) => coding !== 'chunked');
  if (transfer !== undefined) {
    const message = `transfer-encoding: expected chunked, found ${formatValue(transfer)}`;
    throw new Problem(501, 'TRANSFER_ENCODING', message, CLOSE);
  }
}

/** The codings in lower case; empty list elements are skipped. */
function codings(headers: Headers, name: string): string[] {
  const list = (headers.get(name) ?? '').split(',');
  return list.map((coding) => coding.trim().toLowerCase()).filter((coding) => coding !== '');
}

/** Closes the connection: the rest of the body is not read. */
const CLOSE = { connection: 'close' };

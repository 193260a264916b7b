import { joinBytes } from './join-bytes.js';
import { sha256 } from './sha256.js';

/**
 * SHA-256 of bytes in parts, 64 hexadecimal digits; undefined in pages that are not secure, which
 * have no `crypto.subtle`.
 */
export async function hashParts(parts: readonly Uint8Array[]): Promise<string | undefined> {
  if (globalThis.crypto?.subtle === undefined) return undefined;
  const length = parts.reduce((total, part) => total + part.length, 0);
  return sha256(joinBytes(parts, length));
}

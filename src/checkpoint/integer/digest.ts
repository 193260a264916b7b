import { hashParts } from '#platform/hash';
import { CheckpointError } from '../../errors.js';
import { sha256 } from '../../platform/sha256.js';
import { HEADER_START } from '../safetensors/header.js';

/**
 * The integrity digest of an integer checkpoint: the SHA-256 of the file with the digest's own 64
 * digits replaced by zeros. It detects damage, not malice.
 */

/** The metadata key of the digest. */
export const DIGEST_KEY = 'sha256';
export const NO_DIGEST = '0'.repeat(64);

/** Writes the digest of a file into it. @param bytes a file with the digest {@link NO_DIGEST} */
export async function seal(bytes: Uint8Array): Promise<Uint8Array> {
  const at = placeOf(bytes, NO_DIGEST);
  bytes.set(new TextEncoder().encode(await sha256(bytes)), at);
  return bytes;
}

/**
 * Compares a file with its digest. Engines without `crypto.subtle`, as pages that are not secure,
 * skip the check.
 *
 * @param digest as `readIntegerModel` finds it
 * @throws CheckpointError `MODEL_DIGEST`
 */
export async function checkDigest(bytes: Uint8Array, digest: string, file: string): Promise<void> {
  const at = placeOf(bytes, digest);
  const zeros = new TextEncoder().encode(NO_DIGEST);
  const found = await hashParts([bytes.subarray(0, at), zeros, bytes.subarray(at + zeros.length)]);
  if (found === undefined || found === digest) return;
  throw new CheckpointError(
    'MODEL_DIGEST',
    `${file}: expected the SHA-256 ${digest}, as the file says, found ${found}: the file is damaged`,
  );
}

/**
 * The offset of the digest's digits: between quotes, which are escaped inside the description. In
 * latin1, characters are bytes.
 */
function placeOf(bytes: Uint8Array, digest: string): number {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = new TextDecoder('latin1').decode(bytes.subarray(0, HEADER_START + size));
  return header.indexOf(`"${digest}"`) + 1;
}

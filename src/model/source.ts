import { readNamedModel } from '#model/source';
import { cacheFor } from '#platform/model-cache';
import { RuntimeError, UsageError } from '../errors.js';
import { shownSource } from '../platform/address.js';
import { type ByteSource, readBytes } from '../platform/bytes.js';
import { checkReadOptions, type ModelReadOptions, type NamedBytes } from '../platform/read-options.js';
import { sha256 } from '../platform/sha256.js';
import { formatValue } from '../text/format-value.js';

/**
 * Reads the source of `load`: what `readBytes` takes, the name of a bundled model, or a model on
 * the hub. With a digest, an intact copy in the cache is used.
 *
 * @throws RuntimeError `SOURCE`, `INTEGRITY`; UsageError `SHA256`, `SIGNAL`, `PROGRESS`; HubError;
 *   the reason of `signal`
 */
export async function readModel(source: ByteSource, options: ModelReadOptions): Promise<NamedBytes> {
  checkReadOptions(options);
  const { cache: keeps = true, signal } = options;
  if (options.sha256 === undefined) return readAny(source, options);
  const expected = digits(options.sha256);
  const isNamed = typeof source === 'string' || source instanceof URL;
  const cache = keeps && isNamed ? cacheFor(source) : undefined;
  const kept = await cache?.get(expected).catch(() => undefined);
  if (kept !== undefined && (await digest(kept)) === expected) {
    options.onProgress?.(kept.length, kept.length);
    return { bytes: kept, name: shownSource(source as string | URL) };
  }
  signal?.throwIfAborted();
  const read = await readAny(source, options);
  const found = await digest(read.bytes);
  if (found !== expected) {
    throw new RuntimeError('INTEGRITY', `${read.name}: expected the SHA-256 ${expected}, found ${found}`);
  }
  // without room for a copy, the model still loads
  await cache?.put(expected, read.bytes).catch(() => {});
  return read;
}

/** @throws UsageError `SHA256` */
function digits(sha256: string): string {
  if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/i.test(sha256)) return sha256.toLowerCase();
  throw new UsageError('SHA256', `sha256: expected 64 hexadecimal digits, found ${formatValue(sha256)}`);
}

function readAny(source: ByteSource, options: ModelReadOptions): Promise<NamedBytes> {
  return typeof source === 'string' ? readNamedModel(source, options) : readBytes(source, options);
}

/**
 * @throws RuntimeError `INTEGRITY` if the engine has no digests, as in a page that is neither
 *   secure nor local
 */
async function digest(bytes: Uint8Array): Promise<string> {
  if (globalThis.crypto?.subtle === undefined) {
    throw new RuntimeError(
      'INTEGRITY',
      'sha256: expected a page with crypto.subtle, found one that is not secure',
    );
  }
  return sha256(bytes);
}

import { RuntimeError, UsageError } from '../errors.js';
import { reasonOf } from './watch.js';

export interface ReadOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((loaded: number, total: number | undefined) => void) | undefined;
  /** Largest answer in bytes. Default `MAX_BYTES`, 2 GiB. */
  maxBytes?: number | undefined;
  /** Milliseconds that a server may be silent. Default 30,000. */
  silenceMs?: number | undefined;
}

export interface NamedBytes {
  readonly bytes: Uint8Array;
  /** Name of the source in messages. */
  readonly name: string;
}

/** @throws the reason of an aborted signal; UsageError `SIGNAL` for another value */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  if (typeof signal?.throwIfAborted === 'function') {
    signal.throwIfAborted();
    return;
  }
  const found = Object.prototype.toString.call(signal);
  throw new UsageError('SIGNAL', `signal: expected an AbortSignal, found ${found}`);
}

/** @throws as `checkSignal`; UsageError `PROGRESS` */
export function checkReadOptions({ signal, onProgress }: ReadOptions): void {
  checkSignal(signal);
  if (onProgress === undefined || typeof onProgress === 'function') return;
  const found = Object.prototype.toString.call(onProgress);
  throw new UsageError('PROGRESS', `onProgress: expected a function, found ${found}`);
}

/** Largest source in bytes, which is also Node's limit for a file. */
export const MAX_BYTES = 2 ** 31;

/** @throws RuntimeError `SOURCE` */
export function checkSize(
  size: number | undefined,
  name: string,
  { maxBytes = MAX_BYTES }: ReadOptions,
): void {
  if (size === undefined || size <= maxBytes) return;
  throw new RuntimeError('SOURCE', `${name}: expected at most ${maxBytes} bytes, found at least ${size}`);
}

export function unreadableSource(
  name: string,
  expected: string,
  cause: unknown,
  found = reasonOf(cause),
): RuntimeError {
  return new RuntimeError('SOURCE', `${name}: expected ${expected}, found ${found}`, { cause });
}

export interface ModelReadOptions extends ReadOptions {
  /** Called for non-fatal problems. */
  onWarning?: ((message: string) => void) | undefined;
  /** SHA-256 of the model. Other bytes are refused, and a downloaded model is kept. */
  sha256?: string | undefined;
  /** `false` keeps nothing. */
  cache?: boolean | undefined;
}

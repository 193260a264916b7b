/** Safetensors files made by hand, so that they can be wrong in exactly one way. */

import { expect } from '@jest/globals';
import { CheckpointError } from '../../src/errors.js';

/** A file with this header text (or these bytes), `dataBytes` zero bytes of data and, if given, another header length. */
export function rawFile(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const encoded = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + encoded.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(encoded.length), true);
  file.set(encoded, 8);
  return file;
}

/** Runs `call`, which must throw a CheckpointError, and returns it. Fails if it takes longer than `limitMs`. */
export function refusal(call: () => unknown, limitMs = 1000): CheckpointError {
  const start = performance.now();
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(performance.now() - start).toBeLessThan(limitMs);
  if (thrown instanceof CheckpointError) return thrown;
  throw new Error(`expected a CheckpointError, found ${thrown ?? 'no error'}`, { cause: thrown });
}

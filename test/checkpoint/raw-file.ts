/** Handmade safetensors files, which can have exactly one error. */

import { expect } from '@jest/globals';
import fc from 'fast-check';
import { CheckpointError } from '../../src/errors.js';

/** A file with this header, `dataBytes` zero bytes of data and, if given, another header length. */
export function rawFile(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const encoded = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + encoded.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(encoded.length), true);
  file.set(encoded, 8);
  return file;
}

/**
 * Starts a clock. It shows the smaller of wall time, which a busy machine increases, and CPU time,
 * which includes all threads. Neither is less than the time of the caller's own work.
 *
 * @returns a function that returns the milliseconds since the start
 */
function clock(): () => number {
  const start = performance.now();
  const used = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(used);
    return Math.min(performance.now() - start, (user + system) / 1000);
  };
}

/** Returns the CheckpointError that `call` must throw within `limitMs`. */
export function refusal(call: () => unknown, limitMs = 1000): CheckpointError {
  const elapsed = clock();
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(elapsed()).toBeLessThan(limitMs);
  if (thrown instanceof CheckpointError) return thrown;
  throw new Error(`expected a CheckpointError, found ${thrown ?? 'no error'}`, { cause: thrown });
}

/**
 * Overwrites random bytes of a valid file. `read` must accept it or throw a CheckpointError within
 * half a second.
 *
 * @param place maps a random number to the offset of a byte
 * @returns how many files were refused
 */
export function refusedAfterDamage(
  sound: Uint8Array,
  read: (file: Uint8Array) => unknown,
  { place, numRuns }: { place: (at: number, headerEnd: number) => number; numRuns: number },
): number {
  const damage = fc.array(fc.record({ at: fc.nat(), value: fc.nat(255) }), { minLength: 1, maxLength: 4 });
  const headerEnd = 8 + Number(new DataView(sound.buffer).getBigUint64(0, true));
  let refusals = 0;
  fc.assert(
    fc.property(damage, (changes) => {
      const file = sound.slice();
      for (const { at, value } of changes) file[place(at, headerEnd)] = value;
      const elapsed = clock();
      try {
        read(file);
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        refusals++;
      }
      expect(elapsed()).toBeLessThan(500);
    }),
    { numRuns },
  );
  return refusals;
}

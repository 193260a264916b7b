/** Safetensors files made by hand, so that they can be wrong in exactly one way. */

import { expect } from '@jest/globals';
import fc from 'fast-check';
import { CheckpointError } from '../../src/errors.js';

/** A file with this header text (or these bytes), `dataBytes` zero bytes of data and, if given, another header length. */
export function rawFile(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const encoded = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + encoded.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(encoded.length), true);
  file.set(encoded, 8);
  return file;
}

/** Of the processor, which a busy machine does not lengthen as it does the time of day. */
function milliseconds(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

/** Runs `call`, which must throw a CheckpointError, and returns it. Fails if it takes more of the processor than `limitMs`. */
export function refusal(call: () => unknown, limitMs = 1000): CheckpointError {
  const start = process.cpuUsage();
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(milliseconds(start)).toBeLessThan(limitMs);
  if (thrown instanceof CheckpointError) return thrown;
  throw new Error(`expected a CheckpointError, found ${thrown ?? 'no error'}`, { cause: thrown });
}

/**
 * Overwrites bytes of a sound file at random: `read` takes it or throws a CheckpointError, within half a second.
 *
 * @param place of the byte that a random number stands for  @returns how many files were refused
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
      const start = process.cpuUsage();
      try {
        read(file);
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        refusals++;
      }
      expect(milliseconds(start)).toBeLessThan(500);
    }),
    { numRuns },
  );
  return refusals;
}

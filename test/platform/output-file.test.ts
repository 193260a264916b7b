import * as fs from 'node:fs';
import { expect, jest, test } from '@jest/globals';
import { Scratch } from '../cli/support.js';

/** A disk that is full after this many bytes. */
let room = Number.POSITIVE_INFINITY;

jest.unstable_mockModule('node:fs', () => ({
  ...fs,
  writeFileSync: (file: number, bytes: Uint8Array) => {
    fs.writeFileSync(file, bytes.subarray(0, room));
    if (bytes.length > room) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' });
  },
}));

const { writeOutput } = await import('../../src/platform/output-file.js');
const scratch = new Scratch();

test('writes a whole file, which replaces the old one', () => {
  const path = scratch.write('out', 'old');
  room = Number.POSITIVE_INFINITY;
  writeOutput(path, Uint8Array.of(1, 2, 3), { force: true });
  expect(scratch.read('out')).toEqual(Uint8Array.of(1, 2, 3));
  expect(fs.readdirSync(scratch.path)).toEqual(['out']);
});

test('on a full disk, reports it and leaves only the old file', () => {
  const path = scratch.write('out', 'old');
  room = 1;
  expect(() => writeOutput(path, Uint8Array.of(1, 2, 3), { force: true })).toThrow(
    expect.objectContaining({
      code: 'OUTPUT',
      message: `${path}: expected room for 3 bytes, found no space left on the device (ENOSPC)`,
    }),
  );
  expect(new TextDecoder().decode(scratch.read('out'))).toBe('old');
  expect(fs.readdirSync(scratch.path)).toEqual(['out']);
});

test('without force, keeps a file that took the name meanwhile', () => {
  const path = scratch.write('out', 'of another run');
  room = Number.POSITIVE_INFINITY;
  expect(() => writeOutput(path, Uint8Array.of(1, 2, 3), { force: false })).toThrow(
    expect.objectContaining({ code: 'OUTPUT_EXISTS' }),
  );
  expect(new TextDecoder().decode(scratch.read('out'))).toBe('of another run');
  expect(fs.readdirSync(scratch.path)).toEqual(['out']);
});

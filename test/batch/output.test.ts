import * as promises from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { expect, jest, test } from '@jest/globals';
import { Scratch } from '../cli/support.js';

/** Characters that the disk still takes. */
let room = Number.POSITIVE_INFINITY;

jest.unstable_mockModule('node:fs/promises', () => ({
  ...promises,
  open: async (path: string, flags: string) => {
    const file = await promises.open(path, flags);
    const append = file.appendFile.bind(file);
    file.appendFile = async (text) => {
      const fits = String(text).slice(0, room);
      room -= fits.length;
      await append(fits);
      if (fits !== text) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    return file;
  },
}));

const { FileOutput } = await import('../../src/batch/output.js');
const scratch = new Scratch();
const text = (name: string) => new TextDecoder().decode(scratch.read(name));

test('lines are on the disk soon, and all of them when it is closed', async () => {
  const output = await FileOutput.create(scratch.at('new'));
  output.add('a\n');
  output.add('b\n');
  await setTimeout(600);
  expect(text('new')).toBe('a\nb\n');
  output.add('c\n');
  await output.close();
  expect(text('new')).toBe('a\nb\nc\n');
});

test('a file is not created in the place of another; it is extended from where it is whole', async () => {
  scratch.write('old', 'a\nb\nto');
  await expect(FileOutput.create(scratch.at('old'))).rejects.toMatchObject({ code: 'OUTPUT' });
  const output = await FileOutput.extend(scratch.at('old'), 4);
  output.add('c\n');
  await output.close();
  expect(text('old')).toBe('a\nb\nc\n');
});

test('where there are too many lines, one waits until they are written', async () => {
  const output = await FileOutput.create(scratch.at('many'));
  expect(output.room()).toBeUndefined();
  output.add('x'.repeat(2 ** 20));
  await output.room();
  expect(scratch.read('many')).toHaveLength(2 ** 20);
  await output.close();
});

test('a full disk: a clear error, and nothing behind the lines that it took', async () => {
  const output = await FileOutput.create(scratch.at('full'));
  room = 3;
  output.add('a\n');
  output.add('b\n');
  const error = {
    code: 'OUTPUT',
    message: `${scratch.at('full')}: expected room for lines, found no space left on the device (ENOSPC); make room, then run the same command to continue`,
  };
  await expect(output.failed).rejects.toMatchObject(error);
  room = 9;
  output.add('c\n');
  await expect(output.close()).rejects.toMatchObject(error);
  expect(text('full')).toBe('a\nb');
});

test.each<[string, string, (path: string) => Promise<unknown>]>([
  ['removed', 'nothing', (path) => promises.rm(path)],
  ['emptied', '3 bytes', (path) => promises.truncate(path)],
  ['replaced', 'another file', (path) => promises.rm(path).then(() => promises.writeFile(path, 'aß\nb\n'))],
])('an output that is %s meanwhile is not said to be whole', async (_, found, disturb) => {
  room = Number.POSITIVE_INFINITY;
  const path = scratch.at('disturbed');
  await promises.rm(path, { force: true });
  const output = await FileOutput.create(path);
  output.add('aß\n');
  await setTimeout(600);
  await disturb(path);
  output.add('b\n\n');
  await expect(output.close()).rejects.toMatchObject({
    code: 'OUTPUT',
    message: `${path}: expected the 7 bytes that were written, found ${found}`,
  });
});

import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { type BatchOptions, type Counts, runBatch } from '../../src/batch/run.js';
import { type BatchTask, claim } from '../../src/batch/unfinished.js';
import { ImageError } from '../../src/errors.js';
import { Scratch } from '../cli/support.js';

const scratch = new Scratch();
const path = scratch.at('out');

const TASK: BatchTask = {
  fqvit: '0.1.0',
  model: 'm',
  input: 'list',
  format: 'jsonl',
  order: 'list',
  top: 1,
  maxPixels: 9,
};

/** Some are bad, some have names that need quotes. */
const FILES = Array.from({ length: 30 }, (_, i) => `${i % 4 ? '' : 'é, "\n-'}${i}.png`);

async function classify(file: string) {
  for (let i = file.length % 3; i > 0; i--) await setImmediate();
  if (file.includes('7')) throw new ImageError('IMAGE_EMPTY', `${file}: "empty", found\nnothing`);
  return [{ index: 1, label: 'cat, or dog', probability: 1 / file.length }];
}

async function* listed(files: readonly string[]): AsyncGenerator<string> {
  yield* files;
}

/** Claims the output as the command line does, and runs. */
async function run(task: BatchTask, files: readonly string[] = FILES, options: Partial<BatchOptions> = {}) {
  let there: Counts | undefined;
  let computed = 0;
  await runBatch({
    task,
    output: path,
    continues: claim(path, task, false),
    images: listed(files),
    classify,
    classes: 1,
    meaning: 'softmax',
    atOnce: 4,
    onStart: (counts) => {
      there = counts;
    },
    onRecord: () => computed++,
    ...options,
  });
  return { there: there!, computed };
}

/** As after a run that ended without a word. */
function leave(task: BatchTask, output: string | Uint8Array): void {
  rmSync(`${path}.unfinished`, { force: true });
  claim(path, task, true);
  const note = JSON.parse(readFileSync(`${path}.unfinished`, 'utf8'));
  writeFileSync(`${path}.unfinished`, JSON.stringify({ ...note, writer: { pid: 2 ** 22 + 1, start: '' } }));
  writeFileSync(path, output);
}

async function whole(task: BatchTask): Promise<Buffer> {
  leave(task, '');
  await run(task);
  expect(existsSync(`${path}.unfinished`)).toBe(false);
  return readFileSync(path);
}

/** Whole records; where the order is free, in one. */
function records(task: BatchTask, output: Buffer): string[] {
  const text = output.toString();
  const lines = task.format === 'csv' ? text.split(/(?<=\n)(?=\d+,|index)/) : text.split(/(?<=\n)/);
  return task.order === 'list' ? lines : lines.sort();
}

const TASKS: BatchTask[] = [
  TASK,
  { ...TASK, format: 'csv' },
  { ...TASK, order: 'any' },
  { ...TASK, format: 'csv', order: 'any' },
];

describe.each(TASKS.map((task) => [`${task.format}, order ${task.order}`, task] as const))(
  '%s',
  (_, task) => {
    test('an output that ends anywhere is gone on with to what an undisturbed run writes', async () => {
      const undisturbed = await whole(task);
      expect(records(task, undisturbed)).toHaveLength(FILES.length + Number(task.format === 'csv'));
      for (let length = 0; length <= undisturbed.length; length += 37) {
        const kept = undisturbed.subarray(0, length);
        leave(task, kept);
        const { there, computed } = await run(task);
        expect(there.images + computed).toBe(FILES.length);
        expect(there.images).toBeGreaterThanOrEqual(kept.toString().split(/\n(?=\d|\{)/).length - 2);
        expect(records(task, readFileSync(path))).toEqual(records(task, undisturbed));
      }
    });

    test('from a line on that is no record all is done again', async () => {
      const undisturbed = await whole(task);
      const at = undisturbed.indexOf('cat', 500);
      for (const damage of ['\0'.repeat(4000), '\n', '{"index":3}\n', '3,a\n', `${'x'.repeat(2 ** 24)}\n`]) {
        leave(task, Buffer.concat([undisturbed.subarray(0, at), Buffer.from(damage), undisturbed]));
        await run(task);
        expect(records(task, readFileSync(path))).toEqual(records(task, undisturbed));
      }
    });

    test('another list is refused: the line, what was expected, what was found; the output stays', async () => {
      const undisturbed = await whole(task);
      leave(task, undisturbed);
      const other = FILES.map((file, i) => (i === 9 ? 'other.png' : file));
      await expect(run(task, other)).rejects.toMatchObject({
        code: 'RESUME',
        message: expect.stringMatching(
          /out, line \d+: expected the list to have "9.png" as number 9, found "other.png"; go on with/,
        ),
      });
      expect(readFileSync(path)).toEqual(undisturbed);
      leave(task, undisturbed);
      await expect(run(task, FILES.slice(0, 20))).rejects.toMatchObject({
        message: expect.stringContaining('"29.png" as number 29, found its end'),
      });
      leave(task, undisturbed);
      await run(task);
      expect(readFileSync(path)).toEqual(undisturbed);
    });
  },
);

test.each([-1, 5, 1e12])('a line with the number %d, where that cannot be, is none', async (index) => {
  const task: BatchTask = { ...TASK, order: 'any' };
  const undisturbed = await whole(task);
  const text = undisturbed.toString();
  const at = text.indexOf('\n', text.indexOf('"index":5,')) + 1;
  const line = `{"index":${index},"file":"5.png","predictions":[]}\n`;
  leave(task, text.slice(0, at) + line + text.slice(at));
  await run(task);
  expect(records(task, readFileSync(path))).toEqual(records(task, undisturbed));
});

test('counts what is there, the refused ones too', async () => {
  const undisturbed = await whole(TASK);
  leave(TASK, undisturbed.subarray(0, -1));
  const { there, computed } = await run(TASK);
  expect(there).toEqual({ images: 29, refused: 3 });
  expect(computed).toBe(1);
});

test('when it fails, what is done is written and the output is unfinished', async () => {
  const undisturbed = await whole(TASK);
  leave(TASK, '');
  const failing = (file: string) => {
    if (file === '15.png') throw new TypeError('a fault');
    return classify(file);
  };
  await expect(run(TASK, FILES, { classify: async (file) => failing(file) })).rejects.toThrow('a fault');
  const written = readFileSync(path);
  expect(written.length).toBeGreaterThan(0);
  expect(written.equals(undisturbed.subarray(0, written.length))).toBe(true);
  expect(existsSync(`${path}.unfinished`)).toBe(true);
});

test('a note that is gone before the output is whole is not missed', async () => {
  leave(TASK, '');
  const classify = async () => {
    rmSync(`${path}.unfinished`, { force: true });
    return [];
  };
  await run(TASK, FILES, { classify });
  expect(existsSync(`${path}.unfinished`)).toBe(false);
});

describe('who may write', () => {
  test('an output that is finished is replaced only when told to', async () => {
    rmSync(`${path}.unfinished`, { force: true });
    writeFileSync(path, 'precious');
    expect(() => claim(path, TASK, false)).toThrow(
      expect.objectContaining({
        code: 'OUTPUT_EXISTS',
        message: `${path}: expected a free name, found a file; --overwrite replaces it`,
      }),
    );
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(claim(path, TASK, true)).toBe(false);
    expect(existsSync(path)).toBe(false);
  });

  test.each([
    [{ model: 'n' }, 'the model "m", found "n"'],
    [{ top: 2 }, 'the top 1, found 2'],
    [{ format: 'csv' as const }, 'the format "jsonl", found "csv"'],
    [{ order: 'any' as const }, 'the order "list", found "any"'],
    [{ input: '-' }, 'the input "list", found "-"'],
    [{ fqvit: '0.2.0' }, 'the fqvit "0.1.0", found "0.2.0"'],
  ])('%j: another task is refused, or begun anew when told to', (change, message) => {
    leave(TASK, 'lines');
    expect(() => claim(path, { ...TASK, ...change }, false)).toThrow(
      expect.objectContaining({
        code: 'RESUME',
        message: `${path}: expected to go on with ${message}; --overwrite begins anew`,
      }),
    );
    expect(readFileSync(path, 'utf8')).toBe('lines');
    expect(claim(path, { ...TASK, ...change }, true)).toBe(false);
  });

  test('the same task goes on, also when it may overwrite; not while another process is at it', () => {
    leave(TASK, 'lines');
    expect(claim(path, TASK, true)).toBe(true);
    for (const overwrites of [false, true]) {
      expect(() => claim(path, TASK, overwrites)).toThrow(
        expect.objectContaining({
          code: 'OUTPUT_BUSY',
          message: `${path}: expected no other writer, found process ${process.pid}`,
        }),
      );
    }
    const note = readFileSync(`${path}.unfinished`, 'utf8');
    writeFileSync(`${path}.unfinished`, note.replace(/"start": "/, '$&an earlier process of this number '));
    expect(claim(path, TASK, false)).toBe(true);
  });

  test('a note that is none is not replaced', () => {
    for (const text of ['', 'notes of mine', '{"unfinished": 2, "writer": {"pid": 1}}']) {
      writeFileSync(`${path}.unfinished`, text);
      expect(() => claim(path, TASK, true)).toThrow(
        expect.objectContaining({
          code: 'RESUME',
          message: expect.stringMatching(/out.unfinished: expected a note of format 1 /),
        }),
      );
    }
  });

  test.each<[string, string, (note: string) => void]>([
    ['a folder', 'a folder, pipe or device', (note) => mkdirSync(note)],
    ['a device without end', 'a folder, pipe or device', (note) => symlinkSync('/dev/zero', note)],
    ['a huge file', '3000000000 bytes', (note) => [writeFileSync(note, ''), truncateSync(note, 3e9)]],
    ['a loop', 'a loop of links (ELOOP)', (note) => symlinkSync(note, note)],
    [
      'of no process',
      '1',
      (note) => writeFileSync(note, '{"unfinished": 1, "writer": {"pid": -1, "start": ""}}'),
    ],
  ])('a note that is %s is refused unread', (_, found, make) => {
    const note = `${path}.unfinished`;
    rmSync(note, { force: true });
    make(note);
    expect(() => claim(path, TASK, true)).toThrow(
      expect.objectContaining({
        code: 'RESUME',
        message: `${note}: expected a note of format 1 about an unfinished output, found ${found}; without it, --overwrite begins anew`,
      }),
    );
    rmSync(note, { recursive: true });
  });

  test('a name that leaves no room for that of the note', () => {
    expect(() => claim(`${path}${'a'.repeat(240)}`, TASK, false)).toThrow(
      expect.objectContaining({
        code: 'OUTPUT',
        message: expect.stringMatching(/found a name that is too long/),
      }),
    );
  });

  test('a broken link is no free name, nor an output to go on with', () => {
    leave(TASK, 'lines');
    rmSync(path);
    symlinkSync('nowhere', path);
    expect(() => claim(path, TASK, false)).toThrow(
      expect.objectContaining({
        code: 'OUTPUT_EXISTS',
        message: `${path}: expected a free name, found a broken link; --overwrite replaces it`,
      }),
    );
    expect(claim(path, TASK, true)).toBe(false);
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });
});

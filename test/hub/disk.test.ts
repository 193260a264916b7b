import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, jest, test } from '@jest/globals';
import { refusal } from '../support/refusal.js';

/**
 * What the disk refuses: writing more than so many bytes, making a folder, links, giving a name.
 */
let room = Number.POSITIVE_INFINITY;
let readOnly = false;
let links = true;
let names = true;

function refuse(code: string): never {
  throw Object.assign(new Error(code), { code, syscall: 'write' });
}

jest.unstable_mockModule('node:fs/promises', () => ({
  ...fs,
  mkdir: async (...args: Parameters<typeof fs.mkdir>) => (readOnly ? refuse('EROFS') : fs.mkdir(...args)),
  writeFile: async (...args: Parameters<typeof fs.writeFile>) =>
    readOnly ? refuse('EROFS') : fs.writeFile(...args),
  symlink: async (...args: Parameters<typeof fs.symlink>) => (links ? fs.symlink(...args) : refuse('EPERM')),
  rename: async (from: string, to: string) =>
    names || to.endsWith('.incomplete') ? fs.rename(from, to) : refuse('EIO'),
  open: async (path: string, flags: string) => {
    const handle = await fs.open(path, flags);
    const write = handle.write.bind(handle) as (...args: unknown[]) => ReturnType<typeof handle.write>;
    // as a disk that is nearly full: a part is written, the next write fails
    const short = (bytes: Uint8Array, at: number, length: number, position: number) =>
      position >= room ? refuse('ENOSPC') : write(bytes, at, Math.min(length, room - position), position);
    return Object.assign(handle, { write: short });
  },
}));

const { Bench, WEIGHTS, weights, weightsHash } = await import('./support.js');
const { HubError } = await import('../../src/errors.js');
const bench = new Bench();
const FOLDER = 'models--someone--a-model';

beforeEach(() => {
  room = Number.POSITIVE_INFINITY;
  [readOnly, links, names] = [false, true, true];
});

test('a full disk: a clear error, and with room again the rest comes', async () => {
  room = 70_001;
  expect(await refusal(bench.fetch([WEIGHTS]), HubError, 'HUB_CACHE')).toBe(
    `${join(bench.cacheDir, FOLDER)}: expected a cache that takes the files, found no space left on the device (ENOSPC)`,
  );
  expect(bench.incomplete()).toEqual([
    { name: `${FOLDER}/blobs/${weightsHash}.free.incomplete`, size: room },
  ]);
  room = Number.POSITIVE_INFINITY;
  expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
  expect(bench.hub.seen.at(-1)!.range).toBe('bytes=70001-');
  expect(bench.pauses).toEqual([]);
});

test('a disk that is full from the start leaves nothing', async () => {
  room = 0;
  await refusal(bench.fetch([WEIGHTS]), HubError, 'HUB_CACHE');
  expect(bench.tree()).toEqual([]);
});

test('a read-only cache: an error for what is missing, none for what is there', async () => {
  readOnly = true;
  expect(await refusal(bench.fetch(['config.json']), HubError, 'HUB_CACHE')).toBe(
    `${join(bench.cacheDir, FOLDER)}: expected a cache that takes the files, found a read-only file system (EROFS)`,
  );
  readOnly = false;
  await bench.fetch(['config.json']);
  // as another tool leaves it
  await fs.rm(join(bench.cacheDir, FOLDER, 'trees'), { recursive: true });
  readOnly = true;
  expect(await bench.fetch(['config.json'])).toHaveLength(1);
});

test('a file where the cache should be', async () => {
  const cacheDir = join(bench.cacheDir, 'file');
  await fs.writeFile(cacheDir, '');
  expect(await refusal(bench.fetch(['config.json'], { cacheDir }), HubError, 'HUB_CACHE')).toMatch(
    /found a file among its folders \(ENOTDIR\)$/,
  );
});

test('where links are not possible files are copied', async () => {
  links = false;
  const [path] = await (await bench.open()).fetch([WEIGHTS]);
  const status = await fs.lstat(path!);
  expect([status.isFile(), status.size]).toEqual([true, weights.length]);
  expect(bench.tree()).toContain(`${FOLDER}/blobs/${weightsHash}`);
  bench.hub.requests();
  expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
  expect(bench.hub.requests()).toHaveLength(1);
});

test('a blob that cannot be given its name stays for another attempt', async () => {
  names = false;
  await refusal(bench.fetch([WEIGHTS]), HubError, 'HUB_CACHE');
  expect(bench.incomplete()).toEqual([
    { name: `${FOLDER}/blobs/${weightsHash}.free.incomplete`, size: weights.length },
  ]);
});

import { describe, expect, test } from '@jest/globals';
import { deflateSync, zipSync } from 'fflate';
import { readTorch } from '../../../src/checkpoint/torch/read-torch.js';
import { refusal } from '../raw-file.js';
import {
  archive,
  bytesOf,
  dictionary,
  int,
  pickled,
  type RawEntry,
  tensor,
  tuple,
  zip,
} from './raw-torch.js';

const PICKLE = pickled(dictionary({ w: tensor({ count: 3, size: tuple(int(3)) }) }));
const FLOATS = [1, -2, 0.5];
const ENTRIES = archive(PICKLE, { 0: FLOATS });
const STORAGE = ENTRIES.at(-1)!;
const WEIGHTS = [...STORAGE.data];

/** The archive, with these fields replaced in the entry of the storage. */
function withStorage(fields: Partial<RawEntry>): Uint8Array {
  return zip([...ENTRIES.slice(0, -1), { ...STORAGE, ...fields }]);
}

function read(bytes: Uint8Array) {
  return readTorch(bytes, { file: 'model.pth' }).tensors;
}

const deflated: Partial<RawEntry> = { method: 8, data: deflateSync(STORAGE.data), size: 12 };

describe('a ZIP archive is read', () => {
  const files = Object.fromEntries(ENTRIES.map(({ name, data }) => [name, data]));
  const cases: [what: string, file: Uint8Array][] = [
    ['with stored entries', zip(ENTRIES)],
    ['with a ZIP64 end record', zip(ENTRIES, { zip64: true })],
    ['with ZIP64 fields', withStorage({ zip64: 24 })],
    ['without byteorder', zip(ENTRIES.filter(({ name }) => !name.endsWith('byteorder')))],
    ['with other entries', zip([...ENTRIES, { name: 'archive/version', data: bytesOf('3\n') }])],
    ['with a deflated storage', withStorage(deflated)],
    ['compressed by fflate', zipSync(files, { level: 9 })],
    ['stored by fflate', zipSync(files, { level: 0 })],
    ['with a comment at the end', withComment(zip(ENTRIES), 'PK\x05\x06 and more than twenty-two bytes')],
  ];
  test.each(cases)('%s', (_what, file) => {
    const { w } = Object.fromEntries(read(file));
    expect({ ...w, data: [...w!.data] }).toEqual({ name: 'w', dtype: 'F32', shape: [3], data: WEIGHTS });
  });

  test('and a deflated storage with two names is inflated once', () => {
    const raw = { count: 3, size: tuple(int(3)) };
    const pickle = pickled(dictionary({ a: tensor(raw), b: tensor(raw) }));
    const { a, b } = Object.fromEntries(read(zip([...archive(pickle, {}), { ...STORAGE, ...deflated }])));
    expect(a!.data.buffer).toBe(b!.data.buffer);
  });
});

describe('a ZIP archive is refused', () => {
  const first = ENTRIES[0]!;
  const directoryBegin = ENTRIES.reduce((sum, { name, data }) => sum + 34 + name.length + data.length, 0);
  const cases: [what: string, file: Uint8Array, code: string, ...says: string[]][] = [
    [
      'without a directory',
      bytesOf('PK\x03\x04', Array(100).fill(0)),
      'CHECKPOINT_TRUNCATED',
      'was the download cut off?',
    ],
    [
      'if it is shorter than an end record',
      bytesOf('PK\x05\x06'),
      'CHECKPOINT_TRUNCATED',
      'found none in 4 bytes',
    ],
    [
      'with bytes after the end',
      bytesOf(zip(ENTRIES), 0),
      'CHECKPOINT_TRUNCATED',
      'directory of a ZIP archive',
    ],
    ['without entries', zip([]), 'CHECKPOINT_FORMAT', 'one folder that holds data.pkl, found 0'],
    [
      'from another program',
      zip([{ name: 'word/document.xml', data: bytesOf('') }]),
      'CHECKPOINT_FORMAT',
      'found 0',
    ],
    ['with data.pkl at the top level', zip([{ ...first, name: 'data.pkl' }]), 'CHECKPOINT_FORMAT', 'found 0'],
    [
      'with two checkpoints',
      zip([...ENTRIES, { ...first, name: 'b/data.pkl' }]),
      'CHECKPOINT_FORMAT',
      'found 2',
    ],
    [
      'from a big-endian machine',
      zip([{ name: 'archive/byteorder', data: bytesOf('big') }, first, STORAGE]),
      'CHECKPOINT_FORMAT',
      'expected the byte order "little", found "big"',
    ],
    [
      'with a long byte order',
      zip([{ name: 'archive/byteorder', data: bytesOf('little'.repeat(1000)) }, first, STORAGE]),
      'CHECKPOINT_FORMAT',
      'expected the byte order "little", found 6000 bytes',
    ],
    [
      'with a duplicate entry',
      zip([...ENTRIES, STORAGE]),
      'CHECKPOINT_ZIP',
      'entry "archive/data/0": expected once',
    ],
    [
      'with overlapping entries',
      withStorage({ begin: 0, localName: '' }),
      'CHECKPOINT_ZIP',
      'overlaps the previous one: expected byte 173 or later',
    ],
    [
      'with an entry inside another',
      withStorage({ begin: 4 }),
      'CHECKPOINT_ZIP',
      'overlaps the previous one',
    ],
    [
      'with an entry outside the file',
      withStorage({ begin: 2 ** 31 }),
      'CHECKPOINT_ZIP',
      'expected its header at byte 2147483648',
    ],
    [
      'with another name in the local header',
      withStorage({ localName: 'archive/data/1' }),
      'CHECKPOINT_ZIP',
      'the same name',
    ],
    [
      'with an encrypted entry',
      withStorage({ flags: 1 }),
      'CHECKPOINT_ZIP',
      'entry "archive/data/0": expected plain data',
    ],
    [
      'with another compression method',
      withStorage({ method: 12 }),
      'CHECKPOINT_ZIP',
      'stored or deflated data (method 0 or 8), found method 12',
    ],
    [
      'with a stored entry of another size',
      withStorage({ size: 13 }),
      'CHECKPOINT_ZIP',
      'expected 13 bytes, found 12',
    ],
    [
      'with an entry that overlaps the directory',
      withStorage({ size: 13, packedSize: 13 }),
      'CHECKPOINT_ZIP',
      `expected to end before the directory at byte ${directoryBegin}, found ${directoryBegin + 1}`,
    ],
    [
      'with an entry of 2^64 bytes',
      withStorage({ zip64: 24, size: 2 ** 63, packedSize: 2 ** 63 }),
      'CHECKPOINT_ZIP',
      'found 9223372036854',
    ],
    [
      'with a short ZIP64 field',
      withStorage({ zip64: 16 }),
      'CHECKPOINT_ZIP',
      'expected its sizes in a ZIP64 field',
    ],
    [
      'with a count above the number of entries',
      zip(ENTRIES, { count: 4 }),
      'CHECKPOINT_ZIP',
      'expected 4 entries in the directory',
    ],
    [
      'with a count below the number of entries',
      zip(ENTRIES, { count: 2 }),
      'CHECKPOINT_ZIP',
      'a directory of 2 entries',
    ],
    [
      'with a wrong offset of the directory',
      zip(ENTRIES, { begin: 7 }),
      'CHECKPOINT_ZIP',
      'expected a directory that ends at byte',
    ],
    [
      'with a wrong length of the directory',
      zip(ENTRIES, { length: 7 }),
      'CHECKPOINT_ZIP',
      'expected a directory that ends at byte',
    ],
    [
      'with a wrong offset of the directory in ZIP64',
      zip(ENTRIES, { zip64: true, begin: 2 ** 60 }),
      'CHECKPOINT_ZIP',
      'expected a directory that ends at byte',
    ],
    [
      'with a count of 2^40 entries',
      zip(ENTRIES, { zip64: true, count: 2 ** 40 }),
      'CHECKPOINT_ZIP',
      'at most 100000 entries',
    ],
    [
      'with a name that is not UTF-8',
      withStorage({ name: 'archive/\xff' }),
      'CHECKPOINT_ZIP',
      'name in UTF-8',
    ],
    [
      'without a storage',
      zip(ENTRIES.slice(0, -1)),
      'CHECKPOINT_TENSOR',
      'storage "0": expected 12 bytes, found no entry',
    ],
    [
      'with a short storage',
      zip(archive(PICKLE, { 0: [1, 2] })),
      'CHECKPOINT_TENSOR',
      'expected 12 bytes, found 8',
    ],
    [
      'with a long storage',
      zip(archive(PICKLE, { 0: [1, 2, 3, 4] })),
      'CHECKPOINT_TENSOR',
      'expected 12 bytes, found 16',
    ],
    [
      'with deflated data that is too long',
      withStorage({ ...deflated, data: deflateSync(new Uint8Array(13)) }),
      'CHECKPOINT_ZIP',
      'found more',
    ],
    [
      'with deflated data that is too short',
      withStorage({ ...deflated, data: deflateSync(new Uint8Array(11)) }),
      'CHECKPOINT_ZIP',
      'found 11',
    ],
    [
      'with truncated deflated data',
      withStorage({ ...deflated, data: deflated.data!.subarray(0, 8) }),
      'CHECKPOINT_ZIP',
      '0"',
    ],
    [
      'with invalid deflated data',
      withStorage({ ...deflated, data: bytesOf(Array(20).fill(0xff)) }),
      'CHECKPOINT_ZIP',
      'expected valid deflate data, found damage after 0 of 12 bytes',
    ],
    [
      'with empty deflated data',
      withStorage({ ...deflated, data: bytesOf() }),
      'CHECKPOINT_ZIP',
      'found 0 deflated bytes, which cannot hold as many',
    ],
  ];
  test.each(cases)('%s', (_what, file, code, ...says) => {
    const error = refusal(() => read(file));
    expect(error.code).toBe(code);
    expect(error.message.startsWith('model.pth: ')).toBe(true);
    for (const part of says) expect(error.message).toContain(part);
    expect(error.message.length).toBeLessThan(400);
  });
});

describe('a ZIP bomb', () => {
  const zeros = deflateSync(new Uint8Array(200_000_000), { level: 9 });

  test('stops at the declared size of an entry', () => {
    const error = refusal(() => read(withStorage({ ...deflated, data: zeros })), 5000);
    expect(error.code).toBe('CHECKPOINT_ZIP');
    expect(error.message).toContain('expected 12 bytes, found more');
  });

  test('is refused by its declared size', () => {
    const count = 50_000_000;
    const pickle = pickled(dictionary({ w: tensor({ count, size: tuple(int(count)) }) }));
    const storage = { ...STORAGE, method: 8, data: zeros, size: 4 * count };
    const error = refusal(() => read(zip([...archive(pickle, {}), storage])));
    expect(error.code).toBe('CHECKPOINT_TENSOR');
    expect(error.message).toContain('found 200000000 in addition to 0');
  });

  test('is refused if it is the pickle', () => {
    const pickle = { name: 'archive/data.pkl', method: 8, data: zeros, size: 200_000_000 };
    const error = refusal(() => read(zip([pickle])));
    expect(error.code).toBe('CHECKPOINT_TENSOR');
    expect(error.message).toContain('found 200000000 in addition');
  });

  test('is not inflated if no tensor needs it', () => {
    const other = { name: 'archive/data/1', method: 8, data: zeros, size: 200_000_000 };
    const start = performance.now();
    expect(read(zip([...ENTRIES, other])).size).toBe(1);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test('is refused if it inflates to nothing', () => {
    // Only empty stored blocks: 200 KB that inflate to nothing.
    const data = bytesOf(...Array.from({ length: 40_000 }, () => [0, 0, 0, 0xff, 0xff]));
    const error = refusal(() => read(withStorage({ ...deflated, data })));
    expect(error.code).toBe('CHECKPOINT_ZIP');
    expect(error.message).toContain('expected 12 bytes, found 0');
  });
});

function withComment(file: Uint8Array, comment: string): Uint8Array {
  return bytesOf(file.subarray(0, -2), comment.length, 0, comment);
}

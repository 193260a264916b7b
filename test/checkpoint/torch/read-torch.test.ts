import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { readTorch } from '../../../src/checkpoint/torch/read-torch.js';
import { CheckpointError } from '../../../src/errors.js';
import { refusal } from '../raw-file.js';
import {
  archive,
  bytesOf,
  dictionary,
  global,
  int,
  legacy,
  pickled,
  type RawTensor,
  tensor,
  text,
  tuple,
  zip,
} from './raw-torch.js';

function fixture(name: string): Uint8Array {
  return readFileSync(fileURLToPath(new URL(`fixtures/${name}`, import.meta.url)));
}

function read(bytes: Uint8Array) {
  return readTorch(bytes, { file: 'model.pth' }).tensors;
}

function namesOf(object: Uint8Array): string[] {
  return [...read(zip(archive(pickled(object)))).keys()];
}

/** The prefix of the tensors in a fixture that its safetensors file also has. */
const NESTED: Readonly<Record<string, string>> = {
  training: 'model.',
  'training-legacy': 'model.',
  'protocol-4': 'model.',
  prefixed: 'state_dict.module._orig_mod.',
};

describe('a checkpoint from PyTorch', () => {
  const names = [
    'kinds',
    'kinds-legacy',
    'training',
    'training-legacy',
    'protocol-4',
    'prefixed',
    'unsigned',
  ];
  test.each(names)('is read: %s', (name) => {
    const before = NESTED[name] ?? '';
    const { tensors } = readTorch(fixture(`${name}.pth`), { file: name });
    const expected = readSafetensors(fixture(`${name}.safetensors`)).tensors;
    const names = [...tensors.keys()].filter((key) => key.startsWith(before));
    expect(names).toEqual([...expected.keys()].map((key) => before + key));
    for (const [key, { dtype, shape, data }] of expected) {
      const found = tensors.get(before + key)!;
      expect({ ...found, data: [...found.data] }).toEqual({
        ...{ name: before + key, dtype, shape, data: [...data] },
      });
    }
  });

  test.each(['kinds', 'kinds-legacy'])('is copied only where it is not in row-major order: %s', (name) => {
    const bytes = fixture(`${name}.pth`);
    const copied = [...read(bytes)].filter(([, { data }]) => data.length > 0 && data.buffer !== bytes.buffer);
    expect(copied.map(([key]) => key)).toEqual([
      'transposed',
      'permuted',
      'every_other',
      'expanded',
      'shared_column',
    ]);
  });

  const refused = [
    ['sparse', 'CHECKPOINT_TENSOR', 'tensor "weight": expected a dense tensor, found a sparse tensor'],
    ['quantised', 'CHECKPOINT_TENSOR', 'tensor "weight": expected a dense tensor, found a quantised tensor'],
    ['meta', 'CHECKPOINT_TENSOR', 'tensor "weight": expected a dense tensor, found a tensor without data'],
    [
      'complex',
      'CHECKPOINT_TENSOR',
      'tensor "weight": expected a dtype of safetensors, found torch.complex64',
    ],
    ['float8', 'CHECKPOINT_TENSOR', 'tensor "weight": expected a dtype', 'found torch.float8_e4m3fn'],
    ['negated', 'CHECKPOINT_TENSOR', 'tensor "weight": expected plain values, found a view that is "neg"'],
    [
      'module',
      'CHECKPOINT_GLOBAL',
      'model.pth: "refused-module/data.pkl": expected a pickle with globals on the allow-list',
      'found "torch.nn.modules.container.Sequential" at byte 2',
    ],
  ] as const;
  test.each(refused)('is refused if it is %s', (name, code, ...says) => {
    const error = refusal(() => read(fixture(`refused-${name}.pth`)));
    expect(error.code).toBe(code);
    for (const part of says) expect(error.message).toContain(part);
  });
});

describe('readTorch', () => {
  const named = (name: string) => dictionary({ [name]: tensor() });
  const cases: [what: string, object: Uint8Array, names: string[]][] = [
    ['at the top level', named('a'), ['a']],
    ['in a dictionary', dictionary({ model: named('a'), epoch: int(1) }), ['model.a']],
    ['in two dictionaries', dictionary({ ema: named('a'), model: named('a') }), ['ema.a', 'model.a']],
    [
      'in one of two dictionaries',
      dictionary({ model_ema: named('a'), model: bytesOf('N') }),
      ['model_ema.a'],
    ],
    ['in nested dictionaries', dictionary({ state: dictionary({ model: named('a') }) }), ['state.model.a']],
    [
      'at the top level and in a dictionary',
      dictionary({ loss: tensor(), model: named('a') }),
      ['loss', 'model.a'],
    ],
    ['next to a version', dictionary({ a: tensor(), version: int(1) }), ['a']],
    ['next to keys of another type', bytesOf('}(', text('a'), tensor(), int(1), tensor(), 'u'), ['a']],
    [
      'under keys that every object has',
      dictionary({ ['__proto__']: tensor(), constructor: tensor() }),
      ['__proto__', 'constructor'],
    ],
    [
      'in one dictionary with two keys',
      bytesOf('}(', text('a'), named('w'), 'q\x01', text('b'), 'h\x01u'),
      ['a.w'],
    ],
    [
      'next to a dictionary that contains itself',
      bytesOf('}q\x01(', text('a'), tensor(), text('b'), 'h\x01u'),
      ['a'],
    ],
  ];
  test.each(cases)('finds tensors %s', (_what, object, names) => {
    expect(namesOf(object)).toEqual(names);
  });

  test('returns the keys of the dictionaries that contain tensors', () => {
    const object = dictionary({ ema: named('a'), state: dictionary({ model: named('a') }), b: tensor() });
    const { nested } = readTorch(zip(archive(pickled(object))), { file: 'model.pth' });
    expect([...nested]).toEqual(['ema', 'state.model']);
  });

  test("returns the training script's arguments with the name of its model", () => {
    const attributes = dictionary({ gp: text('avg'), model_kwargs: dictionary({ num_heads: int(4) }) });
    const namespace = bytesOf(global('argparse', 'Namespace'), ')', 0x81, attributes, 'b');
    const read = (entries: Record<string, Uint8Array>) =>
      readTorch(zip(archive(pickled(dictionary({ a: tensor(), ...entries })))), { file: 'model.pth' });
    const args = { gp: 'avg', model_kwargs: { num_heads: 4 } };
    const arch = text('vit');
    expect(read({ arch, args: namespace })).toMatchObject({ arch: 'vit', args });
    expect(read({ arch, args: attributes }).args).toEqual(args);
    expect(read({ arch, args: int(1) }).args).toBeUndefined();
    expect(read({ args: namespace }).args).toBeUndefined();
  });

  test('refuses one name for two tensors, and a long name with a prefix', () => {
    const error = refusal(() => namesOf(dictionary({ a: named('b'), 'a.b': tensor() })));
    expect(error.code).toBe('CHECKPOINT_FORMAT');
    expect(error.message).toContain('expected one tensor "a.b", found two');
    const long = refusal(() => namesOf(dictionary({ a: named('b'.repeat(1000)) })));
    expect(long.code).toBe('CHECKPOINT_FORMAT');
    expect(long.message).toContain('expected a name of at most 1000 characters');
  });

  const without: [what: string, object: Uint8Array, found: string][] = [
    ['an empty dictionary', bytesOf('}'), 'found no names'],
    ['a tensor', tensor(), 'found no names'],
    ['other values', dictionary({ a: int(1), b: bytesOf('}') }), 'found "a", "b"'],
    [
      'many other values',
      dictionary(Object.fromEntries([...'abcdef'].map((key) => [key, int(1)]))),
      '"e", ...',
    ],
  ];
  test.each(without)('refuses %s', (_what, object, found) => {
    const error = refusal(() => namesOf(object));
    expect(error.code).toBe('CHECKPOINT_FORMAT');
    expect(error.message).toContain('expected a state dict');
    expect(error.message).toContain(found);
  });
});

describe('a tensor as a view of its storage', () => {
  const FLOATS = [1, 2, 3, 4, 5, 6];
  const ints = (...values: number[]) => tuple(...values.map(int));
  const both = (raw: RawTensor) => {
    const object = pickled(dictionary({ w: tensor({ count: FLOATS.length, ...raw }) }));
    return [legacy(object, [['0', FLOATS]]), zip(archive(object, { 0: FLOATS }))];
  };
  const floats = (data: Uint8Array) => [...new Float32Array(data.slice().buffer)];

  const sound: [what: string, raw: RawTensor, shape: number[], values: number[]][] = [
    ['the whole storage', { size: ints(2, 3), stride: ints(3, 1) }, [2, 3], FLOATS],
    ['a transposed view', { size: ints(3, 2), stride: ints(1, 3) }, [3, 2], [1, 4, 2, 5, 3, 6]],
    ['the last element', { offset: int(5), size: ints(1), stride: ints(9) }, [1], [6]],
    ['a diagonal', { size: ints(2), stride: ints(4) }, [2], [1, 5]],
    ['an expanded view', { offset: int(1), size: ints(2, 2), stride: ints(1, 0) }, [2, 2], [2, 2, 3, 3]],
    ['overlapping windows', { size: ints(3, 2), stride: ints(2, 1) }, [3, 2], FLOATS],
    ['windows that overlap more', { size: ints(3, 2), stride: ints(1, 1) }, [3, 2], [1, 2, 2, 3, 3, 4]],
    ['an empty view at any offset', { offset: int(99), size: ints(0, 7), stride: ints(7, 1) }, [0, 7], []],
    ['a scalar', { size: bytesOf(')'), stride: bytesOf(')') }, [], [1]],
    [
      'a view with its sizes in a list',
      { size: bytesOf('](', int(2), int(2), 'e'), stride: ints(2, 1) },
      [2, 2],
      [1, 2, 3, 4],
    ],
  ];
  test.each(sound)('reads %s', (_what, raw, shape, values) => {
    for (const file of both(raw)) {
      const { w } = Object.fromEntries(read(file));
      expect({ ...w, data: floats(w!.data) }).toEqual({ name: 'w', dtype: 'F32', shape, data: values });
    }
  });

  const OUTSIDE = 'expected elements within a storage of 24 bytes';
  const NUMBERS = 'expected a non-negative offset and as many strides as sizes';
  const refused: [what: string, raw: RawTensor, ...says: string[]][] = [
    [
      'one element too many',
      { size: ints(7) },
      OUTSIDE,
      'found shape [7] with strides [1] at offset 0 of torch.float32',
    ],
    ['an offset too far', { offset: int(6) }, OUTSIDE, 'at offset 6'],
    ['a stride too far', { size: ints(2, 2), stride: ints(5, 1) }, OUTSIDE],
    [
      'strides that sum to more than 2^53',
      {
        size: ints(2, 2 ** 31 - 1),
        stride: tuple(bytesOf(0x8a, 7, Array(6).fill(0xff), 0x1f), int(2 ** 31 - 1)),
      },
      OUTSIDE,
    ],
    ['a negative offset', { offset: int(-1) }, NUMBERS, 'found the offset -1'],
    ['a negative size', { size: ints(-1) }, NUMBERS, 'found the offset 0, strides [1] and sizes [-1]'],
    ['a negative stride', { size: ints(2), stride: ints(-1) }, NUMBERS],
    [
      'a fractional size',
      { size: tuple(bytesOf('G', [0x3f, 0xe0, 0, 0, 0, 0, 0, 0])) },
      NUMBERS,
      'found the offset 0, strides [1] and sizes [0.5]',
    ],
    ['a size above 2^53', { size: tuple(bytesOf(0x8a, 8, [0, 0, 0, 0, 0, 0, 0, 1])) }, NUMBERS],
    ['a size that is a string', { size: tuple(text('1')) }, NUMBERS],
    ['no sizes', { size: bytesOf('N') }, NUMBERS],
    ['fewer strides than sizes', { size: ints(1, 1) }, 'as many strides as sizes'],
    ['65 dimensions', { size: ints(...Array(65).fill(1)), stride: ints(...Array(65).fill(1)) }, 'at most 64'],
  ];
  test.each(refused)('refuses %s', (_what, raw, ...says) => {
    for (const file of both(raw)) {
      const error = refusal(() => read(file));
      expect(error.code).toBe('CHECKPOINT_TENSOR');
      expect(error.message).toContain('model.pth: tensor "w": ');
      for (const part of says) expect(error.message).toContain(part);
      expect(error.message.length).toBeLessThan(400);
    }
  });

  test.each([
    ['a number', int(1)],
    ['a tensor', tensor()],
    ['a dictionary', bytesOf('}')],
  ])('refuses %s as its storage', (_what, storage) => {
    const error = refusal(() => read(zip(archive(pickled(dictionary({ w: tensor({ storage }) }))))));
    expect(error.code).toBe('CHECKPOINT_TENSOR');
    expect(error.message).toContain('model.pth: tensor "w": expected a storage');
  });

  test.each([
    ['4 GiB', [2 ** 16, 2 ** 14], 'found 4294967296 in addition to 0'],
    ['2^62 floats', [2 ** 31 - 1, 2 ** 31 - 1], 'found 18446744056529682000 in addition'],
    ['2^1984 floats', Array(64).fill(2 ** 31 - 1), 'found Infinity in addition'],
  ])('refuses to expand a float to %s', (_what, sizes, says) => {
    for (const file of both({ size: ints(...sizes), stride: ints(...sizes.map(() => 0)) })) {
      const error = refusal(() => read(file));
      expect(error.code).toBe('CHECKPOINT_TENSOR');
      expect(error.message).toContain(says);
    }
  });

  test('refuses to expand a float to 16 MiB many times', () => {
    const wide = tensor({ count: 6, size: ints(2 ** 12, 2 ** 10), stride: ints(0, 0) });
    const object = pickled(
      dictionary(Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`w${i}`, wide]))),
    );
    const error = refusal(() => read(legacy(object, [['0', FLOATS]])), 5000);
    expect(error.code).toBe('CHECKPOINT_TENSOR');
    expect(error.message).toContain('found 16777216 in addition to 16777216');
  });

  test('reads random views according to their definition', () => {
    const dimension = fc.record({ n: fc.nat(4), stride: fc.nat(8) });
    fc.assert(
      fc.property(fc.array(dimension, { maxLength: 4 }), fc.nat(6), (dimensions, offset) => {
        const count = offset + 1 + dimensions.reduce((sum, { n, stride }) => sum + n * stride, 0);
        const storage = Array.from({ length: count }, (_, i) => i);
        let expected = [offset];
        for (const { n, stride } of dimensions) {
          expected = expected.flatMap((at) => Array.from({ length: n }, (_, i) => at + i * stride));
        }
        const size = ints(...dimensions.map(({ n }) => n));
        const stride = ints(...dimensions.map(({ stride }) => stride));
        const object = pickled(dictionary({ w: tensor({ count, offset: int(offset), size, stride }) }));
        const { w } = Object.fromEntries(read(legacy(object, [['0', storage]])));
        expect(floats(w!.data)).toEqual(expected);
      }),
    );
  });
});

describe('a legacy file is refused', () => {
  const object = pickled(dictionary({ w: tensor() }));
  const cases: [what: string, file: Uint8Array, code: string, says: string][] = [
    [
      'an empty file',
      new Uint8Array(0),
      'CHECKPOINT_FORMAT',
      'expected a ZIP archive or a pickle, found 0 bytes',
    ],
    ['a web page', bytesOf('<!DOCTYPE html>'), 'CHECKPOINT_FORMAT', 'found 15 bytes that are neither'],
    ['one byte', bytesOf(0x80), 'CHECKPOINT_TRUNCATED', 'expected 1 bytes at byte 1, found only 0'],
    [
      'another pickle',
      pickled(dictionary({ a: int(1) })),
      'CHECKPOINT_FORMAT',
      "expected PyTorch's magic number",
    ],
    ['another number', pickled(int(7)), 'CHECKPOINT_FORMAT', 'in the pickle at byte 0, found 7'],
    [
      'a file from a big-endian machine',
      legacy(object, undefined, bytesOf(0x89)),
      'CHECKPOINT_FORMAT',
      'little-endian',
    ],
    ['bytes after the end', bytesOf(legacy(object), 0), 'CHECKPOINT_TRAILING', 'found 1 bytes more'],
    [
      'a storage too short',
      legacy(object, [['0', []]]),
      'CHECKPOINT_TENSOR',
      'storage "0": expected 1 elements, found 0',
    ],
    [
      'a storage too long',
      legacy(object, [['0', [1, 2]]]),
      'CHECKPOINT_TENSOR',
      'expected 1 elements, found 2',
    ],
    [
      'a missing storage',
      legacy(object, []),
      'CHECKPOINT_TENSOR',
      'storage "0": expected its key in the list of storages',
    ],
    [
      'a duplicate storage',
      legacy(object, [
        ['0', [1]],
        ['0', [1]],
      ]),
      'CHECKPOINT_TENSOR',
      'storage "0": expected a storage that a tensor uses',
    ],
    [
      'a storage that no tensor uses',
      legacy(object, [['1', [1]]]),
      'CHECKPOINT_TENSOR',
      'storage "1": expected a storage that a tensor uses',
    ],
    [
      'a storage of 2^53 elements',
      legacy(pickled(dictionary({ w: tensor({ storage: hugeStorage(6, 0x10) }) }))),
      'CHECKPOINT_TENSOR',
      'expected 4503599627370496 elements, found 1',
    ],
  ];
  test.each(cases)('%s', (_what, file, code, says) => {
    const error = refusal(() => read(file));
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
  });

  test('a storage that claims to be longer than the file', () => {
    const file = legacy(pickled(dictionary({ w: tensor({ storage: hugeStorage(6, 0x10) }) })), [['0', []]]);
    file.set([0, 0, 0, 0, 0, 0, 0x10, 0], file.length - 8);
    const error = refusal(() => read(file));
    expect(error.code).toBe('CHECKPOINT_TRUNCATED');
    expect(error.message).toContain('storage "0": expected 18014398509481984 bytes');
  });

  /** A storage whose count has `byte` at `index` and zeros elsewhere. */
  function hugeStorage(index: number, byte: number): Uint8Array {
    const count = bytesOf(
      0x8a,
      8,
      Uint8Array.from({ length: 8 }, (_, i) => (i === index ? byte : 0)),
    );
    const type = global('torch', 'FloatStorage');
    return bytesOf(tuple(text('storage'), type, text('0'), text('cpu'), count), 'Q');
  }
});

describe('a damaged checkpoint', () => {
  const files = ['kinds', 'kinds-legacy', 'training', 'training-legacy', 'protocol-4'];

  test.each(files)('is refused if it is truncated anywhere: %s', (name) => {
    const whole = fixture(`${name}.pth`);
    for (let length = 2; length < whole.length; length += length < 200 ? 1 : 61) {
      const { code } = refusal(() => read(whole.subarray(0, length)));
      expect([length, code]).toEqual([length, 'CHECKPOINT_TRUNCATED']);
    }
  });

  test.each(files)('is read or refused quickly, and throws nothing else: %s', (name) => {
    const whole = fixture(`${name}.pth`);
    const damage = fc.array(fc.record({ at: fc.nat(whole.length - 1), value: fc.nat(255) }), {
      minLength: 1,
      maxLength: 6,
    });
    let refusals = 0;
    fc.assert(
      fc.property(damage, (changes) => {
        const file = Uint8Array.from(whole);
        for (const { at, value } of changes) file[at] = value;
        const start = process.cpuUsage();
        try {
          read(file);
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
          refusals++;
        }
        // In microseconds.
        expect(process.cpuUsage(start).user).toBeLessThan(500_000);
      }),
      { numRuns: 1000 },
    );
    expect(refusals).toBeGreaterThan(200);
  });
});

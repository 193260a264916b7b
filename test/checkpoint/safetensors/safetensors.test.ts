import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type Dtype,
  MAX_HEADER_BYTES,
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors/safetensors.js';
import { CheckpointError } from '../../../src/errors.js';
import { exported } from '../onnx/support.js';
import { rawFile, refusal } from '../raw-file.js';

/** A header entry for a U8 tensor, with further keys in `rest`. */
function entry(begin: number, end: number, rest = ''): string {
  return `{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]${rest}}`;
}

/** A file with only the tensor `t`, of 4 bytes; `fields` replace those of its entry. */
function oneTensor(fields: Record<string, string>): Uint8Array {
  const all = { dtype: '"U8"', shape: '[4]', data_offsets: '[0,4]', ...fields };
  const members = Object.entries(all).map(([key, json]) => `"${key}":${json}`);
  return rawFile(`{"t":{${members.join(',')}}}`, 4);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

const small = writeSafetensors(
  [
    { name: 'weight', dtype: 'I8', shape: [2, 3], data: new Uint8Array([1, 2, 3, 4, 5, 6]) },
    { name: 'bias', dtype: 'I32', shape: [2], data: new Uint8Array([7, 0, 0, 0, 8, 0, 0, 0]) },
  ],
  { format: 'test' },
);

describe('an invalid file', () => {
  test('the base file of the cases is valid', () => {
    const { tensors } = readSafetensors(oneTensor({}));
    expect([...tensors.keys()]).toEqual(['t']);
    expect([...readSafetensors(small).tensors.keys()]).toEqual(['bias', 'weight']);
  });

  const deep = '['.repeat(5_000_000);
  const cases: [name: string, file: Uint8Array, code: string, ...says: string[]][] = [
    ['an empty file', new Uint8Array(0), 'CHECKPOINT_TRUNCATED', 'at least 8 bytes', 'found 0'],
    [
      'a file of fewer than 8 bytes',
      new Uint8Array(7),
      'CHECKPOINT_TRUNCATED',
      'at least 8 bytes',
      'found 7',
    ],
    ['a header length of 0', rawFile('{}', 0, 0n), 'CHECKPOINT_HEADER', 'found a length of 0'],
    [
      'a header length past the end',
      rawFile('{}', 0, 3n),
      'CHECKPOINT_TRUNCATED',
      'a header of 3 bytes',
      'found only 2',
    ],
    ['a header length of 2^63', rawFile('{}', 0, 2n ** 63n), 'CHECKPOINT_HEADER', '9223372036854775808'],
    [
      'a header length of 2^64 - 1',
      rawFile('{}', 0, 2n ** 64n - 1n),
      'CHECKPOINT_HEADER',
      '18446744073709551615',
    ],
    [
      'a header length just above the limit',
      rawFile('{}', 0, BigInt(MAX_HEADER_BYTES) + 1n),
      'CHECKPOINT_HEADER',
      '100000001',
    ],
    [
      'a header that is not UTF-8',
      rawFile(new Uint8Array([0x7b, 0xff, 0x7d])),
      'CHECKPOINT_HEADER',
      'expected UTF-8',
    ],
    [
      'a header with an overlong UTF-8 sequence',
      rawFile(new Uint8Array([0x7b, 0x22, 0xc0, 0x80, 0x22, 0x7d])),
      'CHECKPOINT_HEADER',
      'expected UTF-8',
    ],
    [
      'a header with a byte order mark',
      rawFile('\ufeff{}'),
      'CHECKPOINT_HEADER',
      'expected an object',
      'at byte 8',
    ],
    [
      'a header that starts with a space',
      rawFile(' {}'),
      'CHECKPOINT_HEADER',
      'expected an object',
      'at byte 8',
    ],
    [
      'a header that is not JSON',
      rawFile('weights'),
      'CHECKPOINT_HEADER',
      'expected an object',
      'found weights',
    ],
    ['an array as header', rawFile('[]'), 'CHECKPOINT_HEADER', 'expected an object', 'found ['],
    ['null as header', rawFile('null'), 'CHECKPOINT_HEADER', 'expected an object', 'found null'],
    [
      'a truncated header',
      rawFile('{"t":{"dtype":"U8"'),
      'CHECKPOINT_HEADER',
      'the end of the header',
      'at byte 26',
    ],
    [
      'a header truncated in a string',
      rawFile('{"t'),
      'CHECKPOINT_HEADER',
      'the end of the header',
      'at byte 11',
    ],
    [
      'a header truncated in an escape',
      rawFile('{"t\\'),
      'CHECKPOINT_HEADER',
      'the end of the header',
      'at byte 12',
    ],
    ['a header followed by more', rawFile('{} {}'), 'CHECKPOINT_HEADER', 'only spaces', 'at byte 11'],
    ['a missing colon', rawFile('{"t" {}}'), 'CHECKPOINT_HEADER', '"t"', 'expected ":"', 'at byte 13'],
    [
      'a missing comma',
      rawFile(`{"t":${entry(0, 0)} "u":1}`),
      'CHECKPOINT_HEADER',
      'header: expected "," or "}"',
    ],
    [
      'a trailing comma',
      rawFile(`{"t":${entry(0, 0)},}`),
      'CHECKPOINT_HEADER',
      'expected a string',
      'found }',
    ],
    ['a key without quotes', rawFile('{t:{}}'), 'CHECKPOINT_HEADER', 'expected a string', 'found t'],
    [
      'a line break in a string',
      rawFile('{"a\nb":{}}'),
      'CHECKPOINT_HEADER',
      'end of the string',
      'at byte 11',
    ],
    ['an invalid escape', rawFile('{"\\x":{}}'), 'CHECKPOINT_HEADER', 'valid escapes', 'at byte 9'],
    ['a lone surrogate', rawFile('{"\\ud800":{}}'), 'CHECKPOINT_HEADER', 'valid escapes', 'at byte 9'],
    [
      'a duplicate tensor',
      rawFile(`{"a":${entry(0, 2)},"b":${entry(2, 4)},"a":${entry(0, 2)}}`, 4),
      'CHECKPOINT_HEADER',
      'expected each key once, found "a" twice',
    ],
    [
      'a duplicate tensor, once escaped',
      rawFile(`{"a":${entry(0, 2)},"\\u0061":${entry(0, 2)}}`, 2),
      'CHECKPOINT_HEADER',
      'expected each key once, found "a" twice',
    ],
    [
      'a duplicate tensor called __proto__',
      rawFile(`{"__proto__":${entry(0, 2)},"__proto__":${entry(0, 2)}}`, 2),
      'CHECKPOINT_HEADER',
      'found "__proto__" twice',
    ],
    [
      'a duplicate __metadata__',
      rawFile('{"__metadata__":{},"__metadata__":{}}'),
      'CHECKPOINT_HEADER',
      'found "__metadata__" twice',
    ],
    [
      'a duplicate key in the metadata',
      rawFile('{"__metadata__":{"a":"1","a":"2"}}'),
      'CHECKPOINT_HEADER',
      'found "a" twice (at byte 33)',
    ],
    [
      'a duplicate key in an entry',
      rawFile(`{"t":${entry(0, 4, ',"dtype":"I8"')}}`, 4),
      'CHECKPOINT_HEADER',
      'tensor "t": expected each key once, found "dtype" twice',
    ],
    [
      'duplicate data_offsets in an entry',
      rawFile(`{"t":${entry(0, 4, ',"data_offsets":[0,4]')}}`, 4),
      'CHECKPOINT_HEADER',
      'tensor "t": expected each key once, found "data_offsets" twice',
    ],
    [
      'a duplicate key in an entry, escaped',
      rawFile(`{"t":${entry(0, 4, ',"\\u0073hape":[4]')}}`, 4),
      'CHECKPOINT_HEADER',
      'tensor "t": expected each key once, found "shape" twice',
    ],
    [
      'an array as metadata',
      rawFile('{"__metadata__":[]}'),
      'CHECKPOINT_HEADER',
      '"__metadata__": expected an object, found [',
    ],
    ['null as metadata', rawFile('{"__metadata__":null}'), 'CHECKPOINT_HEADER', '__metadata__', 'found null'],
    [
      'a number in the metadata',
      rawFile('{"__metadata__":{"a":1}}'),
      'CHECKPOINT_HEADER',
      'metadata "a": expected a string, found 1',
    ],
    [
      'an object in the metadata',
      rawFile('{"__metadata__":{"a":{}}}'),
      'CHECKPOINT_HEADER',
      'metadata "a": expected a string',
    ],
    [
      'deeply nested metadata',
      rawFile(`{"__metadata__":{"a":${deep}`),
      'CHECKPOINT_HEADER',
      'metadata "a": expected a string',
    ],
    ['a deeply nested header', rawFile(deep), 'CHECKPOINT_HEADER', 'expected an object'],
    ['a deeply nested entry', rawFile(`{"t":${deep}`), 'CHECKPOINT_TENSOR', 'tensor "t": expected an object'],
    ['a number as entry', rawFile('{"t":1}'), 'CHECKPOINT_TENSOR', 'tensor "t": expected an object, found 1'],
    ['an empty entry', rawFile('{"t":{}}'), 'CHECKPOINT_TENSOR', 'tensor "t": expected dtype, found none'],
    [
      'an entry without a shape',
      rawFile('{"t":{"dtype":"U8","data_offsets":[0,0]}}'),
      'CHECKPOINT_TENSOR',
      'tensor "t": expected shape, found none',
    ],
    [
      'an entry without offsets',
      rawFile('{"t":{"dtype":"U8","shape":[0]}}'),
      'CHECKPOINT_TENSOR',
      'tensor "t": expected data_offsets, found none',
    ],
    [
      'an entry with an unknown key',
      oneTensor({ stride: '[1]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t"',
      '"stride"',
    ],
    [
      'an unknown dtype',
      oneTensor({ dtype: '"F12"' }),
      'CHECKPOINT_TENSOR',
      'tensor "t"',
      'BF16',
      'found "F12"',
    ],
    [
      'the dtype F8_E4M3',
      oneTensor({ dtype: '"F8_E4M3"' }),
      'CHECKPOINT_TENSOR',
      'tensor "t"',
      'found "F8_E4M3"',
    ],
    ['a dtype in lower case', oneTensor({ dtype: '"u8"' }), 'CHECKPOINT_TENSOR', 'tensor "t"', 'found "u8"'],
    [
      'the dtype constructor',
      oneTensor({ dtype: '"constructor"' }),
      'CHECKPOINT_TENSOR',
      'found "constructor"',
    ],
    [
      'a number as dtype',
      oneTensor({ dtype: '8' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": dtype: expected a string',
    ],
    [
      'a number as shape',
      oneTensor({ shape: '4' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape: expected an array',
    ],
    ['a negative shape', oneTensor({ shape: '[-4]' }), 'CHECKPOINT_TENSOR', 'tensor "t": shape', 'found -4'],
    [
      'a shape of minus zero',
      oneTensor({ shape: '[-0]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape',
      'found -0',
    ],
    [
      'a shape that is negative twice',
      oneTensor({ shape: '[-2,-2]' }),
      'CHECKPOINT_TENSOR',
      'shape',
      'found -2',
    ],
    [
      'a fractional shape',
      oneTensor({ shape: '[4.5]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape',
      'found 4.5',
    ],
    ['the shape 4.0', oneTensor({ shape: '[4.0]' }), 'CHECKPOINT_TENSOR', 'tensor "t": shape', 'found 4.0'],
    ['a shape with an exponent', oneTensor({ shape: '[4e0]' }), 'CHECKPOINT_TENSOR', 'shape', 'found 4e0'],
    ['a shape with a leading zero', oneTensor({ shape: '[04]' }), 'CHECKPOINT_TENSOR', 'shape', 'found 04'],
    ['a shape of strings', oneTensor({ shape: '["4"]' }), 'CHECKPOINT_TENSOR', 'shape', 'found "4"'],
    [
      'a deeply nested shape',
      oneTensor({ shape: deep }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape',
      'found [',
    ],
    [
      'a dimension of 2^53',
      oneTensor({ shape: '[9007199254740992]' }),
      'CHECKPOINT_TENSOR',
      '9007199254740992',
    ],
    [
      'a dimension of 10^400',
      oneTensor({ shape: `[1${'0'.repeat(400)}]` }),
      'CHECKPOINT_TENSOR',
      'found 1000',
    ],
    [
      'a shape whose product overflows',
      oneTensor({ shape: '[4294967296,4294967296]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": expected less than 2^53 bytes',
      '4294967296,4294967296',
    ],
    [
      'a shape whose product overflows before a zero',
      oneTensor({ shape: '[4294967296,4294967296,0]', data_offsets: '[0,0]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": expected less than 2^53 bytes',
    ],
    [
      'a shape whose bytes overflow',
      oneTensor({ dtype: '"F64"', shape: '[9007199254740991]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": expected less than 2^53 bytes',
    ],
    [
      'a shape of 65 dimensions',
      oneTensor({ shape: `[${Array(65).fill(1)}]` }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape: expected at most 64',
    ],
    [
      'a shape larger than the data',
      oneTensor({ shape: '[5]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": expected 5 bytes for U8 [5]',
      'which is 4 bytes',
    ],
    ['a shape smaller than the data', oneTensor({ shape: '[1,3]' }), 'CHECKPOINT_TENSOR', 'expected 3 bytes'],
    [
      'a dtype larger than the data',
      oneTensor({ dtype: '"F16"' }),
      'CHECKPOINT_TENSOR',
      'expected 8 bytes for F16',
    ],
    [
      'one offset',
      oneTensor({ data_offsets: '[0]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": data_offsets',
      'fewer than 2 numbers',
    ],
    [
      'three offsets',
      oneTensor({ data_offsets: '[0,4,4]' }),
      'CHECKPOINT_TENSOR',
      'data_offsets',
      'at most 2',
    ],
    [
      'a negative offset',
      oneTensor({ data_offsets: '[-4,0]' }),
      'CHECKPOINT_TENSOR',
      'data_offsets',
      'found -4',
    ],
    ['reversed offsets', oneTensor({ data_offsets: '[4,0]' }), 'CHECKPOINT_TENSOR', 'begin <= end', '[4, 0]'],
    [
      'offsets past the end',
      oneTensor({ shape: '[5]', data_offsets: '[0,5]' }),
      'CHECKPOINT_TRUNCATED',
      'tensor "t": expected data up to offset 5',
      'found only 4',
    ],
    [
      'offsets that leave a gap at the start',
      oneTensor({ shape: '[3]', data_offsets: '[1,4]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t" leaves a gap after the start of the data',
      'expected offset 0, found 1',
    ],
    [
      'offsets that leave a gap between tensors',
      rawFile(`{"b":${entry(3, 4)},"a":${entry(0, 2)}}`, 4),
      'CHECKPOINT_TENSOR',
      'tensor "b" leaves a gap after tensor "a"',
      'expected offset 2, found 3',
    ],
    [
      'offsets that overlap',
      rawFile(`{"b":${entry(1, 4)},"a":${entry(0, 2)}}`, 4),
      'CHECKPOINT_TENSOR',
      'tensor "b" overlaps tensor "a"',
      'expected offset 2, found 1',
    ],
    [
      'two tensors with the same offsets',
      rawFile(`{"a":${entry(0, 4)},"b":${entry(0, 4)}}`, 4),
      'CHECKPOINT_TENSOR',
      'tensor "b" overlaps tensor "a"',
    ],
    [
      'an empty tensor inside another',
      rawFile(`{"a":${entry(0, 4)},"b":${entry(2, 2)}}`, 4),
      'CHECKPOINT_TENSOR',
      'tensor "b" overlaps tensor "a"',
    ],
    [
      'trailing bytes',
      rawFile(`{"t":${entry(0, 4)}}`, 6),
      'CHECKPOINT_TRAILING',
      'tensor "t" at offset 4, found 2 bytes more',
    ],
    [
      'trailing bytes without a tensor',
      rawFile('{}', 1),
      'CHECKPOINT_TRAILING',
      'start of the data',
      '1 bytes more',
    ],
    [
      'a missing last byte',
      small.subarray(0, -1),
      'CHECKPOINT_TRUNCATED',
      'tensor "weight"',
      'found only 13',
    ],
    ['a pickle in a ZIP', bytesOf('PK\x03\x04\0\0\b\b\0\0\0\0'), 'CHECKPOINT_FORMAT', 'PyTorch checkpoint'],
    [
      'a bare pickle',
      new Uint8Array([0x80, 2, 0x7d, 0x71, 0, 0x28, 0x58, 5, 0, 0]),
      'CHECKPOINT_FORMAT',
      'found a PyTorch checkpoint; this is a float model: run `fqvit quantize model.safetensors -o m.safetensors`',
    ],
    [
      'an ONNX model',
      exported('vit-timm-14'),
      'CHECKPOINT_FORMAT',
      'found an ONNX model; if it is a float model, run `fqvit quantize model.safetensors -o m.safetensors`',
    ],
    [
      'a web page',
      bytesOf('\n<!DOCTYPE html><title>404</title>'),
      'CHECKPOINT_FORMAT',
      'web page',
      'error page',
    ],
    ['a JSON text', bytesOf('{"error":"not found"}'), 'CHECKPOINT_FORMAT', 'JSON'],
    [
      'a Git LFS pointer',
      bytesOf('version https://git-lfs.github.com/spec/v1\noid sha256:0'),
      'CHECKPOINT_FORMAT',
      'git lfs pull',
    ],
    [
      'a JPEG',
      new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 0, 16, 74, 70]),
      'CHECKPOINT_HEADER',
      'not a safetensors file',
    ],
  ];

  test.each(cases)('refuses %s', (_name, file, code, ...says) => {
    const error = refusal(() => readSafetensors(file, { file: 'model.safetensors' }));
    expect(error.code).toBe(code);
    expect(error.message.startsWith('model.safetensors: ')).toBe(true);
    for (const part of says) expect(error.message).toContain(part);
    expect(error.message.length).toBeLessThan(400);
  });

  test('refuses every prefix of a file as truncated', () => {
    for (let length = 0; length < small.length; length++) {
      expect([length, refusal(() => readSafetensors(small.subarray(0, length))).code]).toEqual([
        length,
        'CHECKPOINT_TRUNCATED',
      ]);
    }
  });

  test('shortens names in messages and removes control characters', () => {
    const long = `${'\\u001b[31m'}${'n'.repeat(1_000_000)}`;
    const { message } = refusal(() => readSafetensors(rawFile(`{"${long}":{"dtype":"\u009b31m"}}`)));
    expect(message.length).toBeLessThan(200);
    expect(message).not.toMatch(/\p{C}/u);
  });

  test('counts offsets in messages in bytes, not characters', () => {
    expect(refusal(() => readSafetensors(rawFile('{"é":1}'))).message).toContain('(at byte 14)');
  });

  test('quickly reads a header of 100,000 tensors and refuses 100,001', () => {
    const header = (count: number) =>
      `{${Array.from({ length: count }, (_, i) => `"${i}":${entry(0, 0)}`).join(',')}}`;
    const most = rawFile(header(100_000));
    const start = performance.now();
    expect(readSafetensors(most).tensors.size).toBe(100_000);
    expect(performance.now() - start).toBeLessThan(5000);
    const more = rawFile(header(100_001));
    const error = refusal(() => readSafetensors(more), 5000);
    expect(error.code).toBe('CHECKPOINT_HEADER');
    expect(error.message).toContain('expected at most 100000 keys');
  });

  test('refuses metadata with 100,001 keys', () => {
    const members = Array.from({ length: 100_001 }, (_, i) => `"${i}":""`);
    const file = rawFile(`{"__metadata__":{${members.join(',')}}}`);
    const error = refusal(() => readSafetensors(file), 5000);
    expect(error.code).toBe('CHECKPOINT_HEADER');
    expect(error.message).toContain('expected at most 100000 keys');
  });
});

describe('an unusual but valid file', () => {
  test('may have no tensors', () => {
    const { metadata, tensors } = readSafetensors(rawFile('{}'));
    expect(tensors.size).toBe(0);
    expect(metadata.toString).toBeUndefined();
  });

  test('may have white space anywhere except at the start', () => {
    const text = `{ "t" :\n{ "dtype"\t:"U8" , "shape":[ 2 , 2 ] ,\r"data_offsets":[ 0 , 4 ] } } `;
    expect(readSafetensors(rawFile(text, 4)).tensors.get('t')?.shape).toEqual([2, 2]);
  });

  test('may have tensors out of order, scalars and empty tensors', () => {
    const header = `{"b":${entry(1, 3)},"scalar":{"shape":[],"data_offsets":[0,1],"dtype":"BOOL"},"none":${entry(1, 1)}}`;
    const file = rawFile(header, 3);
    file.set([1, 2, 3], file.length - 3);
    const { tensors } = readSafetensors(file);
    expect([...tensors.keys()]).toEqual(['b', 'scalar', 'none']);
    expect([...tensors.get('b')!.data]).toEqual([2, 3]);
    expect([...tensors.get('scalar')!.data]).toEqual([1]);
    expect(tensors.get('none')!.data.length).toBe(0);
  });

  test('may have a tensor and metadata called __proto__', () => {
    const file = rawFile(
      `{"__proto__":${entry(0, 4)},"__metadata__":{"__proto__":"p","constructor":"c"}}`,
      4,
    );
    const { metadata, tensors } = readSafetensors(file);
    expect(tensors.get('__proto__')?.name).toBe('__proto__');
    expect(Object.entries(metadata)).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'c'],
    ]);
    expect(metadata.toString).toBeUndefined();
    expect(({} as Record<string, unknown>).p).toBeUndefined();
  });

  test('may have escapes in names', () => {
    const file = rawFile(`{"\\u0061\\"\\\\\\ud83d\\ude00":${entry(0, 0)}}`);
    expect([...readSafetensors(file).tensors.keys()]).toEqual(['a"\\😀']);
  });

  test('may be part of a larger, unaligned buffer, on which the data is a view', () => {
    const buffer = new Uint8Array(small.length + 3);
    buffer.set(small, 1);
    const { tensors } = readSafetensors(buffer.subarray(1, 1 + small.length));
    const data = tensors.get('weight')!.data;
    expect([...data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(data.buffer).toBe(buffer.buffer);
  });
});

describe('writeSafetensors', () => {
  test('gives the bytes of the reference implementation', () => {
    const header =
      '{"__metadata__":{"format":"test"},"bias":{"dtype":"I32","shape":[2],"data_offsets":[0,8]},' +
      '"weight":{"dtype":"I8","shape":[2,3],"data_offsets":[8,14]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    const expected = rawFile(padded, 14);
    expected.set([7, 0, 0, 0, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6], expected.length - 14);
    expect(small).toEqual(expected);
  });

  test('omits __metadata__ without metadata', () => {
    const text = new TextDecoder().decode(writeSafetensors([], {}).subarray(8));
    expect(text).toBe('{}      ');
  });

  const byte = new Uint8Array(1);
  const good: Tensor = { name: 't', dtype: 'U8', shape: [1], data: byte };
  const refused: [
    name: string,
    tensors: Tensor[],
    metadata: Record<string, string>,
    code: string,
    says: string,
  ][] = [
    [
      'a duplicate name',
      [good, good],
      {},
      'CHECKPOINT_TENSOR',
      'tensor "t": expected a unique and well-formed name',
    ],
    [
      '__metadata__ as a name',
      [{ ...good, name: '__metadata__' }],
      {},
      'CHECKPOINT_TENSOR',
      '"__metadata__"',
    ],
    ['a lone surrogate in a name', [{ ...good, name: '\ud800' }], {}, 'CHECKPOINT_TENSOR', 'well-formed'],
    ['an unknown dtype', [{ ...good, dtype: 'F8' as Dtype }], {}, 'CHECKPOINT_TENSOR', 'found "F8"'],
    [
      'data too short',
      [{ ...good, shape: [2] }],
      {},
      'CHECKPOINT_TENSOR',
      'expected 2 bytes for U8 [2], found 1',
    ],
    ['data too long', [{ ...good, shape: [0] }], {}, 'CHECKPOINT_TENSOR', 'expected 0 bytes'],
    ['a negative shape', [{ ...good, shape: [-1, -1] }], {}, 'CHECKPOINT_TENSOR', 'found [-1,-1]'],
    ['a fractional shape', [{ ...good, shape: [0.5, 2] }], {}, 'CHECKPOINT_TENSOR', 'found [0.5,2]'],
    ['65 dimensions', [{ ...good, shape: Array(65).fill(1) }], {}, 'CHECKPOINT_TENSOR', 'at most 64'],
    [
      'a shape that overflows',
      [{ ...good, shape: [2 ** 40, 2 ** 40] }],
      {},
      'CHECKPOINT_TENSOR',
      'expected less than 2^53 bytes',
    ],
    ['metadata that is not a string', [], { a: 1 as unknown as string }, 'CHECKPOINT_HEADER', 'metadata "a"'],
    ['a lone surrogate in the metadata', [], { a: '\udfff' }, 'CHECKPOINT_HEADER', 'metadata "a"'],
  ];
  test.each(refused)('refuses %s', (_name, tensors, metadata, code, says) => {
    const error = refusal(() => writeSafetensors(tensors, metadata));
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
  });

  test('refuses more tensors than can be read', () => {
    const tensors = Array.from({ length: 100_001 }, (_, i) => ({ ...good, name: `${i}` }));
    const error = refusal(() => writeSafetensors(tensors, {}), 10_000);
    expect(error.code).toBe('CHECKPOINT_HEADER');
    expect(error.message).toContain('found 100001');
  });

  test('refuses a header above the limit', () => {
    const error = refusal(() => writeSafetensors([], { a: 'x'.repeat(MAX_HEADER_BYTES) }), 10_000);
    expect(error.code).toBe('CHECKPOINT_HEADER');
    expect(error.message).toContain('at most 100000000 bytes');
  });
});

const DTYPE_SIZES: Record<Dtype, number> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

const anyName = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.constantFrom('__proto__', 'constructor', '0', '"', '\\', '\u0000', '\u2028'),
);

const anyTensor: fc.Arbitrary<Tensor> = fc
  .record({
    name: anyName,
    dtype: fc.constantFrom(...(Object.keys(DTYPE_SIZES) as Dtype[])),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
    seed: fc.nat(255),
  })
  .map(({ name, dtype, shape, seed }) => {
    const length = shape.reduce((product, n) => product * n, DTYPE_SIZES[dtype]);
    return { name, dtype, shape, data: Uint8Array.from({ length }, (_, i) => i * 31 + seed) };
  });

const anyFile = fc.record({
  tensors: fc.uniqueArray(anyTensor, { selector: ({ name }) => name, maxLength: 12 }),
  metadata: fc.dictionary(anyName, fc.string({ unit: 'grapheme' }), { maxKeys: 5 }),
});

describe('properties', () => {
  test('reads back what it wrote', () => {
    fc.assert(
      fc.property(anyFile, ({ tensors, metadata }) => {
        const read = readSafetensors(writeSafetensors(tensors, metadata));
        expect(new Map(Object.entries(read.metadata))).toEqual(new Map(Object.entries(metadata)));
        expect(read.tensors.size).toBe(tensors.length);
        for (const tensor of tensors) expect(read.tensors.get(tensor.name)).toEqual(tensor);
      }),
    );
  });

  test('writes the same bytes for any order of tensors and metadata', () => {
    fc.assert(
      fc.property(anyFile, ({ tensors, metadata }) => {
        const reversed = Object.fromEntries(Object.entries(metadata).reverse());
        const again = writeSafetensors([...tensors].reverse(), reversed);
        expect(again).toEqual(writeSafetensors(tensors, metadata));
      }),
    );
  });

  test('aligns every tensor to its type', () => {
    fc.assert(
      fc.property(anyFile, ({ tensors, metadata }) => {
        for (const { data, dtype } of readSafetensors(writeSafetensors(tensors, metadata)).tensors.values()) {
          expect(data.byteOffset % DTYPE_SIZES[dtype]).toBe(0);
        }
      }),
    );
  });

  test('reads or refuses a corrupted file quickly, and throws nothing else', () => {
    const damage = fc.array(fc.record({ at: fc.nat(), value: fc.nat(255) }), { minLength: 1, maxLength: 8 });
    let refusals = 0;
    fc.assert(
      fc.property(anyFile, damage, fc.nat(40), ({ tensors, metadata }, changes, cut) => {
        const whole = writeSafetensors(tensors, metadata);
        const file = whole.slice(0, whole.length - (cut % 4 === 0 ? cut : 0));
        // Half of the changes are at the start of the file, where they matter most.
        for (const { at, value } of changes) file[at % (at % 2 ? 64 : file.length)] = value;
        const start = performance.now();
        try {
          readSafetensors(file);
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
          expect(error.code).toMatch(/^CHECKPOINT_(TRUNCATED|FORMAT|HEADER|TENSOR|TRAILING)$/);
          refusals++;
        }
        expect(performance.now() - start).toBeLessThan(500);
      }),
      { numRuns: 2000 },
    );
    expect(refusals).toBeGreaterThan(500);
  });

  test('reads or refuses arbitrary header text', () => {
    const fragments = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '\\',
        ' ',
        '0',
        '1',
        '-',
        '.',
        'e',
        'null',
        '"t"',
        '"dtype"',
        '"U8"',
      ],
      ...['"shape"', '"data_offsets"', '"__metadata__"', '"__proto__"', '\\u0061', 'é', '{"t":', '[0,0]'],
    );
    fc.assert(
      fc.property(fc.array(fragments, { maxLength: 40 }), (parts) => {
        try {
          readSafetensors(rawFile(parts.join('')));
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('accepts only what JSON.parse accepts, with the same names', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyName, { maxLength: 8 }), (names) => {
        const text = `{${names.map((name) => `${JSON.stringify(name)}:${entry(0, 0)}`).join(',')}}`;
        const { tensors } = readSafetensors(rawFile(text));
        expect(new Set(tensors.keys())).toEqual(new Set(Object.keys(JSON.parse(text))));
      }),
    );
  });
});

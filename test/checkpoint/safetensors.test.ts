import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type Dtype,
  MAX_HEADER_BYTES,
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../src/checkpoint/safetensors.js';
import { CheckpointError } from '../../src/errors.js';
import { exported } from './onnx/support.js';
import { rawFile, refusal } from './raw-file.js';

/** A header entry of one U8 tensor, unless told otherwise. */
function entry(begin: number, end: number, rest = ''): string {
  return `{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]${rest}}`;
}

/** A file whose only tensor is `t`, of 4 bytes, with these fields put in place of the right ones. */
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

describe('a file that is not what it says', () => {
  test('the file that the cases are made from is right', () => {
    const { tensors } = readSafetensors(oneTensor({}));
    expect([...tensors.keys()]).toEqual(['t']);
    expect([...readSafetensors(small).tensors.keys()]).toEqual(['bias', 'weight']);
  });

  const deep = '['.repeat(5_000_000);
  const cases: [name: string, file: Uint8Array, code: string, ...says: string[]][] = [
    ['empty', new Uint8Array(0), 'CHECKPOINT_TRUNCATED', 'at least 8 bytes', 'found 0'],
    ['under 8 bytes', new Uint8Array(7), 'CHECKPOINT_TRUNCATED', 'at least 8 bytes', 'found 7'],
    ['header length 0', rawFile('{}', 0, 0n), 'CHECKPOINT_HEADER', 'found the length 0'],
    [
      'header length past the end',
      rawFile('{}', 0, 3n),
      'CHECKPOINT_TRUNCATED',
      'a header of 3 bytes',
      'found 2',
    ],
    ['header length 2^63', rawFile('{}', 0, 2n ** 63n), 'CHECKPOINT_HEADER', '9223372036854775808'],
    ['header length 2^64 - 1', rawFile('{}', 0, 2n ** 64n - 1n), 'CHECKPOINT_HEADER', '18446744073709551615'],
    [
      'header length one over the cap',
      rawFile('{}', 0, BigInt(MAX_HEADER_BYTES) + 1n),
      'CHECKPOINT_HEADER',
      '100000001',
    ],
    ['header not UTF-8', rawFile(new Uint8Array([0x7b, 0xff, 0x7d])), 'CHECKPOINT_HEADER', 'not UTF-8'],
    [
      'header with an overlong UTF-8 sequence',
      rawFile(new Uint8Array([0x7b, 0x22, 0xc0, 0x80, 0x22, 0x7d])),
      'CHECKPOINT_HEADER',
      'not UTF-8',
    ],
    [
      'header with a byte order mark',
      rawFile('\ufeff{}'),
      'CHECKPOINT_HEADER',
      'expected an object',
      'at byte 8',
    ],
    [
      'header that starts with a space',
      rawFile(' {}'),
      'CHECKPOINT_HEADER',
      'expected an object',
      'at byte 8',
    ],
    ['header not JSON', rawFile('weights'), 'CHECKPOINT_HEADER', 'expected an object', 'found weights'],
    ['header an array', rawFile('[]'), 'CHECKPOINT_HEADER', 'expected an object', 'found ['],
    ['header null', rawFile('null'), 'CHECKPOINT_HEADER', 'expected an object', 'found null'],
    [
      'header cut off',
      rawFile('{"t":{"dtype":"U8"'),
      'CHECKPOINT_HEADER',
      'the end of the header',
      'at byte 26',
    ],
    [
      'header cut off in a string',
      rawFile('{"t'),
      'CHECKPOINT_HEADER',
      'the end of the header',
      'at byte 11',
    ],
    [
      'header cut off in an escape',
      rawFile('{"t\\'),
      'CHECKPOINT_HEADER',
      'the end of the header',
      'at byte 12',
    ],
    ['header followed by more', rawFile('{} {}'), 'CHECKPOINT_HEADER', 'nothing but spaces', 'at byte 11'],
    ['colon missing', rawFile('{"t" {}}'), 'CHECKPOINT_HEADER', '"t"', 'expected ":"', 'at byte 13'],
    [
      'comma missing',
      rawFile(`{"t":${entry(0, 0)} "u":1}`),
      'CHECKPOINT_HEADER',
      'header: expected "," or "}"',
    ],
    ['comma too many', rawFile(`{"t":${entry(0, 0)},}`), 'CHECKPOINT_HEADER', 'expected a string', 'found }'],
    ['key without quotes', rawFile('{t:{}}'), 'CHECKPOINT_HEADER', 'expected a string', 'found t'],
    [
      'line break in a string',
      rawFile('{"a\nb":{}}'),
      'CHECKPOINT_HEADER',
      'end of the string',
      'at byte 11',
    ],
    ['invalid escape', rawFile('{"\\x":{}}'), 'CHECKPOINT_HEADER', 'valid escapes', 'at byte 9'],
    ['lone surrogate', rawFile('{"\\ud800":{}}'), 'CHECKPOINT_HEADER', 'valid escapes', 'at byte 9'],
    [
      'duplicate tensor',
      rawFile(`{"a":${entry(0, 2)},"b":${entry(2, 4)},"a":${entry(0, 2)}}`, 4),
      'CHECKPOINT_HEADER',
      'duplicate key "a"',
    ],
    [
      'duplicate tensor, once escaped',
      rawFile(`{"a":${entry(0, 2)},"\\u0061":${entry(0, 2)}}`, 2),
      'CHECKPOINT_HEADER',
      'duplicate key "a"',
    ],
    [
      'duplicate tensor called __proto__',
      rawFile(`{"__proto__":${entry(0, 2)},"__proto__":${entry(0, 2)}}`, 2),
      'CHECKPOINT_HEADER',
      'duplicate key "__proto__"',
    ],
    [
      'duplicate __metadata__',
      rawFile('{"__metadata__":{},"__metadata__":{}}'),
      'CHECKPOINT_HEADER',
      'duplicate key "__metadata__"',
    ],
    [
      'duplicate key in the metadata',
      rawFile('{"__metadata__":{"a":"1","a":"2"}}'),
      'CHECKPOINT_HEADER',
      'duplicate key "a" (at byte 33)',
    ],
    [
      'duplicate key in an entry',
      rawFile(`{"t":${entry(0, 4, ',"dtype":"I8"')}}`, 4),
      'CHECKPOINT_HEADER',
      'tensor "t": duplicate key "dtype"',
    ],
    [
      'duplicate data_offsets in an entry',
      rawFile(`{"t":${entry(0, 4, ',"data_offsets":[0,4]')}}`, 4),
      'CHECKPOINT_HEADER',
      'tensor "t": duplicate key "data_offsets"',
    ],
    [
      'duplicate key in an entry, escaped',
      rawFile(`{"t":${entry(0, 4, ',"\\u0073hape":[4]')}}`, 4),
      'CHECKPOINT_HEADER',
      'tensor "t": duplicate key "shape"',
    ],
    [
      'metadata an array',
      rawFile('{"__metadata__":[]}'),
      'CHECKPOINT_HEADER',
      '"__metadata__": expected an object, found [',
    ],
    ['metadata null', rawFile('{"__metadata__":null}'), 'CHECKPOINT_HEADER', '__metadata__', 'found null'],
    [
      'metadata value a number',
      rawFile('{"__metadata__":{"a":1}}'),
      'CHECKPOINT_HEADER',
      'metadata "a": expected a string, found 1',
    ],
    [
      'metadata value an object',
      rawFile('{"__metadata__":{"a":{}}}'),
      'CHECKPOINT_HEADER',
      'metadata "a": expected a string',
    ],
    [
      'metadata nested deeply',
      rawFile(`{"__metadata__":{"a":${deep}`),
      'CHECKPOINT_HEADER',
      'metadata "a": expected a string',
    ],
    ['header nested deeply', rawFile(deep), 'CHECKPOINT_HEADER', 'expected an object'],
    ['entry nested deeply', rawFile(`{"t":${deep}`), 'CHECKPOINT_TENSOR', 'tensor "t": expected an object'],
    ['entry a number', rawFile('{"t":1}'), 'CHECKPOINT_TENSOR', 'tensor "t": expected an object, found 1'],
    ['entry empty', rawFile('{"t":{}}'), 'CHECKPOINT_TENSOR', 'tensor "t": dtype is missing'],
    [
      'entry without shape',
      rawFile('{"t":{"dtype":"U8","data_offsets":[0,0]}}'),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape is missing',
    ],
    [
      'entry without offsets',
      rawFile('{"t":{"dtype":"U8","shape":[0]}}'),
      'CHECKPOINT_TENSOR',
      'tensor "t": data_offsets is missing',
    ],
    [
      'entry with an unknown key',
      oneTensor({ stride: '[1]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t"',
      '"stride"',
    ],
    [
      'dtype unknown',
      oneTensor({ dtype: '"F12"' }),
      'CHECKPOINT_TENSOR',
      'tensor "t"',
      'BF16',
      'found "F12"',
    ],
    [
      'dtype F8_E4M3',
      oneTensor({ dtype: '"F8_E4M3"' }),
      'CHECKPOINT_TENSOR',
      'tensor "t"',
      'found "F8_E4M3"',
    ],
    ['dtype in small letters', oneTensor({ dtype: '"u8"' }), 'CHECKPOINT_TENSOR', 'tensor "t"', 'found "u8"'],
    ['dtype constructor', oneTensor({ dtype: '"constructor"' }), 'CHECKPOINT_TENSOR', 'found "constructor"'],
    [
      'dtype a number',
      oneTensor({ dtype: '8' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": dtype: expected a string',
    ],
    [
      'shape a number',
      oneTensor({ shape: '4' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape: expected an array',
    ],
    ['shape negative', oneTensor({ shape: '[-4]' }), 'CHECKPOINT_TENSOR', 'tensor "t": shape', 'found -4'],
    ['shape minus zero', oneTensor({ shape: '[-0]' }), 'CHECKPOINT_TENSOR', 'tensor "t": shape', 'found -0'],
    ['shape twice negative', oneTensor({ shape: '[-2,-2]' }), 'CHECKPOINT_TENSOR', 'shape', 'found -2'],
    [
      'shape fractional',
      oneTensor({ shape: '[4.5]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape',
      'found 4.5',
    ],
    ['shape 4.0', oneTensor({ shape: '[4.0]' }), 'CHECKPOINT_TENSOR', 'tensor "t": shape', 'found 4.0'],
    ['shape with an exponent', oneTensor({ shape: '[4e0]' }), 'CHECKPOINT_TENSOR', 'shape', 'found 4e0'],
    ['shape with a leading zero', oneTensor({ shape: '[04]' }), 'CHECKPOINT_TENSOR', 'shape', 'found 04'],
    ['shape of strings', oneTensor({ shape: '["4"]' }), 'CHECKPOINT_TENSOR', 'shape', 'found "4"'],
    ['shape nested deeply', oneTensor({ shape: deep }), 'CHECKPOINT_TENSOR', 'tensor "t": shape', 'found ['],
    ['dimension 2^53', oneTensor({ shape: '[9007199254740992]' }), 'CHECKPOINT_TENSOR', '9007199254740992'],
    ['dimension 10^400', oneTensor({ shape: `[1${'0'.repeat(400)}]` }), 'CHECKPOINT_TENSOR', 'found 1000'],
    [
      'shape whose product overflows',
      oneTensor({ shape: '[4294967296,4294967296]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape overflows',
      '4294967296,4294967296',
    ],
    [
      'shape whose product overflows before a zero',
      oneTensor({ shape: '[4294967296,4294967296,0]', data_offsets: '[0,0]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape overflows',
    ],
    [
      'shape whose bytes overflow',
      oneTensor({ dtype: '"F64"', shape: '[9007199254740991]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape overflows',
    ],
    [
      'shape of 65 dimensions',
      oneTensor({ shape: `[${Array(65).fill(1)}]` }),
      'CHECKPOINT_TENSOR',
      'tensor "t": shape: expected at most 64',
    ],
    [
      'shape larger than the data',
      oneTensor({ shape: '[5]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": expected 5 bytes for U8 [5]',
      'of 4 bytes',
    ],
    ['shape smaller than the data', oneTensor({ shape: '[1,3]' }), 'CHECKPOINT_TENSOR', 'expected 3 bytes'],
    [
      'dtype larger than the data',
      oneTensor({ dtype: '"F16"' }),
      'CHECKPOINT_TENSOR',
      'expected 8 bytes for F16',
    ],
    [
      'offsets of one',
      oneTensor({ data_offsets: '[0]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t": data_offsets',
      'less than 2 numbers',
    ],
    [
      'offsets of three',
      oneTensor({ data_offsets: '[0,4,4]' }),
      'CHECKPOINT_TENSOR',
      'data_offsets',
      'at most 2',
    ],
    [
      'offsets negative',
      oneTensor({ data_offsets: '[-4,0]' }),
      'CHECKPOINT_TENSOR',
      'data_offsets',
      'found -4',
    ],
    ['offsets reversed', oneTensor({ data_offsets: '[4,0]' }), 'CHECKPOINT_TENSOR', 'begin <= end', '[4, 0]'],
    [
      'offsets past the end',
      oneTensor({ shape: '[5]', data_offsets: '[0,5]' }),
      'CHECKPOINT_TRUNCATED',
      'tensor "t": expected data up to offset 5',
      'found only 4',
    ],
    [
      'offsets that leave a hole at the start',
      oneTensor({ shape: '[3]', data_offsets: '[1,4]' }),
      'CHECKPOINT_TENSOR',
      'tensor "t" leaves a hole after the start of the data',
      'expected offset 0, found 1',
    ],
    [
      'offsets that leave a hole between tensors',
      rawFile(`{"b":${entry(3, 4)},"a":${entry(0, 2)}}`, 4),
      'CHECKPOINT_TENSOR',
      'tensor "b" leaves a hole after tensor "a"',
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
      'two names for one place',
      rawFile(`{"a":${entry(0, 4)},"b":${entry(0, 4)}}`, 4),
      'CHECKPOINT_TENSOR',
      'tensor "b" overlaps tensor "a"',
    ],
    [
      'empty tensor inside another',
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
      'the last byte missing',
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
      'PyTorch checkpoint, a float one: `fqvit quantize model.safetensors`',
    ],
    [
      'an ONNX model',
      exported('vit-timm-14'),
      'CHECKPOINT_FORMAT',
      'an ONNX model: `fqvit quantize model.safetensors` makes an integer checkpoint from a float one',
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

  test.each(cases)('%s', (_name, file, code, ...says) => {
    const error = refusal(() => readSafetensors(file, { file: 'model.safetensors' }));
    expect(error.code).toBe(code);
    expect(error.message.startsWith('model.safetensors: ')).toBe(true);
    for (const part of says) expect(error.message).toContain(part);
    expect(error.message.length).toBeLessThan(400);
  });

  test('every prefix of a file is refused as truncated', () => {
    for (let length = 0; length < small.length; length++) {
      expect([length, refusal(() => readSafetensors(small.subarray(0, length))).code]).toEqual([
        length,
        'CHECKPOINT_TRUNCATED',
      ]);
    }
  });

  test('names in a message are short and free of control characters', () => {
    const long = `${'\\u001b[31m'}${'n'.repeat(1_000_000)}`;
    const { message } = refusal(() => readSafetensors(rawFile(`{"${long}":{"dtype":"\u009b31m"}}`)));
    expect(message.length).toBeLessThan(200);
    expect(message).not.toMatch(/\p{C}/u);
  });

  test('the offset in a message counts bytes, not characters', () => {
    expect(refusal(() => readSafetensors(rawFile('{"é":1}'))).message).toContain('(at byte 14)');
  });

  test('a header of 100,000 tensors is read, one more refused, both quickly', () => {
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

  test('metadata of 100,001 keys is refused', () => {
    const members = Array.from({ length: 100_001 }, (_, i) => `"${i}":""`);
    const file = rawFile(`{"__metadata__":{${members.join(',')}}}`);
    const error = refusal(() => readSafetensors(file), 5000);
    expect(error.code).toBe('CHECKPOINT_HEADER');
    expect(error.message).toContain('expected at most 100000 keys');
  });
});

describe('a file that is unusual but right', () => {
  test('no tensors', () => {
    const { metadata, tensors } = readSafetensors(rawFile('{}'));
    expect(tensors.size).toBe(0);
    expect(metadata.toString).toBeUndefined();
  });

  test('white space anywhere but at the start', () => {
    const text = `{ "t" :\n{ "dtype"\t:"U8" , "shape":[ 2 , 2 ] ,\r"data_offsets":[ 0 , 4 ] } } `;
    expect(readSafetensors(rawFile(text, 4)).tensors.get('t')?.shape).toEqual([2, 2]);
  });

  test('tensors in another order than their data, scalars and empty tensors', () => {
    const header = `{"b":${entry(1, 3)},"scalar":{"shape":[],"data_offsets":[0,1],"dtype":"BOOL"},"none":${entry(1, 1)}}`;
    const file = rawFile(header, 3);
    file.set([1, 2, 3], file.length - 3);
    const { tensors } = readSafetensors(file);
    expect([...tensors.keys()]).toEqual(['b', 'scalar', 'none']);
    expect([...tensors.get('b')!.data]).toEqual([2, 3]);
    expect([...tensors.get('scalar')!.data]).toEqual([1]);
    expect(tensors.get('none')!.data.length).toBe(0);
  });

  test('a tensor and metadata called __proto__ are only names', () => {
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

  test('escapes in names', () => {
    const file = rawFile(`{"\\u0061\\"\\\\\\ud83d\\ude00":${entry(0, 0)}}`);
    expect([...readSafetensors(file).tensors.keys()]).toEqual(['a"\\😀']);
  });

  test('bytes that are part of a larger, unaligned buffer; the data is a view on them', () => {
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

  test('without metadata leaves __metadata__ out', () => {
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
    ['a name twice', [good, good], {}, 'CHECKPOINT_TENSOR', 'tensor "t": expected a name that is free'],
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
      'overflows',
    ],
    ['metadata not a string', [], { a: 1 as unknown as string }, 'CHECKPOINT_HEADER', 'metadata "a"'],
    ['a lone surrogate in the metadata', [], { a: '\udfff' }, 'CHECKPOINT_HEADER', 'metadata "a"'],
  ];
  test.each(refused)('refuses %s', (_name, tensors, metadata, code, says) => {
    const error = refusal(() => writeSafetensors(tensors, metadata));
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
  });

  test('refuses more tensors than are read', () => {
    const tensors = Array.from({ length: 100_001 }, (_, i) => ({ ...good, name: `${i}` }));
    const error = refusal(() => writeSafetensors(tensors, {}), 10_000);
    expect(error.code).toBe('CHECKPOINT_HEADER');
    expect(error.message).toContain('found 100001');
  });

  test('refuses a header over the cap', () => {
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
  test('what was written is read again', () => {
    fc.assert(
      fc.property(anyFile, ({ tensors, metadata }) => {
        const read = readSafetensors(writeSafetensors(tensors, metadata));
        expect(new Map(Object.entries(read.metadata))).toEqual(new Map(Object.entries(metadata)));
        expect(read.tensors.size).toBe(tensors.length);
        for (const tensor of tensors) expect(read.tensors.get(tensor.name)).toEqual(tensor);
      }),
    );
  });

  test('the order of tensors and metadata does not change a byte', () => {
    fc.assert(
      fc.property(anyFile, ({ tensors, metadata }) => {
        const reversed = Object.fromEntries(Object.entries(metadata).reverse());
        const again = writeSafetensors([...tensors].reverse(), reversed);
        expect(again).toEqual(writeSafetensors(tensors, metadata));
      }),
    );
  });

  test('every tensor is aligned to its type', () => {
    fc.assert(
      fc.property(anyFile, ({ tensors, metadata }) => {
        for (const { data, dtype } of readSafetensors(writeSafetensors(tensors, metadata)).tensors.values()) {
          expect(data.byteOffset % DTYPE_SIZES[dtype]).toBe(0);
        }
      }),
    );
  });

  test('a corrupted file is read or refused, quickly, and nothing else is thrown', () => {
    const damage = fc.array(fc.record({ at: fc.nat(), value: fc.nat(255) }), { minLength: 1, maxLength: 8 });
    let refusals = 0;
    fc.assert(
      fc.property(anyFile, damage, fc.nat(40), ({ tensors, metadata }, changes, cut) => {
        const whole = writeSafetensors(tensors, metadata);
        const file = whole.slice(0, whole.length - (cut % 4 === 0 ? cut : 0));
        // Half of the changes hit the first bytes and the start of the header, where they matter most.
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

  test('arbitrary header text is read or refused', () => {
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

  test('what is accepted JSON.parse accepts too, with the same names', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyName, { maxLength: 8 }), (names) => {
        const text = `{${names.map((name) => `${JSON.stringify(name)}:${entry(0, 0)}`).join(',')}}`;
        const { tensors } = readSafetensors(rawFile(text));
        expect(new Set(tensors.keys())).toEqual(new Set(Object.keys(JSON.parse(text))));
      }),
    );
  });
});

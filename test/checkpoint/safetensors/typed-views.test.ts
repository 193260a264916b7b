import { describe, expect, test } from '@jest/globals';
import { bfloat16ToFloat32, float16ToFloat32 } from '../../../src/checkpoint/safetensors/half.js';
import {
  type Dtype,
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors/safetensors.js';
import {
  asFloat32,
  asInt8,
  asInt16,
  asInt32,
  asUint8,
  asUint16,
  asUint32,
} from '../../../src/checkpoint/safetensors/typed-views.js';
import { refusal } from '../raw-file.js';

type Numbers = { buffer: ArrayBufferLike; byteOffset: number; byteLength: number; length: number };

function tensorOf(dtype: Dtype, values: Numbers): Tensor {
  const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { name: 't', dtype, shape: [values.length], data };
}

/** The same tensor, one byte off alignment. */
function unaligned(tensor: Tensor): Tensor {
  const buffer = new Uint8Array(tensor.data.length + 1);
  buffer.set(tensor.data, 1);
  return { ...tensor, data: buffer.subarray(1) };
}

const views = [
  ['I8', asInt8, new Int8Array([-128, -1, 0, 127])],
  ['U8', asUint8, new Uint8Array([0, 1, 255])],
  ['I16', asInt16, new Int16Array([-32768, -1, 0, 32767])],
  ['U16', asUint16, new Uint16Array([0, 1, 65535])],
  ['I32', asInt32, new Int32Array([-(2 ** 31), -1, 0, 2 ** 31 - 1])],
  ['U32', asUint32, new Uint32Array([0, 1, 2 ** 32 - 1])],
  ['F32', asFloat32, new Float32Array([-0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** -149])],
] as const;

describe('typed views', () => {
  test.each(views)('%s is a view if it is aligned, and a copy if not', (dtype, view, values) => {
    const tensor = tensorOf(dtype, values);
    expect(view(tensor)).toEqual(values);
    expect(view(tensor).buffer).toBe(values.buffer);
    expect(view(unaligned(tensor))).toEqual(values);
  });

  test('copies a Node Buffer, although its slice() does not copy', () => {
    const data = Buffer.from(new Uint8Array([0, 1, 0, 0, 0, 2, 0, 0, 0])).subarray(1);
    expect(asInt32({ name: 't', dtype: 'I32', shape: [2], data })).toEqual(new Int32Array([1, 2]));
  });

  test.each(views)('%s refuses another type by name', (dtype, view, _values) => {
    const tensor = { ...tensorOf('I64', new BigInt64Array(1)), name: 'head.bias' };
    const error = refusal(() => view(tensor, { file: 'm.safetensors' }));
    expect(error.code).toBe('CHECKPOINT_DTYPE');
    expect(error.message).toMatch(
      new RegExp(`^m\\.safetensors: tensor "head\\.bias": expected ${dtype}.*found I64$`),
    );
  });

  test('F16, BF16 and F64 become binary32', () => {
    expect([...asFloat32(tensorOf('F16', new Uint16Array([0x3c00, 0xc000])))]).toEqual([1, -2]);
    expect([...asFloat32(tensorOf('BF16', new Uint16Array([0x3f80, 0xc000])))]).toEqual([1, -2]);
    expect([...asFloat32(tensorOf('F64', new Float64Array([0.1, -1e300])))]).toEqual([
      Math.fround(0.1),
      Number.NEGATIVE_INFINITY,
    ]);
    expect([...asFloat32(unaligned(tensorOf('F16', new Uint16Array([0x3c00]))))]).toEqual([1]);
    expect([...asFloat32(unaligned(tensorOf('F64', new Float64Array([0.5]))))]).toEqual([0.5]);
  });

  test('views of a file from writeSafetensors are not copies', () => {
    const bias = tensorOf('I32', new Int32Array([1, 2]));
    const file = writeSafetensors([{ ...tensorOf('I8', new Int8Array(3)), name: 'w' }, bias], {});
    const view = asInt32(readSafetensors(file).tensors.get('t')!);
    expect(view).toEqual(new Int32Array([1, 2]));
    expect(view.buffer).toBe(file.buffer);
  });
});

/** The value of a binary16 code by definition, without the bit manipulation under test. */
function halfByDefinition(code: number): number {
  const sign = code >> 15 ? -1 : 1;
  const exponent = (code >> 10) & 31;
  const fraction = code & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

describe('16-bit floating point', () => {
  const every = Uint16Array.from({ length: 65536 }, (_, code) => code);

  test('converts every binary16 code', () => {
    const values = float16ToFloat32(every);
    const wrong = [...every].filter((code) => !Object.is(values[code], halfByDefinition(code)));
    expect(wrong).toEqual([]);
  });

  test('converts every bfloat16 code', () => {
    const values = bfloat16ToFloat32(every);
    const view = new DataView(new ArrayBuffer(4));
    const wrong = [...every].filter((code) => {
      view.setUint16(0, code);
      return !Object.is(values[code], view.getFloat32(0));
    });
    expect(wrong).toEqual([]);
  });
});

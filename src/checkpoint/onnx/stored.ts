/**
 * Checks the tensors of an ONNX file and presents them as constants, which are views on the file.
 */

import { CheckpointError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import { bfloat16ToFloat32, float16ToFloat32 } from '../safetensors/half.js';
import type { FloatDtype, KnownTensor, View } from './expression.js';
import { wholeView } from './view.js';
import type { OnnxTensor } from './wire.js';

interface OnnxElementType {
  readonly name: string;
  readonly type: KnownTensor['type'];
  readonly bytes: number;
  readonly dtype?: FloatDtype;
  readonly read: (data: DataView, at: number) => number;
}

/** Keyed by `TensorProto.DataType`. */
const ELEMENT_TYPES: Readonly<Record<number, OnnxElementType>> = {
  1: { name: 'FLOAT', type: 'float', bytes: 4, dtype: 'F32', read: (d, at) => d.getFloat32(at, true) },
  2: { name: 'UINT8', type: 'integer', bytes: 1, read: (d, at) => d.getUint8(at) },
  3: { name: 'INT8', type: 'integer', bytes: 1, read: (d, at) => d.getInt8(at) },
  6: { name: 'INT32', type: 'integer', bytes: 4, read: (d, at) => d.getInt32(at, true) },
  7: { name: 'INT64', type: 'integer', bytes: 8, read: (d, at) => Number(d.getBigInt64(at, true)) },
  9: { name: 'BOOL', type: 'boolean', bytes: 1, read: (d, at) => (d.getUint8(at) === 0 ? 0 : 1) },
  10: {
    name: 'FLOAT16',
    type: 'float',
    bytes: 2,
    dtype: 'F16',
    read: (d, at) => float16ToFloat32(Uint16Array.of(d.getUint16(at, true)))[0]!,
  },
  11: { name: 'DOUBLE', type: 'float', bytes: 8, dtype: 'F64', read: (d, at) => d.getFloat64(at, true) },
  16: {
    name: 'BFLOAT16',
    type: 'float',
    bytes: 2,
    dtype: 'BF16',
    read: (d, at) => bfloat16ToFloat32(Uint16Array.of(d.getUint16(at, true)))[0]!,
  },
};

/**
 * The kind of number of a `DataType`; undefined for strings, complex numbers and quantised types.
 */
export function numberType(dataType: number): KnownTensor['type'] | undefined {
  return ELEMENT_TYPES[dataType]?.type;
}

/** The bytes of external files, by the relative paths that the model uses. */
export type ExternalFiles = ReadonlyMap<string, Uint8Array>;

/**
 * The path of the external file with a tensor's data; undefined if the data is in the model itself.
 *
 * @throws CheckpointError `CHECKPOINT_EXTERNAL` for a path that leads out of the folder: files are
 *   untrusted
 */
export function externalLocation({ name, external }: OnnxTensor, file: string): string | undefined {
  if (!external) return undefined;
  const location = external.get('location') ?? '';
  const parts = location.split('/');
  if (/^[^/\\:\p{C}]+(\/[^/\\:\p{C}]+)*$/u.test(location) && !parts.includes('..')) return location;
  throw new CheckpointError(
    'CHECKPOINT_EXTERNAL',
    `${file}: tensor ${quote(name)}: expected its data in the folder of the model, found the path ${quote(location)}`,
  );
}

/**
 * Returns a tensor as a constant.
 *
 * @throws CheckpointError `CHECKPOINT_TENSOR` if the type, dimensions and data do not fit together;
 *   `CHECKPOINT_EXTERNAL` if the data is in an external file that was not passed
 */
export function storedTensor(
  tensor: OnnxTensor,
  externalFiles: ExternalFiles | undefined,
  file: string,
): View<KnownTensor> {
  const refuse = (message: string): never => {
    throw new CheckpointError(
      'CHECKPOINT_TENSOR',
      `${file}: tensor ${quote(tensor.name)}: expected ${message}`,
    );
  };
  const element =
    ELEMENT_TYPES[tensor.dataType] ??
    refuse(
      `a data type from ${Object.values(ELEMENT_TYPES)
        .map(({ name }) => name)
        .join(', ')}, found number ${tensor.dataType}`,
    );
  const { dims: shape } = tensor;
  let size = 1;
  for (const n of shape) {
    if (n < 0) refuse(`non-negative dimensions, found [${shape}]`);
    size *= n;
  }
  // Each dimension is checked too: a later 0 must not hide an earlier overflow.
  if (!shape.every(Number.isSafeInteger) || !Number.isSafeInteger(size * element.bytes)) {
    refuse(`less than 2^53 bytes, found the shape [${shape}]`);
  }
  const { type, dtype } = element;
  const { numbers } = tensor;
  const location = externalLocation(tensor, file);
  const raw = location === undefined ? tensor.raw : externalData(tensor, location, externalFiles, file);
  if (numbers && raw === undefined && !dtype) {
    if (numbers.length !== size) refuse(`${size} numbers for [${shape}], found ${numbers.length}`);
    return wholeView(
      { kind: 'constant', type, size, read: (cell) => numbers[cell]!, stored: undefined },
      shape,
    );
  }
  const data = raw ?? (element.bytes === 2 && numbers ? halves(numbers) : new Uint8Array(0));
  if (data.length !== size * element.bytes) {
    refuse(`${size * element.bytes} bytes for ${element.name} [${shape}], found ${data.length}`);
  }
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const read = (cell: number) => element.read(view, cell * element.bytes);
  return wholeView({ kind: 'constant', type, size, read, stored: dtype && { dtype, data } }, shape);
}

/** `int32_data` holds the bits of 16-bit floats. */
function halves(numbers: readonly number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(numbers).buffer);
}

function externalData(
  { name, external }: OnnxTensor,
  location: string,
  externalFiles: ExternalFiles | undefined,
  file: string,
): Uint8Array {
  const refuse = (message: string): never => {
    throw new CheckpointError('CHECKPOINT_EXTERNAL', `${file}: tensor ${quote(name)}: ${message}`);
  };
  const bytes = externalFiles?.get(location);
  if (!bytes) {
    return refuse(`expected the file ${quote(location)} with its data next to the model, found none`);
  }
  const place = (key: string, missing: number): number => {
    const text = external!.get(key);
    if (text === undefined) return missing;
    return /^\d{1,15}$/.test(text) ? Number(text) : refuse(`${key}: expected a number, found ${quote(text)}`);
  };
  const offset = place('offset', 0);
  const length = place('length', Math.max(0, bytes.length - offset));
  if (offset + length > bytes.length) {
    refuse(
      `expected ${length} bytes at offset ${offset} of ${quote(location)}, found only ${bytes.length} bytes`,
    );
  }
  return bytes.subarray(offset, offset + length);
}

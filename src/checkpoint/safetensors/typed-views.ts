/**
 * The bytes of a tensor as a typed array. The result is a view on the file if the bytes are aligned
 * there, as in files from `writeSafetensors`, and a copy otherwise: do not write to it. safetensors
 * is little-endian, and so is every host with WebAssembly.
 */

import { CheckpointError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import { bfloat16ToFloat32, float16ToFloat32 } from './half.js';
import type { Dtype, Tensor } from './safetensors.js';

export interface ViewOptions {
  /** The file name for messages. Default: `checkpoint`. */
  file?: string | undefined;
}

interface ViewType<View> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): View;
}

/** `I8` elements. Throws CheckpointError `CHECKPOINT_DTYPE` for any other type. */
export function asInt8(tensor: Tensor, options?: ViewOptions): Int8Array {
  return exactView(tensor, 'I8', Int8Array, options);
}

/** `U8` elements. Throws CheckpointError `CHECKPOINT_DTYPE` for any other type. */
export function asUint8(tensor: Tensor, options?: ViewOptions): Uint8Array {
  return exactView(tensor, 'U8', Uint8Array, options);
}

/** `I16` elements. Throws CheckpointError `CHECKPOINT_DTYPE` for any other type. */
export function asInt16(tensor: Tensor, options?: ViewOptions): Int16Array {
  return exactView(tensor, 'I16', Int16Array, options);
}

/** `U16` elements. Throws CheckpointError `CHECKPOINT_DTYPE` for any other type. */
export function asUint16(tensor: Tensor, options?: ViewOptions): Uint16Array {
  return exactView(tensor, 'U16', Uint16Array, options);
}

/** `I32` elements. Throws CheckpointError `CHECKPOINT_DTYPE` for any other type. */
export function asInt32(tensor: Tensor, options?: ViewOptions): Int32Array {
  return exactView(tensor, 'I32', Int32Array, options);
}

/** `U32` elements. Throws CheckpointError `CHECKPOINT_DTYPE` for any other type. */
export function asUint32(tensor: Tensor, options?: ViewOptions): Uint32Array {
  return exactView(tensor, 'U32', Uint32Array, options);
}

/**
 * `F32` elements unchanged, `F16` and `BF16` widened exactly, `F64` rounded to nearest (to infinity
 * beyond the range of binary32). Throws CheckpointError `CHECKPOINT_DTYPE` for any other type.
 */
export function asFloat32(tensor: Tensor, options?: ViewOptions): Float32Array {
  switch (tensor.dtype) {
    case 'F32':
      return view(tensor, Float32Array);
    case 'F16':
      return float16ToFloat32(view(tensor, Uint16Array));
    case 'BF16':
      return bfloat16ToFloat32(view(tensor, Uint16Array));
    case 'F64':
      return new Float32Array(view(tensor, Float64Array));
    default:
      return refuseDtype(tensor, 'F32, F16, BF16 or F64', options);
  }
}

function exactView<View>(tensor: Tensor, dtype: Dtype, type: ViewType<View>, options?: ViewOptions): View {
  return tensor.dtype === dtype ? view(tensor, type) : refuseDtype(tensor, dtype, options);
}

function view<View>({ data }: Tensor, type: ViewType<View>): View {
  const length = data.length / type.BYTES_PER_ELEMENT;
  if (data.byteOffset % type.BYTES_PER_ELEMENT === 0) return new type(data.buffer, data.byteOffset, length);
  return new type(new Uint8Array(data).buffer, 0, length);
}

function refuseDtype(tensor: Tensor, expected: string, options?: ViewOptions): never {
  throw new CheckpointError(
    'CHECKPOINT_DTYPE',
    `${options?.file ?? 'checkpoint'}: tensor ${quote(tensor.name)}: expected ${expected}, found ${tensor.dtype}`,
  );
}

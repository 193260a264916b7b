/** Builds the tensors of a state dict from their descriptions and the bytes of their storages. */

import { CheckpointError } from '../../errors.js';
import { formatValue } from '../../text/format-value.js';
import { quote } from '../../text/quote.js';
import { MAX_RANK } from '../safetensors/header.js';
import type { Tensor } from '../safetensors/safetensors.js';
import { Global, type StoredTensor, TensorStorage, UnsupportedTensor } from './globals.js';
import { isCount } from './pickle.js';

/** The parts of a checkpoint other than its pickle. */
export interface TensorSource {
  readonly file: string;
  /** The bytes of a storage. Throws CheckpointError if it does not have `count` elements. */
  readonly storageBytes: (storage: TensorStorage) => Uint8Array;
  /** Allocates memory for tensors that cannot be views on the file, up to a limit. */
  readonly allocate: (bytes: number) => Uint8Array;
}

/** The elements at `offset + sum(index * stride)` of a storage. */
interface StorageView {
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** product(shape) */
  readonly elements: number;
}

/**
 * Returns the tensor in row-major order: a view on the storage if it has this order, else a copy.
 *
 * @throws CheckpointError `CHECKPOINT_TENSOR` if the tensor is not dense, exceeds its storage, or
 *   has a type that safetensors lacks
 */
export function readTensor(
  name: string,
  stored: StoredTensor | UnsupportedTensor,
  { file, storageBytes, allocate }: TensorSource,
): Tensor {
  const refuse = (message: string): never => {
    throw new CheckpointError('CHECKPOINT_TENSOR', `${file}: tensor ${quote(name)}: ${message}`);
  };
  if (stored instanceof UnsupportedTensor) return refuse(`expected a dense tensor, found ${stored.kind}`);
  const storage = stored.storage instanceof TensorStorage ? stored.storage : refuse('expected a storage');
  const element = elementOf(stored, storage) ?? refuse('expected a dtype');
  const dtype = element.dtype ?? refuse(`expected a dtype of safetensors, found torch.${element.name}`);
  const [meaning] = stored.metadata instanceof Map ? stored.metadata.keys() : [];
  if (meaning !== undefined) refuse(`expected plain values, found a view that is ${quote(meaning)}`);
  const view = viewOf(stored, refuse);
  const source = storageBytes(storage);
  const last = view.shape.reduce((sum, n, i) => sum + (n - 1) * view.strides[i]!, view.offset);
  if (view.elements > 0 && !(last < Math.floor(source.length / element.bytes))) {
    refuse(
      `expected elements within a storage of ${source.length} bytes, found shape ${formatValue(view.shape)} with ` +
        `strides ${formatValue(view.strides)} at offset ${view.offset} of torch.${element.name}`,
    );
  }
  const data = rowMajor(source, view, element.bytes, allocate);
  return { name, dtype, shape: view.shape, data };
}

function elementOf({ element }: StoredTensor, storage: TensorStorage) {
  if (element === undefined) return storage.element;
  return element instanceof Global ? element.element : undefined;
}

function viewOf({ offset, size, stride }: StoredTensor, refuse: (message: string) => never): StorageView {
  const lists = [size, stride].map((list) => (Array.isArray(list) && list.every(isCount) ? list : undefined));
  const [shape, strides] = lists as [number[]?, number[]?];
  if (!shape || !strides || shape.length !== strides.length || shape.length > MAX_RANK || !isCount(offset)) {
    return refuse(
      `expected a non-negative offset and as many strides as sizes (at most ${MAX_RANK}), ` +
        `found the offset ${formatValue(offset)}, strides ${formatValue(stride)} and sizes ${formatValue(size)}`,
    );
  }
  // Above 2^53 this product and sums of strides are inexact, but still exceed every file and all
  // memory.
  const elements = shape.includes(0) ? 0 : shape.reduce((product, n) => product * n, 1);
  return { offset, shape, strides, elements };
}

function rowMajor(
  source: Uint8Array,
  view: StorageView,
  elementBytes: number,
  allocate: (bytes: number) => Uint8Array,
): Uint8Array {
  const length = view.elements * elementBytes;
  if (length === 0) return new Uint8Array(0);
  const begin = view.offset * elementBytes;
  if (isRowMajor(view)) return source.subarray(begin, begin + length);
  const out = allocate(length);
  const outer = view.shape.slice(0, -1);
  const steps = view.strides.map((stride) => stride * elementBytes);
  const row = view.shape.at(-1)!;
  const step = steps.at(-1)!;
  const index = outer.map(() => 0);
  let from = begin;
  for (let at = 0; at < length; ) {
    for (let i = 0; i < row; i++, at += elementBytes) {
      for (let byte = 0; byte < elementBytes; byte++) out[at + byte] = source[from + i * step + byte]!;
    }
    // Advance to the next row: the last dimension first; a finished dimension returns to its start.
    for (let i = outer.length - 1; i >= 0; i--) {
      from += steps[i]!;
      if (++index[i]! < outer[i]!) break;
      from -= steps[i]! * outer[i]!;
      index[i] = 0;
    }
  }
  return out;
}

/** Ignores the strides of dimensions of size 1, where PyTorch writes arbitrary numbers. */
function isRowMajor({ shape, strides }: StorageView): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] === 1) continue;
    if (strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}

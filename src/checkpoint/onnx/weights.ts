/** Turns constants into tensors: views on the file if the layout permits it, else copies. */

import { CheckpointError } from '../../errors.js';
import type { Tensor } from '../safetensors/safetensors.js';
import type { KnownTensor, View } from './expression.js';
import { elements, isContiguous, type Layouts, sameNumbers } from './view.js';
import { type OnnxNode, refuseNode } from './wire.js';

/** A tensor without a name. */
export type Weight = Omit<Tensor, 'name'>;

const CELL_TYPES = { F16: Uint16Array, BF16: Uint16Array, F32: Uint32Array, F64: BigUint64Array } as const;

/** Memory for what is not in the file: zero biases, and results of computing with constants. */
const COMPUTED_BYTES = 2 ** 24;

export class GraphWeights {
  readonly #layouts: Layouts;
  readonly #file: string;
  /** Bytes that may still be copied. */
  #left: number;

  /**
   * @param bytes size of the weights in the file; each is used once and copied at most twice: to
   *   transpose it and to stack it
   */
  constructor(layouts: Layouts, file: string, bytes: number) {
    this.#layouts = layouts;
    this.#file = file;
    this.#left = 2 * bytes + COMPUTED_BYTES;
  }

  /** A constant as a tensor; its shape may differ by axes of size 1. Messages name `node`. */
  tensor(view: View<KnownTensor>, shape: readonly number[], what: string, node: OnnxNode): Weight {
    const long = (list: readonly number[]) => list.filter((n) => n !== 1);
    if (view.source.type !== 'float' || !sameNumbers(long(view.shape), long(shape))) {
      const found = `${view.source.type}s [${view.shape.slice(0, 8).join(', ')}]`;
      refuseNode(node, `${what}: expected floats [${shape.join(', ')}], found ${found}`);
    }
    const { stored } = view.source;
    if (!stored) return this.floats(this.#layouts.numbers(view), shape);
    const { dtype, data } = stored;
    const { BYTES_PER_ELEMENT: bytes } = CELL_TYPES[dtype];
    const size = elements(shape) * bytes;
    if (!view.cells && isContiguous(view)) {
      const begin = view.offset * bytes;
      return { dtype, shape, data: data.subarray(begin, begin + size) };
    }
    this.#charge(size);
    // Protobuf fields are not aligned.
    const aligned = data.byteOffset % bytes === 0 ? data : new Uint8Array(data);
    const copy = new Uint8Array(size);
    const cellsOf = (array: Uint8Array) =>
      new CELL_TYPES[dtype](
        array.buffer as ArrayBuffer,
        array.byteOffset,
        array.length / bytes,
      ) as Uint32Array;
    this.#copy(view, cellsOf(aligned), cellsOf(copy));
    return { dtype, shape, data: copy };
  }

  /** Numbers as a float32 tensor. */
  floats(values: Float64Array, shape: readonly number[]): Weight {
    this.#charge(4 * values.length);
    return { dtype: 'F32', shape, data: new Uint8Array(new Float32Array(values).buffer) };
  }

  /** Stacks tensors of one type. */
  stacked(parts: readonly Weight[], shape: readonly number[], node: OnnxNode): Weight {
    const [{ dtype }] = parts as [Weight];
    if (!parts.every((part) => part.dtype === dtype))
      refuseNode(node, `expected query, key and value of one type, found ${parts.map((part) => part.dtype)}`);
    const size = parts.reduce((sum, { data }) => sum + data.length, 0);
    this.#charge(size);
    const data = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      data.set(part.data, at);
      at += part.data.length;
    }
    return { dtype, shape, data };
  }

  #copy(view: View<KnownTensor>, from: Uint32Array, to: Uint32Array): void {
    const [rows, columns] = view.shape;
    const [down, across] = view.strides;
    if (view.cells || view.shape.length !== 2) {
      for (const [i, cell] of this.#layouts.cells(view).entries()) to[i] = from[cell]!;
      return;
    }
    // A transposed matrix needs no list of cells.
    for (let row = 0, at = 0; row < rows!; row++) {
      let cell = view.offset + row * down!;
      for (let column = 0; column < columns!; column++, cell += across!) to[at++] = from[cell]!;
    }
  }

  #charge(bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    throw new CheckpointError(
      'CHECKPOINT_GRAPH',
      `${this.#file}: expected each weight to be used once, found layers that share them`,
    );
  }
}

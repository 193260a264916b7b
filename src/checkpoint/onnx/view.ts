/**
 * Views separate the elements of a value from their arrangement. Exporters move elements with
 * chains of Reshape, Transpose, Slice, Concat and Gather that differ between versions. Here each of
 * these changes the strides or, where strides are not enough, a list of cells. The final view shows
 * the origin of each element.
 */

import { CheckpointError } from '../../errors.js';
import type { KnownTensor, Source, View } from './expression.js';

/**
 * Cells to list for one graph, in addition to one per byte of its weights. Bounds the time and
 * memory for a hostile graph, at about 10 ns and at most 4 bytes per cell. Measured: 9 million for
 * a ViT-B of 346 MB, 55 million for a Swin-B of 356 MB, 311 million for a Swin-L with 384 pixels
 * and 842 MB.
 */
const MAX_CELLS = 2 ** 27;

/** Cells of one list: 128 MB. The largest list measured is the scores of a Swin-L: 8 million. */
const MAX_LIST = 2 ** 25;

/** A view of a whole source in its own order. */
export function wholeView<S extends Source>(source: S, shape: readonly number[]): View<S> {
  return { source, cells: undefined, shape, strides: rowMajor(shape), offset: 0, factor: 1 };
}

export function elements(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

export function isConstant(view: View): view is View<KnownTensor> {
  return view.source.kind === 'constant';
}

/** Makes a constant from numbers. Floats are rounded to binary32, as in every runtime. */
export function computeConstant(
  values: Float64Array,
  shape: readonly number[],
  type: KnownTensor['type'],
): View<KnownTensor> {
  if (type === 'float') for (let i = 0; i < values.length; i++) values[i] = Math.fround(values[i]!);
  return wholeView(
    { kind: 'constant', type, size: values.length, read: (cell) => values[cell]!, stored: undefined },
    shape,
  );
}

/** Whether two views show the same elements in the same order, ignoring the factor. */
export function sameElements(a: View, b: View): boolean {
  return (
    a.source === b.source &&
    a.cells === b.cells &&
    a.offset === b.offset &&
    sameNumbers(a.shape, b.shape) &&
    a.shape.every((n, axis) => n === 1 || a.strides[axis] === b.strides[axis])
  );
}

export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

export function transpose<S extends Source>(view: View<S>, order: readonly number[]): View<S> {
  return {
    ...view,
    shape: order.map((axis) => view.shape[axis]!),
    strides: order.map((axis) => view.strides[axis]!),
  };
}

/** The last two axes swapped. */
export function transposeLast<S extends Source>(view: View<S>): View<S> {
  const rank = view.shape.length;
  const order = view.shape.map((_, axis) => axis);
  return transpose(view, [...order.slice(0, -2), rank - 1, rank - 2]);
}

/** Takes every `step`-th of an axis from `start`, `length` in total. */
export function slice<S extends Source>(
  view: View<S>,
  axis: number,
  start: number,
  step: number,
  length: number,
): View<S> {
  const stride = view.strides[axis]!;
  return {
    ...view,
    shape: view.shape.map((n, i) => (i === axis ? length : n)),
    strides: view.strides.map((n, i) => (i === axis ? n * step : n)),
    offset: view.offset + (length > 0 ? start * stride : 0),
  };
}

/** Drops an axis by choosing one index of it. */
export function pick<S extends Source>(view: View<S>, axis: number, index: number): View<S> {
  const without = (list: readonly number[]) => list.filter((_, i) => i !== axis);
  return {
    ...view,
    shape: without(view.shape),
    strides: without(view.strides),
    offset: view.offset + index * view.strides[axis]!,
  };
}

/** Repeats the view along axes of size 1; undefined if it cannot be expanded to the shape. */
export function expand<S extends Source>(view: View<S>, shape: readonly number[]): View<S> | undefined {
  const added = shape.length - view.shape.length;
  if (added < 0) return undefined;
  const fits = view.shape.every((n, i) => n === shape[added + i] || n === 1);
  if (!fits) return undefined;
  const strides = shape.map((n, i) => {
    const old = i - added;
    return old >= 0 && view.shape[old] === n ? view.strides[old]! : 0;
  });
  return { ...view, shape, strides };
}

/** The shape to which both broadcast, or undefined. */
export function broadcast(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) {
    const n = a[a.length - rank + i] ?? 1;
    const m = b[b.length - rank + i] ?? 1;
    if (n !== m && n !== 1 && m !== 1) return undefined;
    shape.push(n === 1 ? m : n);
  }
  return shape;
}

/** Lists cells, and counts them against the limit. */
export class Layouts {
  readonly #file: string;
  #left = MAX_CELLS;

  constructor(file: string) {
    this.#file = file;
  }

  /** Raises the limit for this many bytes of weights. */
  grant(bytes: number): void {
    this.#left += bytes;
  }

  /** The cell of each element, row by row. */
  cells({ shape, strides, offset, cells }: View): Int32Array {
    const total = elements(shape);
    this.charge(total);
    const list = new Int32Array(total);
    if (total === 0) return list;
    const last = shape.length - 1;
    const inner = shape[last] ?? 1;
    const step = strides[last] ?? 0;
    const counter = new Int32Array(shape.length);
    for (let at = 0, place = offset; ; ) {
      for (let i = 0, p = place; i < inner; i++, p += step) list[at++] = cells ? cells[p]! : p;
      if (at === total) return list;
      for (let axis = last - 1; ; axis--) {
        place += strides[axis]!;
        if (++counter[axis]! < shape[axis]!) break;
        place -= strides[axis]! * shape[axis]!;
        counter[axis] = 0;
      }
    }
  }

  /** The numbers of a constant, row by row. */
  numbers(view: View<KnownTensor>): Float64Array {
    const { read } = view.source;
    const cells = this.cells(view);
    const numbers = new Float64Array(cells.length);
    for (let i = 0; i < numbers.length; i++) numbers[i] = read(cells[i]!);
    return numbers;
  }

  /** The numbers of a constant, broadcast to a shape. Each number is read once. */
  broadcastNumbers(view: View<KnownTensor>, shape: readonly number[]): Float64Array {
    const values = this.numbers(view);
    if (values.length === elements(shape)) return values;
    const cells = this.cells(expand(wholeView(view.source, view.shape), shape)!);
    const numbers = new Float64Array(cells.length);
    for (let i = 0; i < numbers.length; i++) numbers[i] = values[cells[i]!]!;
    return numbers;
  }

  reshape<S extends Source>(view: View<S>, shape: readonly number[]): View<S> {
    const strides = elements(shape) === 0 ? rowMajor(shape) : regrouped(view, shape);
    return strides ? { ...view, shape, strides } : this.rearranged(view, this.cells(view), shape);
  }

  /** A view of the same source with these cells. */
  rearranged<S extends Source>(view: View<S>, cells: Int32Array, shape: readonly number[]): View<S> {
    return { ...view, cells, shape, strides: rowMajor(shape), offset: 0 };
  }

  /** Concatenates parts of one source. */
  concat<S extends Source>(parts: readonly View<S>[], axis: number, shape: readonly number[]): View<S> {
    const total = elements(shape);
    this.charge(total);
    return this.rearranged(
      parts[0]!,
      interleave(
        parts.map((part) => this.cells(part)),
        parts,
        axis,
        new Int32Array(total),
      ),
      shape,
    );
  }

  /** Whether the view shows its whole source in its own order, in any shape. */
  isWhole(view: View): boolean {
    if (elements(view.shape) !== view.source.size) return false;
    if (!view.cells) return view.offset === 0 && isContiguous(view);
    return this.cells(view).every((cell, i) => cell === i);
  }

  /** @throws CheckpointError `CHECKPOINT_GRAPH` if a graph rearranges more than any model does */
  charge(cells: number): void {
    this.#left -= cells;
    if (cells <= MAX_LIST && this.#left >= 0) return;
    throw new CheckpointError(
      'CHECKPOINT_GRAPH',
      `${this.#file}: expected a graph that rearranges about as many elements as a ViT or Swin of its size, ` +
        'found many more',
    );
  }
}

/** Concatenates parts along an axis; the elements of each part are given row by row. */
export function interleave<A extends Int32Array | Float64Array>(
  lists: readonly A[],
  parts: readonly View[],
  axis: number,
  target: A,
): A {
  const runs = lists.flatMap((list, i) => {
    const run = elements(parts[i]!.shape.slice(axis));
    return run > 0 ? [{ list, run }] : [];
  });
  for (let row = 0, at = 0; at < target.length; row++) {
    for (const { list, run } of runs) {
      target.set(list.subarray(row * run, (row + 1) * run) as A, at);
      at += run;
    }
  }
  return target;
}

/** Whether the strides visit the elements consecutively. */
export function isContiguous({ shape, strides }: View): boolean {
  const plain = rowMajor(shape);
  return shape.every((n, axis) => n === 1 || strides[axis] === plain[axis]);
}

function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** The strides of a view in another shape of the same size; undefined if strides are not enough. */
function regrouped(view: View, shape: readonly number[]): number[] | undefined {
  const old = view.shape.flatMap((n, axis) => (n === 1 ? [] : [[n, view.strides[axis]!] as const]));
  const strides = new Array<number>(shape.length).fill(0);
  let from = 0;
  let to = 0;
  // Match groups of old and new axes with the same number of elements.
  while (from < old.length) {
    let [fromEnd, toEnd] = [from + 1, to + 1];
    let oldSize = old[from]![0];
    let newSize = shape[to]!;
    while (oldSize !== newSize) {
      if (newSize < oldSize) newSize *= shape[toEnd++]!;
      else oldSize *= old[fromEnd++]![0];
    }
    for (let k = from; k + 1 < fromEnd; k++) {
      if (old[k]![1] !== old[k + 1]![0] * old[k + 1]![1]) return undefined;
    }
    let stride = old[fromEnd - 1]![1];
    for (let k = toEnd - 1; k >= to; k--) {
      strides[k] = stride;
      stride *= shape[k]!;
    }
    [from, to] = [fromEnd, toEnd];
  }
  return strides;
}

/** The operators that move elements, both of constants and of values that depend on the image. */

import {
  axisOf,
  checkedShape,
  constantInput,
  express,
  input,
  integers,
  type NodeCall,
  numberAttribute,
  type Operator,
  refuseShapes,
} from './call.js';
import type { KnownTensor, View } from './expression.js';
import { numberType } from './stored.js';
import { computeConstant, elements, expand, interleave, isConstant, pick, slice, transpose } from './view.js';
import { refuseNode } from './wire.js';

export const LAYOUT_OPERATORS: Readonly<Record<string, Operator>> = {
  Identity: (call) => [input(call, 0)],
  Dropout: (call) => [atRest(call)],
  Cast: (call) => [cast(call, numberType(numberAttribute(call, 'to', 0)))],
  CastLike: (call) => {
    const like = input(call, 1);
    return [cast(call, isConstant(like) ? like.source.type : 'float')];
  },
  Constant: (call) => [constant(call)],
  ConstantOfShape: (call) => [constantOfShape(call)],
  Shape: (call) => [shapeOf(call)],
  Reshape: (call) => [reshape(call)],
  Flatten: (call) => [flatten(call)],
  Transpose: (call) => [transposed(call)],
  Squeeze: (call) => [squeeze(call)],
  Unsqueeze: (call) => [unsqueeze(call)],
  Expand: (call) => [expanded(call)],
  Slice: (call) => [sliced(call)],
  Split: split,
  Concat: (call) => [concat(call)],
  Gather: (call) => [gather(call)],
  GatherND: (call) => [gatherND(call)],
  Pad: (call) => [pad(call)],
};

/**
 * Flattens indices: the last axis of `indices` holds coordinates along the first axes of a tensor.
 */
export function namedPositions(
  call: NodeCall,
  shape: readonly number[],
  indices: View<KnownTensor>,
): number[] {
  const depth = indices.shape.at(-1) ?? 0;
  if (depth < 1 || depth > shape.length) refuseShapes(call, 'indices of leading axes', indices.shape, shape);
  const list = call.layouts.numbers(indices);
  const positions: number[] = [];
  for (let at = 0; at < list.length; at += depth) {
    let position = 0;
    for (let axis = 0; axis < depth; axis++)
      position = position * shape[axis]! + checkedIndex(call, list[at + axis]!, shape[axis]!);
    positions.push(position);
  }
  return positions;
}

/** Exported models apply no dropout, unless they were exported for training. */
function atRest(call: NodeCall): View {
  const training = call.inputs[2] && call.layouts.numbers(constantInput(call, 2));
  if (training?.some((flag) => flag !== 0))
    refuseNode(call.node, 'expected a model exported for inference, found one for training');
  return input(call, 0);
}

function cast(call: NodeCall, type: KnownTensor['type'] | undefined): View {
  const view = input(call, 0);
  if (type === undefined) refuseNode(call.node, 'expected a numeric type, found another');
  if (!isConstant(view)) {
    if (type !== 'float') refuseNode(call.node, `expected a cast to floats, found one to ${type}s`);
    return view;
  }
  if (view.source.type === type) return view;
  const numbers = call.layouts.numbers(view);
  const convert =
    type === 'integer' ? Math.trunc : type === 'boolean' ? (n: number) => (n === 0 ? 0 : 1) : Number;
  return computeConstant(numbers.map(convert), view.shape, type);
}

function constant(call: NodeCall): View {
  const { attributes } = call.node;
  const tensor = attributes.get('value')?.tensor;
  if (tensor) return call.stored(tensor);
  for (const [name, type] of [
    ['value_int', 'integer'],
    ['value_float', 'float'],
  ] as const) {
    const number = attributes.get(name)?.number;
    if (number !== undefined) return computeConstant(Float64Array.of(number), [], type);
    const numbers = attributes.get(`${name}s`)?.numbers;
    if (numbers) return computeConstant(Float64Array.from(numbers), [numbers.length], type);
  }
  return refuseNode(call.node, 'expected a tensor or numbers, found neither');
}

function constantOfShape(call: NodeCall): View {
  const shape = checkedShape(call, integers(call, 0, '') ?? []);
  const tensor = call.node.attributes.get('value')?.tensor;
  const value = tensor ? call.stored(tensor) : computeConstant(Float64Array.of(0), [1], 'float');
  if (value.source.size !== 1) refuseShapes(call, 'one value', value.shape);
  return expand(call.layouts.reshape(value, []), shape)!;
}

function shapeOf(call: NodeCall): View {
  const { shape } = input(call, 0);
  const [start, end] = [numberAttribute(call, 'start', 0), numberAttribute(call, 'end', shape.length)];
  const part = shape.slice(start, end);
  return computeConstant(Float64Array.from(part), [part.length], 'integer');
}

function reshape(call: NodeCall): View {
  const view = input(call, 0);
  const asked = integers(call, 1, 'shape') ?? [];
  const copies = numberAttribute(call, 'allowzero', 0) === 0;
  const shape = asked.map((n, axis) => (n === 0 && copies ? (view.shape[axis] ?? 0) : n));
  const open = shape.indexOf(-1);
  if (open >= 0) {
    const others = elements(shape) / -1;
    shape[open] = others === 0 ? 0 : elements(view.shape) / others;
  }
  return reshaped(call, view, shape);
}

function reshaped(call: NodeCall, view: View, shape: readonly number[]): View {
  const fits = checkedShape(call, shape) && elements(shape) === elements(view.shape);
  if (!fits) refuseShapes(call, 'the same number of elements', view.shape, shape);
  return call.layouts.reshape(view, shape);
}

function flatten(call: NodeCall): View {
  const view = input(call, 0);
  const axis = numberAttribute(call, 'axis', 1);
  const outer = elements(view.shape.slice(0, axis));
  return reshaped(call, view, [outer, elements(view.shape.slice(axis))]);
}

function transposed(call: NodeCall): View {
  const view = input(call, 0);
  const axes = view.shape.map((_, axis) => axis);
  const order = call.node.attributes.get('perm')?.numbers ?? [...axes].reverse();
  if (order.length !== axes.length || !axes.every((axis) => order.includes(axis)))
    refuseShapes(call, `a permutation of ${axes.length} axes`, order);
  return transpose(view, order);
}

function squeeze(call: NodeCall): View {
  const view = input(call, 0);
  const rank = view.shape.length;
  const axes = integers(call, 1, 'axes')?.map((axis) => axisOf(call, axis, rank));
  const gone = (axis: number) => (axes ? axes.includes(axis) : view.shape[axis] === 1);
  if (axes?.some((axis) => view.shape[axis] !== 1)) refuseShapes(call, 'axes of size 1', view.shape);
  return reshaped(
    call,
    view,
    view.shape.filter((_, axis) => !gone(axis)),
  );
}

function unsqueeze(call: NodeCall): View {
  const view = input(call, 0);
  const added = integers(call, 1, 'axes') ?? [];
  const rank = view.shape.length + added.length;
  const axes = new Set(added.map((axis) => axisOf(call, axis, rank)));
  if (axes.size !== added.length) refuseShapes(call, 'distinct axes', added);
  const old = [...view.shape];
  const shape = Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : old.shift()!));
  return reshaped(call, view, shape);
}

function expanded(call: NodeCall): View {
  const view = input(call, 0);
  const asked = integers(call, 1, '') ?? [];
  // Either shape may have size 1 where the other is larger.
  const rank = Math.max(asked.length, view.shape.length);
  const shape = Array.from({ length: rank }, (_, i) => {
    const n = asked[asked.length - rank + i] ?? 1;
    return n === 1 ? (view.shape[view.shape.length - rank + i] ?? 1) : n;
  });
  return (
    expand(view, checkedShape(call, shape)) ??
    refuseShapes(call, 'a shape that can be expanded', view.shape, asked)
  );
}

function sliced(call: NodeCall): View {
  let view = input(call, 0);
  const starts = integers(call, 1, 'starts') ?? [];
  const ends = integers(call, 2, 'ends') ?? [];
  const axes = integers(call, 3, 'axes') ?? starts.map((_, i) => i);
  const steps = integers(call, 4, 'steps') ?? starts.map(() => 1);
  for (const [i, first] of starts.entries()) {
    const axis = axisOf(call, axes[i] ?? NaN, view.shape.length);
    const size = view.shape[axis]!;
    const step = steps[i] ?? 0;
    const fromFront = (n: number) => (n < 0 ? n + size : n);
    // Backwards, the last possible element is the first of the axis, so the end can be before it.
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const clamped = (n: number) => Math.min(Math.max(fromFront(n), low), high);
    const [start, end] = [clamped(first), clamped(ends[i] ?? NaN)];
    const length = Math.max(0, Math.ceil((end - start) / step));
    if (!Number.isInteger(length) || !Number.isInteger(step))
      refuseShapes(call, 'valid starts, ends and steps', starts, ends, steps);
    view = slice(view, axis, start, step, length);
  }
  return view;
}

function split(call: NodeCall): View[] {
  const view = input(call, 0);
  const axis = axisOf(call, numberAttribute(call, 'axis', 0), view.shape.length);
  const size = view.shape[axis]!;
  const parts = numberAttribute(call, 'num_outputs', call.node.outputs.length);
  const chunk = Math.ceil(size / parts);
  const lengths =
    integers(call, 1, 'split', call.node.outputs.length) ??
    call.node.outputs.map((_, i) => Math.max(0, Math.min(chunk, size - i * chunk)));
  const sound = lengths.every((n) => Number.isInteger(n) && n >= 0);
  if (!sound || lengths.reduce((sum, n) => sum + n, 0) !== size)
    refuseShapes(call, `parts with ${size} elements in total`, lengths);
  let start = 0;
  return lengths.map((length) => {
    const part = slice(view, axis, start, 1, length);
    start += length;
    return part;
  });
}

function concat(call: NodeCall): View {
  const parts = call.inputs.map((_, i) => input(call, i));
  const first = input(call, 0);
  const axis = axisOf(call, numberAttribute(call, 'axis', NaN), first.shape.length);
  for (const { shape } of parts) {
    const fits =
      shape.length === first.shape.length && shape.every((n, i) => i === axis || n === first.shape[i]);
    if (!fits) refuseShapes(call, `parts that differ only along axis ${axis}`, first.shape, shape);
  }
  const along = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0);
  const shape = checkedShape(
    call,
    first.shape.map((n, i) => (i === axis ? along : n)),
  );
  if (parts.every(({ source, factor }) => source === first.source && factor === first.factor))
    return call.layouts.concat(parts, axis, shape);
  if (parts.every(isConstant)) {
    const lists = parts.map((part) => call.layouts.numbers(part));
    const joined = interleave(lists, parts, axis, new Float64Array(elements(shape)));
    return computeConstant(joined, shape, parts[0]!.source.type);
  }
  return express(call, { kind: 'join', parts, axis }, shape);
}

function gather(call: NodeCall): View {
  const view = input(call, 0);
  const indices = constantInput(call, 1);
  const axis = axisOf(call, numberAttribute(call, 'axis', 0), view.shape.length);
  const size = view.shape[axis]!;
  const list = Array.from(call.layouts.numbers(indices), (index) => checkedIndex(call, index, size));
  if (indices.shape.length === 0) return pick(view, axis, list[0]!);
  const inner = view.shape.slice(axis + 1);
  const shape = checkedShape(call, [...view.shape.slice(0, axis), ...indices.shape, ...inner]);
  call.layouts.charge(elements(shape));
  const cells = call.layouts.cells(view);
  const run = elements(inner);
  const gathered = new Int32Array(elements(shape));
  let at = 0;
  for (let start = 0; at < gathered.length; start += size * run) {
    for (const index of list) {
      const from = start + index * run;
      gathered.set(cells.subarray(from, from + run), at);
      at += run;
    }
  }
  return call.layouts.rearranged(view, gathered, shape);
}

function gatherND(call: NodeCall): View {
  const view = input(call, 0);
  const indices = constantInput(call, 1);
  const batchDims = numberAttribute(call, 'batch_dims', 0);
  if (batchDims !== 0) refuseNode(call.node, `batch_dims: expected 0, found ${batchDims}`);
  const positions = namedPositions(call, view.shape, indices);
  const inner = view.shape.slice(indices.shape.at(-1)!);
  const shape = checkedShape(call, [...indices.shape.slice(0, -1), ...inner]);
  call.layouts.charge(elements(shape));
  const cells = call.layouts.cells(view);
  const run = elements(inner);
  const gathered = new Int32Array(elements(shape));
  for (const [i, position] of positions.entries())
    gathered.set(cells.subarray(position * run, (position + 1) * run), i * run);
  return call.layouts.rearranged(view, gathered, shape);
}

/** Swins pad maps that do not divide into windows. Only maps that need no padding are supported. */
function pad(call: NodeCall): View {
  const view = input(call, 0);
  const pads = integers(call, 1, 'pads', 2 * view.shape.length) ?? [];
  if (pads.every((n) => n === 0)) return view;
  return refuseNode(
    call.node,
    `expected no padding, since windows must fit the map, found [${pads.slice(0, 16).join(', ')}]`,
  );
}

function checkedIndex({ node }: NodeCall, index: number, size: number): number {
  const fromFront = index < 0 ? index + size : index;
  if (fromFront >= 0 && fromFront < size) return fromFront;
  return refuseNode(node, `expected indices below ${size}, found ${index}`, 'CHECKPOINT_GRAPH');
}

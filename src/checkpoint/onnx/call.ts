/** A node with its evaluated inputs, and helpers with which operators read them. */

import { MAX_RANK } from '../safetensors/header.js';
import type { KnownTensor, Operation, View } from './expression.js';
import { elements, isConstant, type Layouts, wholeView } from './view.js';
import { describeNode, type OnnxNode, type OnnxTensor, refuseNode } from './wire.js';

export interface NodeCall {
  readonly node: OnnxNode;
  /** Version of the standard operators. */
  readonly opset: number;
  /** Undefined for an omitted optional input. */
  readonly inputs: readonly (View | undefined)[];
  readonly layouts: Layouts;
  /** Turns a tensor of the file into a constant. */
  readonly stored: (tensor: OnnxTensor) => View<KnownTensor>;
}

/** Returns the outputs of a node, or only the first: further outputs are unused statistics. */
export type Operator = (call: NodeCall) => readonly View[];

/** Cells are numbered with signed 32-bit integers. */
const MAX_SIZE = 2 ** 31 - 1;

export function input({ node, inputs }: NodeCall, index: number): View {
  return inputs[index] ?? refuseNode(node, `expected an input ${index}, found none`, 'CHECKPOINT_GRAPH');
}

export function constantInput(call: NodeCall, index: number): View<KnownTensor> {
  const view = input(call, index);
  return isConstant(view)
    ? view
    : refuseNode(call.node, `input ${index}: expected a constant, found a value that depends on the image`);
}

/**
 * The integers of an input or, if absent, an attribute: later opsets turned attributes into inputs.
 *
 * @param most the most integers permitted
 */
export function integers(
  call: NodeCall,
  index: number,
  attribute: string,
  most = MAX_RANK,
): readonly number[] | undefined {
  const view = call.inputs[index] && constantInput(call, index);
  const list = call.node.attributes.get(attribute)?.numbers;
  const count = view ? elements(view.shape) : (list?.length ?? 0);
  if (count > most)
    refuseNode(call.node, `expected at most ${most} sizes or axes, found ${count}`, 'CHECKPOINT_GRAPH');
  return view ? Array.from(call.layouts.numbers(view)) : list;
}

export function numberAttribute({ node }: NodeCall, name: string, missing: number): number {
  return node.attributes.get(name)?.number ?? missing;
}

export function textAttribute({ node }: NodeCall, name: string, missing: string): string {
  return node.attributes.get(name)?.text ?? missing;
}

/** Counts an axis from the front. */
export function axisOf({ node }: NodeCall, axis: number, rank: number): number {
  const fromFront = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(fromFront) && fromFront >= 0 && fromFront < rank) return fromFront;
  return refuseNode(node, `expected an axis of ${rank}, found ${axis}`, 'CHECKPOINT_GRAPH');
}

/** Checks a shape that a graph requests. */
export function checkedShape(call: NodeCall, shape: readonly number[]): readonly number[] {
  const sound =
    shape.length <= MAX_RANK &&
    shape.every((n) => Number.isSafeInteger(n) && n >= 0) &&
    elements(shape) <= MAX_SIZE;
  return sound ? shape : refuseShapes(call, `at most ${MAX_SIZE} elements and ${MAX_RANK} axes`, shape);
}

export function refuseShapes({ node }: NodeCall, expected: string, ...shapes: (readonly number[])[]): never {
  const found = shapes.map((shape) => `[${shape.slice(0, 8).join(', ')}]`).join(' and ');
  return refuseNode(node, `expected ${expected}, found ${found}`, 'CHECKPOINT_GRAPH');
}

/** Describes the source of a view for messages. */
export function describe({ source, shape }: Pick<View, 'source' | 'shape'>): string {
  if (source.kind === 'constant') return `a constant [${shape.join(', ')}]`;
  return source.kind === 'image' ? 'the image' : `the output of ${describeNode(source.node)}`;
}

/** Wraps an operation as the result of a node. */
export function express(call: NodeCall, operation: Operation, shape: readonly number[]): View {
  const size = elements(checkedShape(call, shape));
  return wholeView({ ...operation, node: call.node, shape, size }, shape);
}

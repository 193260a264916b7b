/** One node with what its inputs are, and how its operator reads them. */

import { MAX_RANK } from '../safetensors-header.js';
import type { Operation } from './expression.js';
import { type Constant, elements, isConstant, type Layouts, type View, wholeView } from './view.js';
import { describeNode, type OnnxNode, type OnnxTensor, refuseNode } from './wire.js';

export interface Call {
  readonly node: OnnxNode;
  /** Version of the standard's operators. */
  readonly opset: number;
  /** Undefined where an optional input is left out. */
  readonly inputs: readonly (View | undefined)[];
  readonly layouts: Layouts;
  /** A tensor of the file as a constant. */
  readonly stored: (tensor: OnnxTensor) => View<Constant>;
}

/** Gives the node's outputs, or the first of them: later ones of an operator here are statistics that nobody reads. */
export type Operator = (call: Call) => readonly View[];

/** Cells are numbered by signed 32-bit integers. */
const MAX_SIZE = 2 ** 31 - 1;

export function input({ node, inputs }: Call, index: number): View {
  return inputs[index] ?? refuseNode(node, `expected an input ${index}, found none`, 'CHECKPOINT_GRAPH');
}

export function constantInput(call: Call, index: number): View<Constant> {
  const view = input(call, index);
  return isConstant(view)
    ? view
    : refuseNode(call.node, `input ${index}: expected a constant, found what depends on the image`);
}

/**
 * The integers of an input, or where it is absent those of an attribute: operators have moved from these to those.
 *
 * @param most that there may be: sizes, axes, and what there is of an axis
 */
export function integers(
  call: Call,
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

export function numberAttribute({ node }: Call, name: string, missing: number): number {
  return node.attributes.get(name)?.number ?? missing;
}

export function textAttribute({ node }: Call, name: string, missing: string): string {
  return node.attributes.get(name)?.text ?? missing;
}

/** An axis from the front. */
export function axisOf({ node }: Call, axis: number, rank: number): number {
  const fromFront = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(fromFront) && fromFront >= 0 && fromFront < rank) return fromFront;
  return refuseNode(node, `expected an axis of ${rank}, found ${axis}`, 'CHECKPOINT_GRAPH');
}

/** A shape as a graph may ask for it. */
export function checkedShape(call: Call, shape: readonly number[]): readonly number[] {
  const sound =
    shape.length <= MAX_RANK &&
    shape.every((n) => Number.isSafeInteger(n) && n >= 0) &&
    elements(shape) <= MAX_SIZE;
  return sound ? shape : refuseShapes(call, `at most ${MAX_SIZE} elements and ${MAX_RANK} axes`, shape);
}

export function refuseShapes({ node }: Call, expected: string, ...shapes: (readonly number[])[]): never {
  const found = shapes.map((shape) => `[${shape.slice(0, 8).join(', ')}]`).join(' and ');
  return refuseNode(node, `expected ${expected}, found ${found}`, 'CHECKPOINT_GRAPH');
}

/** What a view shows, for messages. */
export function describe({ source, shape }: Pick<View, 'source' | 'shape'>): string {
  if (source.kind === 'constant') return `a constant [${shape.join(', ')}]`;
  return source.kind === 'image' ? 'the image' : `the output of ${describeNode(source.node)}`;
}

/** The result of an operation. */
export function express(call: Call, operation: Operation, shape: readonly number[]): View {
  const size = elements(checkedShape(call, shape));
  return wholeView({ ...operation, node: call.node, shape, size }, shape);
}

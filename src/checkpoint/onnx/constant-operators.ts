/** Arithmetic on constants: the shapes, masks and indices that an exporter did not fold. */

import { checkedShape, constantInput, type NodeCall, type Operator, refuseShapes } from './call.js';
import type { KnownTensor, View } from './expression.js';
import { namedPositions } from './layout-operators.js';
import { broadcast, computeConstant, elements } from './view.js';
import { refuseNode } from './wire.js';

type Binary = (a: number, b: number, integer: boolean) => number;

/** Booleans are 0 and 1. */
const COMPARISONS: Readonly<Record<string, Binary>> = {
  Equal: (a, b) => Number(a === b),
  Less: (a, b) => Number(a < b),
  LessOrEqual: (a, b) => Number(a <= b),
  Greater: (a, b) => Number(a > b),
  GreaterOrEqual: (a, b) => Number(a >= b),
  And: (a, b) => a & b,
  Or: (a, b) => a | b,
};

const ARITHMETIC: Readonly<Record<string, Binary>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b, integer) => (integer ? Math.trunc(a / b) : a / b),
  // The result has the sign of the divisor, as ONNX requires for integers.
  Mod: (a, b) => a - b * Math.floor(a / b),
  Pow: (a, b) => a ** b,
  Max: (a, b) => Math.max(a, b),
  Min: (a, b) => Math.min(a, b),
};

const UNARY: Readonly<Record<string, (a: number) => number>> = {
  Sqrt: Math.sqrt,
  Neg: (a) => -a,
  Floor: Math.floor,
  Ceil: Math.ceil,
  Not: (a) => 1 - a,
};

/** Operators for nodes that have only constant inputs. */
export const CONSTANT_OPERATORS: Readonly<Record<string, Operator>> = {
  ...mapped(COMPARISONS, (operate) => (call) => [binary(call, operate, 'boolean')]),
  ...mapped(ARITHMETIC, (operate) => (call) => [binary(call, operate, constantInput(call, 0).source.type)]),
  ...mapped(UNARY, (operate) => (call) => {
    const view = constantInput(call, 0);
    return [computeConstant(call.layouts.numbers(view).map(operate), view.shape, view.source.type)];
  }),
  Where: (call) => [where(call)],
  Range: (call) => [range(call)],
  ScatterND: (call) => [scatterND(call)],
};

function mapped<A>(table: Readonly<Record<string, A>>, operator: (value: A) => Operator) {
  return Object.fromEntries(Object.entries(table).map(([name, value]) => [name, operator(value)]));
}

/** Combines two inputs, or more for `Max` and `Min`. */
function binary(call: NodeCall, operate: Binary, type: KnownTensor['type']): View {
  const integer = constantInput(call, 0).source.type === 'integer';
  let result = constantInput(call, 0);
  for (let i = 1; i < call.inputs.length; i++) {
    const { lists, shape } = aligned(call, [result, constantInput(call, i)]);
    const [a, b] = lists as [Float64Array, Float64Array];
    result = computeConstant(
      a.map((value, at) => operate(value, b[at]!, integer)),
      shape,
      type,
    );
  }
  return result;
}

function where(call: NodeCall): View {
  const views = [0, 1, 2].map((i) => constantInput(call, i));
  const { lists, shape } = aligned(call, views);
  const [condition, a, b] = lists as [Float64Array, Float64Array, Float64Array];
  return computeConstant(
    condition.map((value, at) => (value !== 0 ? a[at]! : b[at]!)),
    shape,
    views[1]!.source.type,
  );
}

/** The numbers of each view, broadcast to a common shape, and this shape. */
function aligned(
  call: NodeCall,
  views: readonly View<KnownTensor>[],
): { lists: Float64Array[]; shape: readonly number[] } {
  const shape = views.reduce<readonly number[]>(
    (common, view) =>
      broadcast(common, view.shape) ??
      refuseShapes(call, 'shapes that broadcast', ...views.map((v) => v.shape)),
    [],
  );
  checkedShape(call, shape);
  const lists = views.map((view) => call.layouts.broadcastNumbers(view, shape));
  return { lists, shape };
}

function range(call: NodeCall): View {
  const [start, limit, step] = [0, 1, 2].map((i) => call.layouts.numbers(constantInput(call, i))[0] ?? NaN);
  const length = Math.max(0, Math.ceil((limit! - start!) / step!));
  if (!Number.isInteger(length)) refuseNode(call.node, 'expected start, limit and step, found other numbers');
  call.layouts.charge(length);
  return computeConstant(
    Float64Array.from({ length }, (_, i) => start! + i * step!),
    [length],
    constantInput(call, 0).source.type,
  );
}

function scatterND(call: NodeCall): View {
  const data = constantInput(call, 0);
  const indices = constantInput(call, 1);
  const updates = constantInput(call, 2);
  const numbers = call.layouts.numbers(data);
  const positions = namedPositions(call, data.shape, indices);
  const run = elements(data.shape.slice(indices.shape.at(-1)!));
  const values = call.layouts.numbers(updates);
  if (values.length !== positions.length * run) {
    refuseShapes(call, 'one update per index', updates.shape, indices.shape);
  }
  for (const [i, position] of positions.entries())
    numbers.set(values.subarray(i * run, (i + 1) * run), position * run);
  return computeConstant(numbers, data.shape, data.source.type);
}

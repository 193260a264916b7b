import { quote } from '../../text/quote.js';
import {
  axisOf,
  constantInput,
  describe,
  express,
  input,
  integers,
  type NodeCall,
  numberAttribute,
  type Operator,
  refuseShapes,
  textAttribute,
} from './call.js';
import type { ExpressionKind, ExpressionOf, KnownTensor, View } from './expression.js';
import {
  broadcast,
  elements,
  isConstant,
  sameElements,
  sameNumbers,
  transpose,
  transposeLast,
} from './view.js';
import { refuseNode } from './wire.js';

/** The constants of 16-bit models have a relative error of up to 2^-11. */
const TOLERANCE = 2e-3;

/** Operators for nodes with an input that depends on the image. */
export const LAYER_OPERATORS: Readonly<Record<string, Operator>> = {
  Conv: (call) => [patches(call)],
  MatMul: (call) => [matMul(call)],
  Gemm: (call) => [gemm(call)],
  Add: (call) => [add(call)],
  Sub: (call) => [subtract(call)],
  Mul: (call) => [multiply(call)],
  Div: (call) => [divide(call)],
  Pow: (call) => [power(call)],
  Sqrt: (call) => [squareRoot(call)],
  Erf: (call) => [erf(call)],
  Tanh: (call) => [tanh(call)],
  Gelu: (call) => [gelu(call)],
  LayerNormalization: (call) => [layerNorm(call)],
  Softmax: (call) => [softmax(call)],
  ReduceMean: (call) => [reduceMean(call)],
  GlobalAveragePool: (call) => [globalAveragePool(call)],
  Attention: (call) => [attention(call)],
  IsNaN: (call) => [isNaNOf(call)],
  Where: (call) => [withoutNaN(call)],
};

/** Whether two numbers are equal except for rounding. */
export function isNearly(found: number, expected: number): boolean {
  return Math.abs(found - expected) <= TOLERANCE * Math.abs(expected);
}

/** The source of a view, if it is of this kind and the view shows all of it in its own order. */
function wholly<K extends ExpressionKind>(call: NodeCall, view: View, kind: K): ExpressionOf<K> | undefined {
  const matches = view.source.kind === kind && call.layouts.isWhole(view);
  return matches ? (view.source as unknown as ExpressionOf<K>) : undefined;
}

function patches(call: NodeCall): View {
  const image = input(call, 0);
  const weight = constantInput(call, 1);
  const bias = call.inputs[2] && constantInput(call, 2);
  const [channels = 0, colours = 0, side = 0, width = 0] = weight.shape;
  const list = (name: string, missing: number[]) => call.node.attributes.get(name)?.numbers ?? missing;
  const strides = list('strides', [1, 1]);
  const plain =
    weight.shape.length === 4 &&
    side === width &&
    sameNumbers(strides, [side, side]) &&
    list('pads', []).every((n) => n === 0) &&
    list('dilations', []).every((n) => n === 1) &&
    numberAttribute(call, 'group', 1) === 1 &&
    ['NOTSET', 'VALID'].includes(textAttribute(call, 'auto_pad', 'NOTSET'));
  if (!plain) {
    refuseNode(
      call.node,
      `expected the convolution of a patch embedding, with adjacent square patches and without padding or groups, ` +
        `found a weight [${weight.shape.join(', ')}] with strides [${strides.join(', ')}]`,
    );
  }
  if (!wholly(call, image, 'image') || image.factor !== 1)
    refuseNode(call.node, `expected the unscaled image as its input, found ${describe(image)}`);
  const [, depth = 0, high = 0, wide = 0] = image.shape;
  if (depth !== colours || high % side !== 0 || wide % side !== 0)
    refuseShapes(call, `an image of whole ${side}×${side} patches`, image.shape, weight.shape);
  const [down, across] = [high / side, wide / side];
  // The expression is tokens × channels; the view of it is channels × rows × columns.
  const tokens = express(call, { kind: 'patches', input: image, weight, bias }, [1, down, across, channels]);
  return transpose(tokens, [0, 3, 1, 2]);
}

function matMul(call: NodeCall): View {
  const [a, b] = [input(call, 0), input(call, 1)];
  if (!isConstant(a) && isConstant(b)) return linear(call, a, transposeLast(matrix(call, b)), undefined);
  if (isConstant(a))
    refuseNode(call.node, 'expected the constant as the second factor, found it as the first factor');
  return product(call, a, b);
}

function gemm(call: NodeCall): View {
  const [a, b] = [input(call, 0), matrix(call, constantInput(call, 1))];
  const bias = call.inputs[2] && constantInput(call, 2);
  const plain =
    numberAttribute(call, 'alpha', 1) === 1 &&
    numberAttribute(call, 'beta', 1) === 1 &&
    numberAttribute(call, 'transA', 0) === 0;
  if (!plain || a.shape.length !== 2)
    refuseNode(
      call.node,
      'expected a linear layer (rows of channels, alpha and beta 1), found another product',
    );
  return linear(call, a, numberAttribute(call, 'transB', 0) === 0 ? transposeLast(b) : b, bias);
}

function matrix(call: NodeCall, view: View<KnownTensor>): View<KnownTensor> {
  return view.shape.length === 2 ? view : refuseShapes(call, 'a matrix of weights', view.shape);
}

function linear(
  call: NodeCall,
  view: View,
  weight: View<KnownTensor>,
  bias: View<KnownTensor> | undefined,
): View {
  const [rows = 0, columns] = weight.shape;
  if (view.shape.at(-1) !== columns) refuseShapes(call, `${columns} channels`, view.shape, weight.shape);
  return express(call, { kind: 'linear', input: view, weight, bias }, [...view.shape.slice(0, -1), rows]);
}

function product(call: NodeCall, a: View, b: View): View {
  const shape = [...a.shape.slice(0, -1), b.shape.at(-1) ?? 0];
  const fits =
    a.shape.length >= 2 &&
    a.shape.at(-1) === b.shape.at(-2) &&
    sameNumbers(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (!fits) refuseShapes(call, 'matrices that can be multiplied', a.shape, b.shape);
  return express(call, { kind: 'product', a, b }, shape);
}

function add(call: NodeCall): View {
  const [first, second] = [input(call, 0), input(call, 1)];
  const [a, b] = isConstant(first) ? [second, first] : [first, second];
  const shape = broadcastTo(call, a, b);
  return (isConstant(b) && addedConstant(call, a, b)) || express(call, { kind: 'add', a, b }, shape);
}

/**
 * The expression that an added constant completes: with the bias of a linear layer or LayerNorm,
 * the epsilon of a LayerNorm, or the 1 of a GELU.
 */
function addedConstant(call: NodeCall, a: View, b: View<KnownTensor>): View | undefined {
  if (isConstant(a) || a.factor !== 1) return undefined;
  const { shape } = a;
  const ofChannels = b.shape.at(-1) === shape.at(-1) && elements(b.shape) === shape.at(-1);
  const layer = wholly(call, a, 'linear');
  if (layer && !layer.bias && ofChannels) return express(call, { ...layer, bias: b }, shape);
  const scaled = wholly(call, a, 'scaled');
  if (scaled && ofChannels) return express(call, { ...scaled, kind: 'norm', bias: b }, shape);
  if (elements(b.shape) !== 1) return undefined;
  const squares = wholly(call, a, 'mean');
  const squared = squares && lastAxisOnly(squares) && wholly(call, squares.input, 'squared');
  const centred = squared && wholly(call, squared.input, 'centred');
  if (centred) {
    const epsilon = scalar(call, b);
    return express(call, { kind: 'variance', input: centred.input, epsilon }, shape);
  }
  const sigmoid = wholly(call, a, 'sigmoid');
  if (sigmoid && scalar(call, b) === 1) return express(call, { ...sigmoid, kind: 'sigmoid1' }, shape);
  return undefined;
}

function subtract(call: NodeCall): View {
  const [a, b] = [input(call, 0), input(call, 1)];
  const mean = wholly(call, b, 'mean');
  if (
    !mean ||
    !lastAxisOnly(mean) ||
    !isOfRows(b, a) ||
    !sameElements(mean.input, a) ||
    mean.input.factor !== a.factor
  )
    refuseNode(
      call.node,
      `expected a LayerNorm, which subtracts the mean of the channels, found ${describe(b)}`,
    );
  return express(call, { kind: 'centred', input: a }, a.shape);
}

function multiply(call: NodeCall): View {
  const [first, second] = [input(call, 0), input(call, 1)];
  if (!isConstant(first) && !isConstant(second)) {
    const result =
      halfOfGelu(call, first, second) ??
      halfOfGelu(call, second, first) ??
      cubeOf(call, first, second) ??
      cubeOf(call, second, first) ??
      squareOf(call, first, second);
    return (
      result ??
      refuseNode(
        call.node,
        `expected factors of a GELU or LayerNorm, found ${describe(first)} and ${describe(second)}`,
      )
    );
  }
  const [a, b] = isConstant(first)
    ? [second, first as View<KnownTensor>]
    : [first, second as View<KnownTensor>];
  broadcastTo(call, a, b);
  if (elements(b.shape) === 1) return { ...a, factor: a.factor * scalar(call, b) };
  const normalised = wholly(call, a, 'normalised');
  if (!normalised || a.factor !== 1 || elements(b.shape) !== a.shape.at(-1)) {
    refuseNode(
      call.node,
      `expected the weight of a LayerNorm, found ${describe(b)} times ${describe(a)}; ` +
        'LayerScale and gates are not supported',
    );
  }
  return express(call, { ...normalised, kind: 'scaled', weight: b }, a.shape);
}

/** Matches x · (1 + erf(x / √2)), which is twice a GELU. */
function halfOfGelu(call: NodeCall, x: View, other: View): View | undefined {
  const sigmoid = wholly(call, other, 'sigmoid1');
  if (!sigmoid || !sameElements(sigmoid.input, x)) return undefined;
  const { approximation } = sigmoid;
  const result = express(call, { kind: 'gelu', input: { ...x, factor: 1 }, approximation }, x.shape);
  return { ...result, factor: 2 * x.factor * other.factor };
}

function squareOf(call: NodeCall, a: View, b: View): View | undefined {
  if (!sameElements(a, b) || a.factor !== 1 || b.factor !== 1) return undefined;
  return express(call, { kind: 'squared', input: a }, a.shape);
}

function cubeOf(call: NodeCall, a: View, square: View): View | undefined {
  const squared = wholly(call, square, 'squared');
  if (!squared || !sameElements(squared.input, a) || a.factor !== 1 || square.factor !== 1) return undefined;
  return express(call, { kind: 'cube', input: a }, a.shape);
}

function divide(call: NodeCall): View {
  const [a, b] = [input(call, 0), input(call, 1)];
  if (isConstant(b) && elements(b.shape) === 1) {
    broadcastTo(call, a, b);
    return { ...a, factor: a.factor / scalar(call, b) };
  }
  const centred = wholly(call, a, 'centred');
  const deviation = wholly(call, b, 'deviation');
  const fits =
    centred &&
    deviation &&
    isOfRows(b, a) &&
    sameElements(centred.input, deviation.input) &&
    a.factor === 1 &&
    b.factor === 1;
  if (!fits) {
    return refuseNode(
      call.node,
      `expected a LayerNorm or a scale, found ${describe(a)} divided by ${describe(b)}`,
    );
  }
  return express(call, { ...deviation, kind: 'normalised' }, a.shape);
}

function power(call: NodeCall): View {
  const a = input(call, 0);
  const exponent = scalar(call, constantInput(call, 1));
  if (exponent === 3 && a.factor === 1) return express(call, { kind: 'cube', input: a }, a.shape);
  const square = exponent === 2 ? squareOf(call, a, a) : undefined;
  return (
    square ??
    refuseNode(call.node, `expected the square of a LayerNorm or the cube of a GELU, found ${exponent}`)
  );
}

function squareRoot(call: NodeCall): View {
  const a = input(call, 0);
  const variance = wholly(call, a, 'variance');
  if (!variance || a.factor !== 1)
    return refuseNode(call.node, `expected the variance of a LayerNorm, found ${describe(a)}`);
  return express(call, { ...variance, kind: 'deviation' }, a.shape);
}

function erf(call: NodeCall): View {
  const a = input(call, 0);
  if (!isNearly(a.factor, Math.SQRT1_2))
    refuseNode(call.node, `expected the error function of x / √2 (GELU), found that of ${a.factor} x`);
  return express(call, { kind: 'sigmoid', input: { ...a, factor: 1 }, approximation: 'erf' }, a.shape);
}

function tanh(call: NodeCall): View {
  const a = input(call, 0);
  const sum = isNearly(a.factor, Math.sqrt(2 / Math.PI)) ? wholly(call, a, 'add') : undefined;
  for (const [x, y] of sum ? [[sum.a, sum.b] as const, [sum.b, sum.a] as const] : []) {
    const cube = isNearly(y.factor, 0.044715) && x.factor === 1 && wholly(call, y, 'cube');
    if (cube && sameElements(cube.input, x))
      return express(call, { kind: 'sigmoid', input: x, approximation: 'tanh' }, a.shape);
  }
  return refuseNode(
    call.node,
    `expected the tanh of √(2/π) (x + 0.044715 x³) (GELU), found that of ${describe(a)}`,
  );
}

function gelu(call: NodeCall): View {
  const a = input(call, 0);
  const approximate = textAttribute(call, 'approximate', 'none');
  const approximation = approximate === 'none' ? 'erf' : approximate;
  if (approximation !== 'erf' && approximation !== 'tanh')
    return refuseNode(call.node, `approximate: expected "none" or "tanh", found ${quote(approximate)}`);
  return express(call, { kind: 'gelu', input: a, approximation }, a.shape);
}

function layerNorm(call: NodeCall): View {
  const a = input(call, 0);
  const weight = constantInput(call, 1);
  const bias = call.inputs[2] && constantInput(call, 2);
  const axis = axisOf(call, numberAttribute(call, 'axis', -1), a.shape.length);
  if (axis !== a.shape.length - 1)
    refuseNode(call.node, `expected the last axis of ${a.shape.length}, found axis ${axis}`);
  if (elements(weight.shape) !== a.shape[axis])
    refuseShapes(call, 'one weight per channel', a.shape, weight.shape);
  const epsilon = numberAttribute(call, 'epsilon', 1e-5);
  return express(call, { kind: 'norm', input: a, weight, bias, epsilon }, a.shape);
}

function softmax(call: NodeCall): View {
  const a = input(call, 0);
  const rank = a.shape.length;
  // Up to opset 12, the default was 1, and all axes from there on were treated as one.
  const axis = axisOf(call, numberAttribute(call, 'axis', call.opset < 13 ? 1 : -1), rank);
  if (axis !== rank - 1) refuseNode(call.node, `expected the last axis of ${rank}, found axis ${axis}`);
  return express(call, { kind: 'softmax', input: a }, a.shape);
}

function reduceMean(call: NodeCall): View {
  const a = input(call, 0);
  const axes = integers(call, 1, 'axes')?.map((axis) => axisOf(call, axis, a.shape.length));
  return mean(call, a, axes ?? [], numberAttribute(call, 'keepdims', 1) !== 0);
}

function globalAveragePool(call: NodeCall): View {
  const a = input(call, 0);
  return mean(call, a, [...a.shape.keys()].slice(2), true);
}

function mean(call: NodeCall, a: View, axes: readonly number[], keeps: boolean): View {
  if (axes.length === 0) refuseNode(call.node, 'expected axes, found none');
  const shape = a.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  const kept = keeps ? shape : shape.filter((_, axis) => !axes.includes(axis));
  return express(call, { kind: 'mean', input: a, axes }, kept);
}

/** Whether a view has one element per row of channels of another view. */
function isOfRows(view: View, { shape }: View): boolean {
  return sameNumbers(view.shape, [...shape.slice(0, -1), 1]);
}

/** Whether this is the mean over the channels. */
function lastAxisOnly({ axes, input: a }: ExpressionOf<'mean'>): boolean {
  return axes.length === 1 && axes[0] === a.shape.length - 1;
}

/** softmax(scale q kᵀ + mask) v in one node, since opset 23. */
function attention(call: NodeCall): View {
  const [q, k, v] = [input(call, 0), input(call, 1), input(call, 2)];
  const given = call.inputs[3] && constantInput(call, 3);
  // A boolean mask that masks nothing counts as no mask.
  const mask =
    given?.source.type === 'boolean' && call.layouts.numbers(given).every(Boolean) ? undefined : given;
  const plain =
    q.shape.length === 4 &&
    call.inputs.slice(4).every((other) => other === undefined) &&
    numberAttribute(call, 'is_causal', 0) === 0 &&
    numberAttribute(call, 'softcap', 0) === 0 &&
    (!mask || mask.source.type === 'float');
  if (!plain) refuseNode(call.node, 'expected attention between all tokens, with 4 axes, found another kind');
  const scale = numberAttribute(call, 'scale', (q.shape.at(-1) ?? 0) ** -0.5);
  const scores = product(call, { ...q, factor: q.factor * scale }, transposeLast(k));
  const masked = mask
    ? express(call, { kind: 'add', a: scores, b: mask }, broadcastTo(call, scores, mask))
    : scores;
  return product(call, express(call, { kind: 'softmax', input: masked }, masked.shape), v);
}

function isNaNOf(call: NodeCall): View {
  const a = input(call, 0);
  return express(call, { kind: 'isNaN', input: a }, a.shape);
}

/** Some exporters replace the NaN of a softmax whose row is fully masked; no row is here. */
function withoutNaN(call: NodeCall): View {
  const [condition, constant, a] = [input(call, 0), input(call, 1), input(call, 2)];
  const test = wholly(call, condition, 'isNaN');
  if (!test || !isConstant(constant) || !sameElements(test.input, a))
    refuseNode(call.node, `expected a choice between constants, found one by ${describe(condition)}`);
  return a;
}

/** The shape of an elementwise result, which must be the shape of `a`. */
function broadcastTo(call: NodeCall, a: View, b: View): readonly number[] {
  const shape = broadcast(a.shape, b.shape);
  return shape && sameNumbers(shape, a.shape)
    ? shape
    : refuseShapes(call, 'a second operand that broadcasts to the first', a.shape, b.shape);
}

function scalar({ node, layouts }: NodeCall, view: View<KnownTensor>): number {
  if (elements(view.shape) !== 1) refuseNode(node, `expected one number, found ${describe(view)}`);
  return layouts.numbers(view)[0]!;
}

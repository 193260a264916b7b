/**
 * Recognises attention, softmax(q kᵀ / √d + bias) v, from the residual sum back to x. Tokens attend
 * to each other within groups: the windows of a Swin, or all tokens of a ViT.
 */

import { describe } from './call.js';
import type { Expression, ExpressionOf, View } from './expression.js';
import { isNearly } from './layer-operators.js';
import { composeRows, type Trail, type Trails, type WeightPart } from './trail.js';
import { elements, isConstant, sameElements, transposeLast } from './view.js';
import { type OnnxNode, refuseNode } from './wire.js';

/** The attention of a block. */
export interface Attention {
  /** The residual to which its output is added. */
  readonly rest: Expression;
  readonly heads: number;
  /** Tokens per group. */
  readonly tokens: number;
  /** The token at each place of each group. */
  readonly places: Int32Array;
  /** The bias added to the scores, [groups, heads, tokens, tokens]. */
  readonly bias: Float64Array | undefined;
  readonly node: OnnxNode;
}

/** Matches x + proj(attention(qkv(LayerNorm(x)))). */
export function takeAttention(
  trails: Trails,
  sum: ExpressionOf<'add'>,
  part: WeightPart,
  channels: number,
): Attention {
  const { branch, rest } = trails.residual(sum, 'product', 'attention');
  const proj = trails.linear(branch, part, 'attn.proj', channels);
  const context = trails.expect(proj, 'product', 'the product of scores and values');
  const [tokens = 0, width = 0] = context.shape.slice(-2);
  if (width < 1 || channels % width !== 0 || context.size % (tokens * channels) !== 0) {
    refuseNode(
      context.node,
      `expected heads with ${channels} channels in total, found an output of [${context.shape.join(', ')}]`,
    );
  }
  const grid: Grid = { groups: context.size / (tokens * channels), heads: channels / width, tokens, width };
  const softmax = trails.expect(
    { view: context.a, rows: undefined, node: context.node },
    'softmax',
    'a softmax',
  );
  if (!trails.layouts.isWhole(context.a) || softmax.shape.at(-1) !== tokens)
    refuseNode(
      context.node,
      `expected the whole softmax over ${tokens} tokens, found a part of it or another order`,
    );
  trails.unscaled(context.b, context.node);
  const scores = unbiased(trails, softmax, grid);
  const [q, k, v] = [scores.product.a, transposeLast(scores.product.b), context.b];
  const qkv = takeQkv(trails, part, [q, k, v], grid, scores.product.node);
  const before = trails.norm(qkv, part, 'norm1', channels);
  // Maps places in groups to tokens, and tokens (through the output of attention) back to places.
  const places = trails.reach(before, rest, channels)!;
  const back = composeRows(proj.rows, contextRows(trails, proj, grid))!;
  if (!back.every((place, token) => places[place] === token))
    refuseNode(sum.node, 'expected each token to be added to itself, found another order');
  if (new Set(places).size !== back.length || places.length !== back.length)
    refuseNode(sum.node, 'expected each token in exactly one group, found tokens in several groups or none');
  return { rest, heads: grid.heads, tokens, places, bias: scores.bias, node: softmax.node };
}

/** The layout of attention: groups of tokens, and heads of `width` channels. */
interface Grid {
  readonly groups: number;
  readonly heads: number;
  readonly tokens: number;
  readonly width: number;
}

/** Separates the scores from the biases that are added to them. */
function unbiased(
  trails: Trails,
  softmax: ExpressionOf<'softmax'>,
  { groups, heads, tokens, width }: Grid,
): { product: ExpressionOf<'product'>; bias: Float64Array | undefined } {
  const size = groups * heads * tokens ** 2;
  let bias: Float64Array | undefined;
  let { input: view, node }: { input: View; node: OnnxNode } = softmax;
  const checkWhole = () => {
    if (elements(view.shape) !== size || !trails.layouts.isWhole(view))
      refuseNode(
        node,
        `expected ${size} scores in their order, found ${describe(view)} in another order or number`,
      );
  };
  checkWhole();
  for (let source = view.source; source.kind === 'add' && isConstant(source.b); source = view.source) {
    trails.unscaled(view, node);
    const added = trails.layouts.broadcastNumbers(source.b, source.shape);
    bias = bias ? added.map((value, i) => Math.fround(value + bias![i]!)) : added;
    view = source.a;
    node = source.node;
    checkWhole();
  }
  const { source } = view;
  if (source.kind !== 'product')
    return refuseNode(node, `expected the scores of queries and keys, found ${describe(view)}`);
  const scale = view.factor * source.a.factor * source.b.factor;
  if (!isNearly(scale, width ** -0.5)) {
    refuseNode(source.node, `expected scores scaled by 1 / √${width} = ${width ** -0.5}, found ${scale}`);
  }
  return { product: source as ExpressionOf<'product'>, bias };
}

/**
 * Matches one linear layer for query, key and value, or three. Returns a trail to its input, with
 * the input row of each place of the groups.
 */
function takeQkv(
  trails: Trails,
  part: WeightPart,
  views: readonly [View, View, View],
  grid: Grid,
  node: OnnxNode,
): Trail {
  const channels = grid.heads * grid.width;
  const layers = views.map(({ source }, i) => {
    if (source.kind === 'linear') return source as ExpressionOf<'linear'>;
    const role = ['query', 'key', 'value'][i];
    return refuseNode(node, `expected the ${role} from a linear layer, found ${describe(views[i]!)}`);
  });
  const [q, k, v] = layers as [ExpressionOf<'linear'>, ExpressionOf<'linear'>, ExpressionOf<'linear'>];
  const joined = q === k && q === v;
  const columns = joined ? 3 * channels : channels;
  const [rows, ...others] = views.map((view, i) =>
    placeRows(trails, view, joined ? i * channels : 0, columns, grid, layers[i]!.node),
  ) as [Int32Array, Int32Array, Int32Array];
  if (!others.every((other) => other.every((row, place) => row === rows[place])))
    refuseNode(node, 'expected query, key and value of the same tokens, found different tokens');
  if (joined) trails.linearWeights(part, 'attn.qkv', q, columns);
  else takeThree(trails, part, [q, k, v], channels);
  return { view: q.input, rows, node: q.node };
}

function takeThree(
  trails: Trails,
  part: WeightPart,
  layers: readonly ExpressionOf<'linear'>[],
  channels: number,
): void {
  const [first] = layers as [ExpressionOf<'linear'>];
  for (const { input, node } of layers) {
    if (!sameElements(input, first.input) || input.factor !== first.input.factor)
      refuseNode(
        node,
        `expected the input of ${describe({ source: first, shape: first.shape })}, found ${describe(input)}`,
      );
  }
  const parts = layers.map((layer) => {
    const weights: WeightPart = new Map();
    trails.linearWeights(weights, 'attn.qkv', layer, channels);
    return weights;
  });
  const stack = (name: string, shape: readonly number[]) => {
    const weights = parts.map((weight) => weight.get(name)!);
    part.set(name, trails.weights.stacked(weights, shape, first.node));
  };
  stack('attn.qkv.weight', [3 * channels, first.weight.shape[1]!]);
  stack('attn.qkv.bias', [3 * channels]);
}

/**
 * The row of a linear layer's output at each place of each group. The view is [groups, heads,
 * tokens, width]; the channels of head h begin at `base` + h · width.
 */
function placeRows(
  trails: Trails,
  view: View,
  base: number,
  columns: number,
  { groups, heads, tokens, width }: Grid,
  node: OnnxNode,
): Int32Array {
  const refuse = (): never =>
    refuseNode(
      node,
      `expected its output as ${groups} groups × ${heads} heads × ${tokens} tokens × ${width} channels, ` +
        `in the order query, key, value, found [${view.shape.slice(0, 8).join(', ')}] in another order`,
    );
  const rows = new Int32Array(groups * tokens);
  if (elements(view.shape) !== rows.length * heads * width || view.shape.at(-1) !== width) refuse();
  if (view.shape.at(-2) !== tokens || view.source.size % columns !== 0) refuse();
  const cells = trails.layouts.cells(view);
  let at = 0;
  for (let group = 0; group < groups; group++) {
    for (let head = 0; head < heads; head++) {
      for (let place = group * tokens; place < (group + 1) * tokens; place++) {
        const first = cells[at]! - base - head * width;
        if (head === 0) rows[place] = first / columns;
        if (first !== rows[place]! * columns) refuse();
        for (let d = 0; d < width; d++) if (cells[at++] !== first + base + head * width + d) refuse();
      }
    }
  }
  return rows;
}

/** The place in the groups of each input row of the projection, which is its heads concatenated. */
function contextRows(trails: Trails, { view, node }: Trail, { heads, tokens, width }: Grid): Int32Array {
  const channels = heads * width;
  const refuse = (): never =>
    refuseNode(
      node,
      `expected ${heads} concatenated heads as its input, found [${view.shape}] in another order`,
    );
  if (view.shape.at(-1) !== channels) refuse();
  const cells = trails.layouts.cells(view);
  const rows = new Int32Array(cells.length / channels);
  for (let row = 0, at = 0; row < rows.length; row++) {
    const first = cells[at]! / width;
    const token = first % tokens;
    const group = (first - token) / (tokens * heads);
    if (!Number.isInteger(group)) refuse();
    rows[row] = group * tokens + token;
    for (let head = 0; head < heads; head++) {
      const from = ((group * heads + head) * tokens + token) * width;
      for (let d = 0; d < width; d++) if (cells[at++] !== from + d) refuse();
    }
  }
  return rows;
}

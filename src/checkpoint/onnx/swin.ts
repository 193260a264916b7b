import { quote } from '../../text/quote.js';
import { plainSwin, swinNames } from '../names/swin-names.js';
import { takeAttention } from './attention.js';
import { describe } from './call.js';
import type { Expression, ExpressionOf } from './expression.js';
import { positionTable, windowsOf } from './position-bias.js';
import type { Trail, Trails, WeightPart } from './trail.js';
import { elements, isConstant, transpose } from './view.js';
import { takePatches } from './vit.js';
import type { Weight } from './weights.js';
import { type OnnxNode, refuseNode } from './wire.js';

interface Block {
  readonly part: WeightPart;
  readonly shift: number;
  readonly heads: number;
  readonly node: OnnxNode;
}

interface GraphStage {
  readonly blocks: Block[];
  /** Weights of the patch merging after the stage. */
  readonly merge: WeightPart;
}

/** Matches a Swin from the mean before its head to the image; its last stage has `channels`. */
export function takeSwin(
  trails: Trails,
  tail: Trail,
  outer: WeightPart,
  channels: number,
): Map<string, Weight> {
  const mean = trails.expect(tail, 'mean', 'the mean of all tokens');
  if (!trails.layouts.isWhole(tail.view))
    refuseNode(tail.node, 'expected the mean of all tokens in its order, found another order');
  const end = trails.norm(tokensOf(mean), outer, 'norm', channels);
  let stream = trails.source(end);
  trails.arrive(end, stream, channels);
  const stages: GraphStage[] = [{ blocks: [], merge: new Map() }];
  for (;;) {
    if (stream.kind === 'add' && !isConstant(stream.b)) {
      const taken = takeBlock(trails, stream, channels);
      stages[0]!.blocks.unshift(taken.block);
      stream = taken.rest;
    } else if (stream.kind === 'linear') {
      const merge: WeightPart = new Map();
      const width = channels;
      channels /= 2;
      stream = takeMerge(trails, stream as ExpressionOf<'linear'>, merge, width);
      stages.unshift({ blocks: [], merge });
    } else {
      break;
    }
  }
  takeEmbedding(trails, stream, outer, channels);
  checkStages(stages, end.node);
  trails.common.heads = stages[0]!.blocks[0]!.heads;
  const found = new Map(outer);
  for (const [i, { blocks, merge }] of stages.entries()) {
    for (const [name, weight] of merge) found.set(`layers.${i}.${name}`, weight);
    for (const [j, { part }] of blocks.entries())
      for (const [name, weight] of part) found.set(`layers.${i}.blocks.${j}.${name}`, weight);
  }
  return new Map(
    swinNames(plainSwin(stages.map(({ blocks }) => blocks.length))).map((name) => [name, found.get(name)!]),
  );
}

/** The input of the mean as rows of channels, in any layout: the averaged axes come first. */
function tokensOf({ input, axes, node }: ExpressionOf<'mean'>): Trail {
  const ordered = [...input.shape.keys()];
  const [means, others] = [true, false].map((mean) => ordered.filter((axis) => axes.includes(axis) === mean));
  return { view: transpose(input, [...means!, ...others!]), rows: undefined, node };
}

function takeBlock(
  trails: Trails,
  sum: ExpressionOf<'add'>,
  channels: number,
): { block: Block; rest: Expression } {
  const part: WeightPart = new Map();
  const middle = trails.mlp(sum, part, channels);
  if (middle.kind !== 'add')
    return refuseNode(sum.node, 'expected attention before the MLP of a block, found no residual sum');
  const attention = takeAttention(trails, middle, part, channels);
  const windows = windowsOf(attention);
  const { heads, rest, node } = attention;
  const { side, window, shift } = windows;
  // Whether the shift must be 0 or half a window depends on the block number, which is not known
  // yet.
  if (shift !== 0 && (shift !== Math.floor(window / 2) || side === window))
    refuseNode(node, `expected a shift of half a window of ${window} tokens, found ${shift}`);
  const table = positionTable(attention, windows);
  const shape = [table.length / heads, heads];
  part.set('attn.relative_position_bias_table', trails.weights.floats(table, shape));
  return { block: { part, shift: side === window ? NaN : shift, heads, node }, rest };
}

/** Matches patch merging: 2×2 neighbours become one token with twice the channels. */
function takeMerge(
  trails: Trails,
  linear: ExpressionOf<'linear'>,
  part: WeightPart,
  width: number,
): Expression {
  const { node } = linear;
  if (linear.bias) refuseNode(node, 'expected a patch merging layer without a bias, found one with a bias');
  const start: Trail = { view: linear.input, rows: undefined, node };
  const weight = trails.weights.tensor(linear.weight, [width, 2 * width], 'downsample.reduction', node);
  part.set('downsample.reduction.weight', weight);
  const end = trails.norm(start, part, 'downsample.norm', 2 * width);
  trails.unscaled(end.view, end.node);
  const source = trails.source(end);
  const side = Math.sqrt(source.size / (width / 2));
  const refuse = (): never =>
    refuseNode(
      end.node,
      'expected the concatenated channels of 2×2 neighbours, column by column, as its input, found ' +
        `${describe(end.view)} in another order`,
    );
  if (end.rows || !Number.isInteger(side / 2) || elements(end.view.shape) !== source.size) refuse();
  checkNeighbours(trails.layouts.cells(end.view), side, width / 2, refuse);
  return source;
}

function checkNeighbours(cells: Int32Array, side: number, channels: number, refuse: () => never): void {
  let at = 0;
  for (let row = 0; row < side; row += 2) {
    for (let column = 0; column < side; column += 2) {
      for (const [down, across] of [
        [0, 0],
        [1, 0],
        [0, 1],
        [1, 1],
      ] as const) {
        const first = ((row + down) * side + column + across) * channels;
        for (let channel = 0; channel < channels; channel++) if (cells[at++] !== first + channel) refuse();
      }
    }
  }
}

function takeEmbedding(trails: Trails, stream: Expression, outer: WeightPart, channels: number): void {
  if (stream.kind !== 'norm') {
    refuseNode(
      stream.node,
      `expected a block, patch merging or the patch embedding, found ${quote(stream.node.op)}`,
    );
  }
  trails.normWeights(stream, outer, 'patch_embed.norm', channels);
  takePatches(trails, { view: stream.input, rows: undefined, node: stream.node }, outer, channels);
}

/** Checks that exactly the odd blocks shift their windows, if a stage has several windows. */
function checkStages(stages: readonly GraphStage[], node: OnnxNode): void {
  for (const [i, { blocks }] of stages.entries()) {
    if (blocks.length === 0) refuseNode(node, `expected blocks in stage ${i}, found none`);
    for (const [j, block] of blocks.entries()) {
      const shifts = block.shift > 0;
      if (Number.isNaN(block.shift) || shifts === (j % 2 === 1)) continue;
      refuseNode(
        block.node,
        `expected block ${j} of stage ${i} ${shifts ? 'not ' : ''}to shift its windows, found ${shifts ? 'a' : 'no'} shift`,
      );
    }
  }
}

import { plainVit, vitNames } from '../vit-names.js';
import { takeAttention } from './attention.js';
import { describe } from './call.js';
import type { Expression } from './expression.js';
import type { Part, Trail, Trails } from './trail.js';
import { elements, isConstant, type View } from './view.js';
import type { Weight } from './weights.js';
import { refuseNode } from './wire.js';

/** A DeiT or ViT, from the LayerNorm before its head back to the image. */
export function takeVit(trails: Trails, tail: Trail, outer: Part, channels: number): Map<string, Weight> {
  const end = trails.norm(tail, outer, 'norm', channels);
  let stream = trails.source(end);
  const token = trails.reach(end, stream, channels);
  if (token?.length !== 1 || token[0] !== 0)
    refuseNode(end.node, 'expected the first token, the class token, to be classified, found others');
  const blocks: Part[] = [];
  while (stream.kind === 'add' && !isConstant(stream.b)) {
    const part: Part = new Map();
    const middle = trails.mlp(stream, part, channels);
    if (middle.kind !== 'add')
      return refuseNode(stream.node, 'expected attention before the MLP of a block, found no sum before it');
    const attention = takeAttention(trails, middle, part, channels);
    const { rest, heads, bias, tokens, places, node } = attention;
    if (tokens !== places.length)
      refuseNode(node, `expected all tokens to attend to each other, found windows`);
    if (bias?.some((value) => value !== 0))
      refuseNode(node, 'expected scores without a bias, as of a ViT, found one added');
    trails.common.heads ??= heads;
    if (trails.common.heads !== heads)
      refuseNode(node, `expected ${trails.common.heads} heads as in the other blocks, found ${heads}`);
    blocks.unshift(part);
    stream = rest;
  }
  if (blocks.length === 0)
    return refuseNode(stream.node, 'expected the blocks of a ViT before the last LayerNorm, found none');
  takePatches(trails, takeTokens(trails, stream, outer, channels), outer, channels);
  const found = new Map(outer);
  for (const [n, block] of blocks.entries())
    for (const [name, weight] of block) found.set(`blocks.${n}.${name}`, weight);
  return new Map(vitNames(plainVit(blocks.length)).map((name) => [name, found.get(name)!]));
}

/** Class token and patches side by side, with positions added to both or to the patches alone: the way on to these. */
function takeTokens(trails: Trails, stream: Expression, outer: Part, channels: number): Trail {
  const tokens = stream.size / channels;
  const ofAll = stream.kind === 'add' && isConstant(stream.b) ? stream.b : undefined;
  const join = stream.kind === 'add' && ofAll ? trails.source(whole(trails, stream.a, stream)) : stream;
  if (join.kind !== 'join') {
    return refuseNode(
      join.node,
      'expected a block, or the class token and the patches side by side, found neither',
    );
  }
  const patches = join.parts.at(-1)!;
  const [token, second] = join.parts as [View, View];
  const others = tokens - elements(patches.shape) / channels;
  if (!isConstant(token) || second !== patches || others !== 1 || join.axis !== join.shape.length - 2) {
    return refuseNode(
      join.node,
      `expected one class token before the patches, found ${others} tokens of ${join.parts.length - 1} parts ` +
        '(a distilled DeiT has two, and is not supported)',
    );
  }
  outer.set('cls_token', trails.weights.tensor(token, [1, 1, channels], 'the class token', join.node));
  const shape = [1, tokens, channels];
  if (ofAll) {
    outer.set('pos_embed', trails.weights.tensor(ofAll, shape, 'the position embeddings', stream.node));
    return { view: patches, rows: undefined, node: join.node };
  }
  const sum = trails.expect(whole(trails, patches, join), 'add', 'position embeddings added to the patches');
  const ofPatches = isConstant(sum.b) ? trails.layouts.numbers(sum.b) : [];
  if (ofPatches.length !== (tokens - 1) * channels)
    refuseNode(sum.node, `expected positions of ${tokens - 1} patches, found ${describe(sum.b)}`);
  // The class token has none, or has it in itself.
  const values = new Float64Array(tokens * channels);
  values.set(ofPatches, channels);
  outer.set('pos_embed', trails.weights.floats(values, shape));
  return { view: sum.a, rows: undefined, node: sum.node };
}

function whole(trails: Trails, view: View, { node }: Expression): Trail {
  if (!trails.layouts.isWhole(view))
    refuseNode(node, `expected all of ${describe(view)}, found a part, or another order`);
  trails.unscaled(view, node);
  return { view, rows: undefined, node };
}

/** The convolution of patches: its tokens in reading order. */
export function takePatches(trails: Trails, trail: Trail, outer: Part, channels: number): void {
  const { weight, bias, node } = trails.expect(trail, 'patches', 'the embedding of patches');
  if (!trails.layouts.isWhole(trail.view))
    refuseNode(trail.node, 'expected all patches in reading order, found some, or another order');
  const name = 'patch_embed.proj';
  outer.set(`${name}.weight`, trails.weights.tensor(weight, weight.shape, `the weight of ${name}`, node));
  trails.bias(outer, name, bias, channels, node);
}

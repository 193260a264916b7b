import { plainVit, vitNames } from '../names/vit-names.js';
import { takeAttention } from './attention.js';
import { describe } from './call.js';
import type { Expression, KnownTensor, View } from './expression.js';
import type { Trail, Trails, WeightPart } from './trail.js';
import { elements, isConstant, slice } from './view.js';
import type { Weight } from './weights.js';
import { refuseNode } from './wire.js';

/** A classifier layer: the trail to its input, and its weights. */
export interface Head {
  readonly tail: Trail;
  readonly part: WeightPart;
}

/**
 * timm's names of the tokens before the patches, and of their heads. The second of each is DeiT's.
 */
const TOKENS = ['cls_token', 'dist_token'] as const;
const HEADS = ['head', 'head_dist'] as const;

/** Matches a DeiT or ViT from the LayerNorm before its heads back to the image. */
export function takeVit(trails: Trails, heads: readonly Head[], channels: number): Map<string, Weight> {
  const outer: WeightPart = new Map();
  const [{ tail }] = heads as [Head];
  const end = trails.norm(tail, outer, 'norm', channels);
  let stream = trails.source(end);
  for (const [i, { part }] of headsByToken(trails, heads, stream, channels).entries())
    for (const [name, weight] of part) outer.set(name.replace(HEADS[0], HEADS[i]!), weight);
  const blocks: WeightPart[] = [];
  while (stream.kind === 'add' && !isConstant(stream.b)) {
    const part: WeightPart = new Map();
    const middle = trails.mlp(stream, part, channels);
    if (middle.kind !== 'add')
      return refuseNode(stream.node, 'expected attention before the MLP of a block, found no residual sum');
    const attention = takeAttention(trails, middle, part, channels);
    const { rest, heads, bias, tokens, places, node } = attention;
    if (tokens !== places.length)
      refuseNode(node, `expected all tokens to attend to each other, found windows`);
    if (bias?.some((value) => value !== 0))
      refuseNode(node, 'expected scores without a bias, as in a ViT, found a bias');
    trails.common.heads ??= heads;
    if (trails.common.heads !== heads)
      refuseNode(node, `expected ${trails.common.heads} heads, as in the other blocks, found ${heads}`);
    blocks.unshift(part);
    stream = rest;
  }
  if (blocks.length === 0)
    return refuseNode(stream.node, 'expected the blocks of a ViT before the last LayerNorm, found none');
  const patches = takeTokens(trails, stream, outer, channels);
  if (heads.length > 1 && !outer.has(TOKENS[1]))
    refuseNode(end.node, 'expected a distillation token for the second head, found a patch token');
  takePatches(trails, patches, outer, channels);
  const found = new Map(outer);
  for (const [n, block] of blocks.entries())
    for (const [name, weight] of block) found.set(`blocks.${n}.${name}`, weight);
  const tokens = TOKENS.filter((name) => found.has(name));
  const names = vitNames({ ...plainVit(blocks.length), tokens, heads: HEADS.slice(0, heads.length) });
  return new Map(names.map((name) => [name, found.get(name)!]));
}

/**
 * The heads, in the order of the tokens that they read after the LayerNorm: the first one or two.
 */
function headsByToken(trails: Trails, heads: readonly Head[], stream: Expression, channels: number): Head[] {
  const norm = trails.expect(heads[0]!.tail, 'norm', 'a LayerNorm');
  const ordered: Head[] = [];
  for (const head of heads) {
    const { tail } = head;
    if (tail.view.source !== norm)
      refuseNode(
        tail.node,
        `expected the LayerNorm of the other head as its input, found ${describe(tail.view)}`,
      );
    const end = trails.step(tail, channels, norm);
    const rows = trails.reach(end, stream, channels);
    const token = rows?.length === 1 ? rows[0]! : -1;
    if (token < 0 || token >= heads.length || ordered[token] !== undefined) {
      const expected =
        heads.length === 1 ? 'the first token (the class token)' : 'each of the first two tokens';
      refuseNode(end.node, `expected a head for ${expected}, found other tokens`);
    }
    ordered[token] = head;
  }
  return ordered;
}

/**
 * Matches the concatenation of the tokens and the patches, with position embeddings for all or only
 * for the patches. Returns a trail to the patches.
 */
function takeTokens(trails: Trails, stream: Expression, outer: WeightPart, channels: number): Trail {
  const tokens = stream.size / channels;
  const ofAll = stream.kind === 'add' && isConstant(stream.b) ? stream.b : undefined;
  const join = stream.kind === 'add' && ofAll ? trails.source(whole(trails, stream.a, stream)) : stream;
  if (join.kind !== 'join') {
    return refuseNode(
      join.node,
      'expected a block, or the class token concatenated with the patches, found neither',
    );
  }
  const patches = join.parts.at(-1)!;
  const others = join.parts.slice(0, -1);
  const count = tokens - elements(patches.shape) / channels;
  if (
    !others.every(isConstant) ||
    count < 1 ||
    count > TOKENS.length ||
    join.axis !== join.shape.length - 2
  ) {
    refuseNode(
      join.node,
      `expected a class token and perhaps a distillation token before the patches, found ${count} tokens in ${others.length} parts`,
    );
  }
  const places = others.flatMap((part) =>
    Array.from({ length: part.shape[join.axis]! }, (_, i) =>
      slice(part as View<KnownTensor>, join.axis, i, 1, 1),
    ),
  );
  for (const [i, token] of places.entries()) {
    const weight = trails.weights.tensor(token, [1, 1, channels], `the token ${TOKENS[i]}`, join.node);
    outer.set(TOKENS[i]!, weight);
  }
  const shape = [1, tokens, channels];
  if (ofAll) {
    outer.set('pos_embed', trails.weights.tensor(ofAll, shape, 'the position embeddings', stream.node));
    return { view: patches, rows: undefined, node: join.node };
  }
  const sum = trails.expect(whole(trails, patches, join), 'add', 'position embeddings added to the patches');
  const ofPatches = isConstant(sum.b) ? trails.layouts.numbers(sum.b) : [];
  if (ofPatches.length !== (tokens - count) * channels)
    refuseNode(sum.node, `expected positions for ${tokens - count} patches, found ${describe(sum.b)}`);
  // The tokens before the patches have no positions, or the exporter added them already.
  const values = new Float64Array(tokens * channels);
  values.set(ofPatches, count * channels);
  outer.set('pos_embed', trails.weights.floats(values, shape));
  return { view: sum.a, rows: undefined, node: sum.node };
}

function whole(trails: Trails, view: View, { node }: Expression): Trail {
  if (!trails.layouts.isWhole(view))
    refuseNode(node, `expected the whole of ${describe(view)}, found a part of it or another order`);
  trails.unscaled(view, node);
  return { view, rows: undefined, node };
}

/** Matches the patch embedding, with its tokens in reading order. */
export function takePatches(trails: Trails, trail: Trail, outer: WeightPart, channels: number): void {
  const { weight, bias, node } = trails.expect(trail, 'patches', 'the patch embedding');
  if (!trails.layouts.isWhole(trail.view))
    refuseNode(trail.node, 'expected all patches in reading order, found only some or another order');
  const name = 'patch_embed.proj';
  outer.set(`${name}.weight`, trails.weights.tensor(weight, weight.shape, `the weight of ${name}`, node));
  trails.bias(outer, name, bias, channels, node);
}

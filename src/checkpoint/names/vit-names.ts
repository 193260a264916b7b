/** timm's tensor names for DeiT and ViT, which are the canonical names. */

import {
  type AttentionParts,
  attentionNames,
  attentionParts,
  type CommonSizes,
  commonShape,
  withBiases,
} from './common-names.js';

/**
 * More blocks than any ViT has; further blocks are unexpected tensors. Bounds the number of names.
 */
const MAX_BLOCKS = 1000;

/**
 * The number of blocks, at least one. Blocks are counted, because a hostile name could claim any
 * block number; a gap in the numbers shows up as missing tensors.
 */
export function vitDepth(names: Iterable<string>): number {
  const blocks = new Set<string>();
  for (const name of names) {
    const block = /^blocks\.(\d+)\./.exec(name)?.[1];
    if (block !== undefined) blocks.add(block);
  }
  return Math.min(Math.max(1, blocks.size), MAX_BLOCKS);
}

/** The parts that differ between ViTs. */
export interface VitParts {
  readonly depth: number;
  /** Any of `cls_token`, `dist_token` (distillation) and `reg_token` (registers), in this order. */
  readonly tokens: readonly string[];
  readonly attention: AttentionParts;
  /** LayerScale: per-channel factors of the output of each branch. */
  readonly layerScale: boolean;
  /** `fc_norm` normalises the mean of the patches, `norm` the tokens. */
  readonly norm: 'norm' | 'fc_norm';
  /** `head`, and `head_dist` for the distillation token; empty for a backbone. */
  readonly heads: readonly string[];
}

/** A ViT with a class token, one layer for query, key and value, and one head. */
export function plainVit(depth: number): VitParts {
  const attention = { apart: false, bias: true };
  return { depth, tokens: ['cls_token'], attention, layerScale: false, norm: 'norm', heads: ['head'] };
}

/** Infers the parts: each is present if any of its tensors is. */
export function vitParts(names: readonly string[]): VitParts {
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  const tokens = ['cls_token', 'dist_token', 'reg_token'].filter((name) => names.includes(name));
  return {
    depth: vitDepth(names),
    tokens,
    attention: attentionParts(names),
    layerScale: has(/\.ls[12]\.gamma$/),
    norm: has(/^fc_norm\./) && !has(/^norm\./) ? 'fc_norm' : 'norm',
    heads: has(/^head_dist\./) ? ['head', 'head_dist'] : has(/^head\./) ? ['head'] : [],
  };
}

/** The names of a DeiT or ViT, in the order of the forward pass. */
export function vitNames({ depth, tokens, attention, layerScale, norm, heads }: VitParts): string[] {
  const scale = (name: string) => (layerScale ? [`${name}.gamma`] : []);
  const block = [
    ...withBiases(['norm1']),
    ...attentionNames(attention),
    ...withBiases(['attn.proj']),
    ...scale('ls1'),
    ...withBiases(['norm2', 'mlp.fc1', 'mlp.fc2']),
    ...scale('ls2'),
  ];
  return [
    ...tokens,
    'pos_embed',
    ...withBiases(['patch_embed.proj']),
    ...Array.from({ length: depth }, (_, n) => block.map((name) => `blocks.${n}.${name}`)).flat(),
    ...withBiases([norm, ...heads]),
  ];
}

/** The sizes that determine the shape of every tensor. */
export interface VitSizes extends CommonSizes {
  readonly registers: number;
  /** Rows of `pos_embed`. */
  readonly positions: number;
}

/** The shape of a tensor of {@link vitNames}. */
export function vitShape(name: string, sizes: VitSizes): readonly number[] {
  switch (name) {
    case 'cls_token':
    case 'dist_token':
      return [1, 1, sizes.dim];
    case 'reg_token':
      return [1, sizes.registers, sizes.dim];
    case 'pos_embed':
      return [1, sizes.positions, sizes.dim];
    default:
      return commonShape(name.replace(/^blocks\.\d+\./, ''), sizes);
  }
}

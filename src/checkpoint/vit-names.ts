/** timm's tensor names for DeiT and ViT: the canonical ones. */

import {
  type AttentionParts,
  attentionNames,
  attentionParts,
  type CommonSizes,
  commonShape,
  withBiases,
} from './common-names.js';

/** More blocks than any ViT has: those beyond count as tensors that are not expected. Bounds the names that are made for them. */
const MAX_BLOCKS = 1000;

/**
 * The number of blocks, at least one: a count and not the highest number, which a name could make as high as it likes.
 * A gap shows as missing tensors.
 */
export function vitDepth(names: Iterable<string>): number {
  const blocks = new Set<string>();
  for (const name of names) {
    const block = /^blocks\.(\d+)\./.exec(name)?.[1];
    if (block !== undefined) blocks.add(block);
  }
  return Math.min(Math.max(1, blocks.size), MAX_BLOCKS);
}

/** What a ViT may have or lack. */
export interface VitParts {
  readonly depth: number;
  /** Of `cls_token`, `dist_token` (DeiT's distillation token) and `reg_token` (registers): those that there are, in this order. */
  readonly tokens: readonly string[];
  readonly attention: AttentionParts;
  /** LayerScale: a factor for each channel of what a branch adds to the residual stream. */
  readonly layerScale: boolean;
  /** `fc_norm` is applied to the mean of the patches, `norm` to the tokens. */
  readonly norm: 'norm' | 'fc_norm';
  /** `head`, `head_dist` behind the distillation token; none of a backbone. */
  readonly heads: readonly string[];
}

/** A class token, one layer for query, key and value, one head. */
export function plainVit(depth: number): VitParts {
  const attention = { apart: false, bias: true };
  return { depth, tokens: ['cls_token'], attention, layerScale: false, norm: 'norm', heads: ['head'] };
}

/** The parts that the file shows by having any tensor of them. */
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

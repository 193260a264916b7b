/** timm's tensor names for DeiT and ViT. */

import { type CommonSizes, commonShape, withBiases } from './common-names.js';

const BLOCK_TENSORS = withBiases(['norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2']);

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
  return Math.max(1, blocks.size);
}

/** The names of a DeiT or ViT of this depth, in the order of the forward pass. */
export function vitNames(depth: number): string[] {
  const blocks = Array.from({ length: depth }, (_, n) => BLOCK_TENSORS.map((name) => `blocks.${n}.${name}`));
  return [
    'cls_token',
    'pos_embed',
    ...withBiases(['patch_embed.proj']),
    ...blocks.flat(),
    ...withBiases(['norm', 'head']),
  ];
}

/** The sizes that determine the shape of every tensor. */
export interface VitSizes extends CommonSizes {
  readonly patches: number;
}

/** The shape of a tensor of {@link vitNames}. */
export function vitShape(name: string, sizes: VitSizes): readonly number[] {
  if (name === 'cls_token') return [1, 1, sizes.dim];
  if (name === 'pos_embed') return [1, 1 + sizes.patches, sizes.dim];
  return commonShape(name.replace(/^blocks\.\d+\./, ''), sizes);
}

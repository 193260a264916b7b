/** Microsoft's tensor names for Swin, which are the canonical names. */

import { biasRows } from '../../architecture/architecture.js';
import {
  type AttentionParts,
  attentionNames,
  type CommonSizes,
  commonShape,
  withBiases,
} from './common-names.js';

const MERGE_TENSORS = [...withBiases(['downsample.norm']), 'downsample.reduction.weight'];

/** The bias table of the first block of a stage; those of its other blocks have the same shape. */
export function biasTable(stage: number): string {
  return `layers.${stage}.blocks.0.attn.relative_position_bias_table`;
}

/** The stage of an attention mask; undefined for any other tensor. */
export function maskStage(name: string): number | undefined {
  const stage = /^layers\.(\d+)\.blocks\.\d+\.attn_mask$/.exec(name)?.[1];
  return stage === undefined ? undefined : Number(stage);
}

/** The number of blocks in each stage, at least one. Counted as in `vitDepth`. */
export function swinDepths(names: Iterable<string>): number[] {
  const stages = new Map<string, Set<string>>();
  for (const name of names) {
    const [, stage, block] = /^layers\.(\d+)\.(?:blocks\.(\d+)\.)?/.exec(name) ?? [];
    if (stage === undefined) continue;
    const blocks = stages.get(stage) ?? new Set();
    stages.set(stage, blocks);
    if (block !== undefined) blocks.add(block);
  }
  return Array.from({ length: Math.max(1, stages.size) }, (_, i) =>
    Math.max(1, stages.get(String(i))?.size ?? 0),
  );
}

/** The parts that differ between Swins. */
export interface SwinParts {
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  readonly attention: AttentionParts;
  /** False for a backbone. */
  readonly hasHead: boolean;
}

/** A Swin with one layer for query, key and value, and a head. */
export function plainSwin(depths: readonly number[]): SwinParts {
  return { depths, attention: { apart: false, bias: true }, hasHead: true };
}

/** The canonical names of a Swin, in the order of the forward pass. */
export function swinNames({ depths, attention, hasHead }: SwinParts): string[] {
  const block = [
    ...withBiases(['norm1']),
    'attn.relative_position_bias_table',
    ...attentionNames(attention),
    ...withBiases(['attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2']),
  ];
  const stages = depths.flatMap((depth, i) => [
    ...Array.from({ length: depth }, (_, j) => block.map((name) => `layers.${i}.blocks.${j}.${name}`)).flat(),
    ...(i + 1 < depths.length ? MERGE_TENSORS.map((name) => `layers.${i}.${name}`) : []),
  ]);
  return [
    ...withBiases(['patch_embed.proj', 'patch_embed.norm']),
    ...stages,
    ...withBiases(hasHead ? ['norm', 'head'] : ['norm']),
  ];
}

/** The sizes that determine every shape; `dim` and `mlpDim` are those of the first stage. */
export interface SwinSizes extends CommonSizes {
  /** Heads of each stage. */
  readonly heads: readonly number[];
  /** Window side of each stage, in tokens. */
  readonly windows: readonly number[];
}

/** The shape of a tensor of {@link swinNames}. */
export function swinShape(name: string, sizes: SwinSizes): readonly number[] {
  const { heads, windows } = sizes;
  const [, inFile, inStage] = /^layers\.(\d+)\.(?:blocks\.\d+\.)?(.+)$/.exec(name) ?? [];
  const layer = inStage ?? name;
  const stage = Number(inFile ?? (name.startsWith('patch_embed.') ? 0 : heads.length - 1));
  const dim = sizes.dim * 2 ** stage;
  switch (layer) {
    case 'attn.relative_position_bias_table':
      return [biasRows(windows[stage]!), heads[stage]!];
    case 'downsample.norm.weight':
    case 'downsample.norm.bias':
      return [4 * dim];
    case 'downsample.reduction.weight':
      return [2 * dim, 4 * dim];
    default:
      return commonShape(layer, { ...sizes, dim, mlpDim: sizes.mlpDim * 2 ** stage });
  }
}

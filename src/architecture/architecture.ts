import type { Gelu } from '../layers/gelu/layer.js';

/** The shapes of the models, with the terms as timm defines them. */

/** DeiT and ViT have the same tensors but different preprocessing. */
export type Family = VitFamily | 'swin';
/** The families with one resolution. */
export type VitFamily = 'deit' | 'vit';

/** What all families have. */
export interface CommonArchitecture {
  /** timm's name, else the config's, else `deit_custom`, `vit_custom` or `swin_custom`. */
  readonly name: string;
  /** Side length in pixels, a multiple of `patchSize`. */
  readonly imageSize: number;
  /** Side length of a patch in pixels. */
  readonly patchSize: number;
  /** 0 for a backbone, which has no head. */
  readonly classes: number;
  /** Default: `exact`. */
  readonly gelu?: Gelu;
}

/** A DeiT or ViT: all blocks work at one resolution. */
export interface VitArchitecture extends CommonArchitecture {
  /** Which preprocessing it was trained with. */
  readonly family: VitFamily;
  /** Channels of a token. */
  readonly dim: number;
  /** Number of blocks. */
  readonly depth: number;
  /** Heads of each block. */
  readonly heads: number;
  /** Hidden channels of the MLPs. */
  readonly mlpDim: number;
  /** Tokens before the patches: class token, distillation token, registers. Default: 1. */
  readonly prefix?: number;
  /** Default: `token`. */
  readonly pool?: VitPool;
}

/**
 * What the head reads: the class token; the class and distillation tokens, concatenated; the mean
 * of the patches after the last LayerNorm; or that mean before it.
 */
export type VitPool = 'token' | 'two-tokens' | 'mean' | 'mean-before-norm';
export const VIT_POOLS: readonly VitPool[] = ['token', 'two-tokens', 'mean', 'mean-before-norm'];

/** A Swin: each stage has half the resolution and twice the channels of the one before. */
export interface SwinArchitecture extends CommonArchitecture {
  /** The family of this interface. */
  readonly family: 'swin';
  /** Channels of the first stage. */
  readonly dim: number;
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  /** Heads of each stage. */
  readonly heads: readonly number[];
  /** Hidden channels of the MLPs of the first stage. */
  readonly mlpDim: number;
  /** Window side in tokens; a stage with a smaller map uses the whole map as its window. */
  readonly window: number;
  /** The same for each stage, if they differ. */
  readonly windows?: readonly number[];
}

/** Family and sizes of a model; `family` tells which of the two. */
export type Architecture = VitArchitecture | SwinArchitecture;

/** Number of tokens of a DeiT or ViT: those before the patches, and one per patch. */
export function tokenCount({
  imageSize,
  patchSize,
  prefix = 1,
}: Pick<VitArchitecture, 'imageSize' | 'patchSize' | 'prefix'>): number {
  return (imageSize / patchSize) ** 2 + prefix;
}

/** How many of the first tokens the head reads; 0 if it reads a mean. */
export function pooledTokens(
  architecture: Pick<VitArchitecture, 'family' | 'pool'> | { family: 'swin' },
): number {
  if (architecture.family === 'swin') return 0;
  return { token: 1, 'two-tokens': 2, mean: 0, 'mean-before-norm': 0 }[architecture.pool ?? 'token'];
}

/** The quantiser of the features, that is, of the input of the head. */
export function featuresName(
  architecture: Pick<VitArchitecture, 'family' | 'pool'> | { family: 'swin' },
): string {
  return architecture.family === 'swin' || architecture.pool === 'mean' ? 'pooled' : 'norm.out';
}

/** One stage of a Swin. */
export interface SwinStage {
  /** Prefix of its tensors, such as `layers.0`. */
  readonly name: string;
  readonly dim: number;
  readonly mlpDim: number;
  readonly depth: number;
  readonly heads: number;
  /** Side of its map, in tokens. */
  readonly side: number;
  /** Side of its windows, in tokens: at most `side`. */
  readonly window: number;
  /** Cyclic shift of its odd blocks, in tokens; 0 if one window covers the whole map. */
  readonly shift: number;
}

/** The stages of a Swin, from first to last. */
export function swinStages(architecture: Omit<SwinArchitecture, 'family' | 'name' | 'classes'>): SwinStage[] {
  const { imageSize, patchSize, dim, mlpDim, depths, heads, window, windows } = architecture;
  return depths.map((depth, i) => {
    const side = imageSize / patchSize / 2 ** i;
    const own = windows?.[i] ?? window;
    return {
      name: `layers.${i}`,
      dim: dim * 2 ** i,
      mlpDim: mlpDim * 2 ** i,
      depth,
      heads: heads[i]!,
      side,
      window: Math.min(own, side),
      shift: side > own ? Math.floor(own / 2) : 0,
    };
  });
}

/**
 * Rows of a relative position bias table: offsets from -(window - 1) to window - 1 on both axes.
 */
export function biasRows(window: number): number {
  return (2 * window - 1) ** 2;
}

/** The largest Swin that runs: far above every published one, but with bounded memory and time. */
export const SWIN_LIMITS = {
  stages: 8,
  /** Blocks per stage. */
  depth: 256,
  /** Window side in tokens. */
  window: 64,
  /** Patches of the first map. */
  patches: 65536,
};

/**
 * Describes the first stage whose map does not divide into windows or cannot be merged.
 *
 * @returns undefined if all stages fit
 */
export function stageFault(
  architecture: Omit<SwinArchitecture, 'family' | 'name' | 'classes'>,
): string | undefined {
  const stages = swinStages(architecture);
  const { window: widest, patches } = SWIN_LIMITS;
  if (stages[0]!.side ** 2 > patches)
    return `expected at most ${patches} patches, found ${stages[0]!.side ** 2}`;
  for (const [i, { side, window }] of stages.entries()) {
    if (window > widest)
      return `expected windows of at most ${widest}×${widest} tokens, found ${window}×${window}`;
    if (!Number.isInteger(side)) return `stage ${i} has a map of ${side}×${side} tokens`;
    if (side % window !== 0)
      return `stage ${i} has a map of ${side}×${side} tokens, which does not divide into windows of ${window}×${window}`;
    if (i + 1 < stages.length && side % 2 !== 0)
      return `stage ${i} has a map of ${side}×${side} tokens, which cannot be merged 2×2`;
  }
  return undefined;
}

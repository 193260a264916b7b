/** The shapes of the models, in timm's meanings. */

/** How a model is built and was trained: DeiT and ViT have the same tensors and other preprocessing. */
export type Family = VitFamily | 'swin';
/** The families with one resolution. */
export type VitFamily = 'deit' | 'vit';

/** What all families have. */
export interface CommonArchitecture {
  /** timm's name where it has one, else the config's, else `deit_custom`, `vit_custom` or `swin_custom`. */
  readonly name: string;
  /** Pixels of a side, a multiple of `patchSize`. */
  readonly imageSize: number;
  /** Side length of a patch in pixels. */
  readonly patchSize: number;
  /** 0 of a backbone, which has no head. */
  readonly classes: number;
  /** `exact` where absent. */
  readonly gelu?: Gelu;
}

/** A DeiT or ViT: one resolution. */
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
  /** Tokens before the patches: class token, distillation token, registers. 1 where absent. */
  readonly prefix?: number;
  /** `token` where absent. */
  readonly pool?: VitPool;
}

/**
 * What the head reads: the class token; it and the distillation token, side by side; the mean of the patches behind the last LayerNorm,
 * or before it.
 */
export type VitPool = 'token' | 'two-tokens' | 'mean' | 'mean-before-norm';
export const VIT_POOLS: readonly VitPool[] = ['token', 'two-tokens', 'mean', 'mean-before-norm'];

/** The function between the two layers of an MLP: exact; by tanh; x·sigmoid(1.702 x). */
export type Gelu = 'exact' | 'tanh' | 'quick';
export const GELUS: readonly Gelu[] = ['exact', 'tanh', 'quick'];

/** A Swin: stages, each with half the resolution and twice the channels of the one before. */
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
  /** Tokens of a window's side, where the stage is as large. */
  readonly window: number;
}

/** Family and sizes of a model; `family` tells which of the two. */
export type Architecture = VitArchitecture | SwinArchitecture;

/** Tokens of a DeiT or ViT: those before the patches and one a patch. */
export function tokenCount({
  imageSize,
  patchSize,
  prefix = 1,
}: Pick<VitArchitecture, 'imageSize' | 'patchSize' | 'prefix'>): number {
  return (imageSize / patchSize) ** 2 + prefix;
}

/** The first tokens that alone make up what the head reads; 0 where it reads a mean. */
export function pooledTokens(
  architecture: Pick<VitArchitecture, 'family' | 'pool'> | { family: 'swin' },
): number {
  if (architecture.family === 'swin') return 0;
  return { token: 1, 'two-tokens': 2, mean: 0, 'mean-before-norm': 0 }[architecture.pool ?? 'token'];
}

/** The quantiser behind the features: what the head reads, or would read. */
export function featuresName(
  architecture: Pick<VitArchitecture, 'family' | 'pool'> | { family: 'swin' },
): string {
  return architecture.family === 'swin' || architecture.pool === 'mean' ? 'pooled' : 'norm.out';
}

/** One stage of a Swin. */
export interface SwinStage {
  /** Of its tensors: `layers.0`. */
  readonly name: string;
  readonly dim: number;
  readonly mlpDim: number;
  readonly depth: number;
  readonly heads: number;
  /** Tokens of the side of its map. */
  readonly side: number;
  /** Tokens of a window's side: the whole map where that is not larger. */
  readonly window: number;
  /** The cyclic shift of its odd blocks, in tokens; 0 where one window is the whole map. */
  readonly shift: number;
}

/** The stages of a Swin, first to last. */
export function swinStages(architecture: Omit<SwinArchitecture, 'family' | 'name' | 'classes'>): SwinStage[] {
  const { imageSize, patchSize, dim, mlpDim, depths, heads, window } = architecture;
  return depths.map((depth, i) => {
    const side = imageSize / patchSize / 2 ** i;
    return {
      name: `layers.${i}`,
      dim: dim * 2 ** i,
      mlpDim: mlpDim * 2 ** i,
      depth,
      heads: heads[i]!,
      side,
      window: Math.min(window, side),
      shift: side > window ? Math.floor(window / 2) : 0,
    };
  });
}

/** Rows of a relative position bias table: the offsets from -(window - 1) to window - 1 in both directions. */
export function biasRows(window: number): number {
  return (2 * window - 1) ** 2;
}

/** The largest Swin that runs: far above every published one, and small enough that memory and time stay bounded. */
export const SWIN_LIMITS = {
  stages: 8,
  /** Of a stage. */
  depth: 256,
  /** Tokens of a window's side. */
  window: 64,
  /** Of the first map. */
  patches: 65536,
};

/** What is wrong with the first stage whose map does not divide into windows, or cannot be merged; undefined if all fit. */
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
      return `stage ${i} has a map of ${side}×${side} tokens, which no window of ${window}×${window} fits`;
    if (i + 1 < stages.length && side % 2 !== 0)
      return `stage ${i} has a map of ${side}×${side} tokens, which cannot be merged 2×2`;
  }
  return undefined;
}

/**
 * The limits of a model: far above every published model, but small enough that no product
 * overflows and no image takes hours.
 */

import { type Architecture, swinStages, tokenCount } from './architecture.js';

/** The limit of each size; `SWIN_LIMITS` has those that apply only to a Swin. */
export const LIMITS = {
  imageSize: 2048,
  patchSize: 64,
  dim: 4096,
  depth: 256,
  mlpDim: 16384,
  classes: 100_000,
  /** Tokens of a DeiT or ViT. */
  tokens: 4097,
  /** Tokens before the patches. */
  prefix: 64,
};

/**
 * Images are resized to imageSize / cropPct before the crop, so this limits the resized side to 100
 * times the model's input.
 */
export const LEAST_CROP = 0.01;

/**
 * Multiply-accumulates of a forward pass. timm's largest supported model,
 * vit_so400m_patch14_siglip_gap_896, needs 3.2e12; one core does about 4e10 per second.
 */
const MAX_MACS = 8e12;

/** The softmax of one attention score takes as long as this many multiply-accumulates. */
const SCORE_MACS = 64;

/**
 * Heads in all windows of all blocks; each takes a few kernel calls. 88 times as many as the
 * largest Swin has.
 */
const MAX_HEADS = 2 ** 18;

interface Stage {
  readonly dim: number;
  readonly mlpDim: number;
  readonly depth: number;
  readonly heads: number;
  /** Windows per image. */
  readonly windows: number;
  /** Tokens per window. */
  readonly tokens: number;
}

/** Describes the size or product of sizes that is too large; undefined if all are acceptable. */
export function workFault(architecture: Architecture): string | undefined {
  const { imageSize } = architecture;
  if (imageSize > LIMITS.imageSize)
    return `expected an image size of at most ${LIMITS.imageSize} pixels, found ${imageSize}`;
  const stages = stagesOf(architecture);
  const heads = sum(stages.map((stage) => stage.depth * stage.windows * stage.heads));
  if (heads > MAX_HEADS)
    return `expected at most ${MAX_HEADS} heads in all windows of all blocks, found ${heads}: ${factors(stages)}`;
  const macs = macsOf(architecture);
  if (macs > MAX_MACS)
    return `expected at most ${MAX_MACS} multiply-accumulates per image, found ${macs}: ${factors(stages)}`;
  return undefined;
}

/** Multiply-accumulates per image. Assumes attention of all tokens in every block. */
export function macsOf(architecture: Architecture): number {
  const blocks = stagesOf(architecture).map(({ dim, mlpDim, depth, heads, windows, tokens }) => {
    const layers = dim * (4 * dim + 2 * mlpDim);
    const attention = tokens * (2 * dim + SCORE_MACS * heads);
    return depth * windows * tokens * (layers + attention);
  });
  return 3 * architecture.imageSize ** 2 * architecture.dim + sum(blocks);
}

/** Describes the first stage, which is the largest. */
function factors([stage]: readonly Stage[]): string {
  const { dim, mlpDim, depth, heads, windows, tokens } = stage!;
  return `${depth} blocks × ${windows} windows × ${tokens} tokens × ${heads} heads, dim ${dim}, MLP ${mlpDim}`;
}

function stagesOf(architecture: Architecture): readonly Stage[] {
  if (architecture.family !== 'swin') {
    return [{ ...architecture, windows: 1, tokens: tokenCount(architecture) }];
  }
  return swinStages(architecture).map((stage) => ({
    ...stage,
    windows: (stage.side / stage.window) ** 2,
    tokens: stage.window ** 2,
  }));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

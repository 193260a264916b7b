/** What a model may ask for: far above every published one, and small enough that no product overflows and none goes on for hours. */

import { type Architecture, swinStages, tokenCount } from './architecture.js';

/** Of each size by itself; `SWIN_LIMITS` has those of a Swin alone. */
export const LIMITS = {
  imageSize: 2048,
  patchSize: 64,
  dim: 4096,
  depth: 256,
  mlpDim: 16384,
  classes: 100_000,
  /** Of a DeiT or ViT. */
  tokens: 4097,
  /** Of them before the patches. */
  prefix: 64,
};

/** A picture is resized to imageSize / cropPct before it is cropped: at most a hundred times what the model sees. */
export const LEAST_CROP = 0.01;

/**
 * Of the products of a forward pass. The largest model that timm has and that runs here, vit_so400m_patch14_siglip_gap_896, needs
 * 3.2e12; a core does some 4e10 a second.
 */
const MAX_MACS = 8e12;

/** An attention score counts as so many: a softmax takes as long. */
const SCORE_MACS = 64;

/** Heads in the windows of all blocks, each a few kernel calls: 88 times those of the largest Swin. */
const MAX_HEADS = 2 ** 18;

interface Stage {
  readonly dim: number;
  readonly mlpDim: number;
  readonly depth: number;
  readonly heads: number;
  /** Of an image, and the tokens of each. */
  readonly windows: number;
  readonly tokens: number;
}

/** Which size or product of sizes is too large, with its factors; undefined where none is. */
export function workFault(architecture: Architecture): string | undefined {
  const { imageSize } = architecture;
  if (imageSize > LIMITS.imageSize)
    return `expected images of at most ${LIMITS.imageSize} pixels a side, found ${imageSize}`;
  const stages = stagesOf(architecture);
  const heads = sum(stages.map((stage) => stage.depth * stage.windows * stage.heads));
  if (heads > MAX_HEADS)
    return `expected at most ${MAX_HEADS} heads in all windows of all blocks, found ${heads}: ${factors(stages)}`;
  const macs = macsOf(architecture);
  if (macs > MAX_MACS)
    return `expected at most ${MAX_MACS} multiply-accumulates an image, found ${macs}: ${factors(stages)}`;
  return undefined;
}

/** Multiply-accumulates of an image, with the attention of all tokens in every block. */
export function macsOf(architecture: Architecture): number {
  const blocks = stagesOf(architecture).map(({ dim, mlpDim, depth, heads, windows, tokens }) => {
    const layers = dim * (4 * dim + 2 * mlpDim);
    const attention = tokens * (2 * dim + SCORE_MACS * heads);
    return depth * windows * tokens * (layers + attention);
  });
  return 3 * architecture.imageSize ** 2 * architecture.dim + sum(blocks);
}

/** Of the first stage, the largest. */
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

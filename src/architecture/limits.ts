/**
 * The limits of a float model's sizes: those that an integer model of its kind would meet
 * (limits.ts), so that the quantiser refuses it before calibration.
 */

import { LIMITS } from '../layers/limits.js';
import { type Architecture, swinStages, tokenCount } from './architecture.js';

/** The limit of each size; `SWIN_LIMITS` has those that apply only to a Swin. */
export const SIZE_LIMITS = {
  dim: 4096,
  depth: 256,
  mlpDim: 16384,
  classes: 100_000,
  /** Tokens of a DeiT or ViT. */
  tokens: 4097,
};

/** The softmax of one attention score takes as long as this many multiply-accumulates. */
const SCORE_MACS = 64;

/** Heads in all windows of all blocks, each of which has two layers with heads. */
const MAX_HEADS = LIMITS.heads / 2;

interface StageSizes {
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
  if (macs > LIMITS.work)
    return `expected at most ${LIMITS.work} multiply-accumulates per image, found ${macs}: ${factors(stages)}`;
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
function factors([stage]: readonly StageSizes[]): string {
  const { dim, mlpDim, depth, heads, windows, tokens } = stage!;
  return `${depth} blocks × ${windows} windows × ${tokens} tokens × ${heads} heads, dim ${dim}, MLP ${mlpDim}`;
}

function stagesOf(architecture: Architecture): readonly StageSizes[] {
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

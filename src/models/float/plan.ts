import type { FloatArchitecture } from '../../checkpoint/float-model.js';
import type { MemoryPlan } from '../../runtime/memory.js';
import type { ParameterPlan } from './parameters.js';

/** The blocks of one resolution. A DeiT or ViT is one stage, its attention one window. */
export interface StageShape {
  readonly dim: number;
  readonly mlpDim: number;
  readonly heads: number;
  /** Windows of an image. */
  readonly windows: number;
  /** Tokens of a window. */
  readonly tokens: number;
}

/**
 * The addresses of a float forward pass over `batch` images, without the layers' parameters.
 * B = batch, W = windows, N = tokens of a window, C = dim, S = image side.
 *
 * A region serves several tensors that do not live at the same time, sized for the largest stage:
 *   stream  residual stream                                    [B, W·N, C]
 *   normed  patch embeddings; LayerNorm outputs; attention·V    [B, W·N, C]
 *   branch  [cls; patches]; outputs of proj and fc2             [B, W·N, C]
 *   wide    normalised pixels; q, k, v; hidden layer of the MLP
 *   square  gathered patches; attention scores and probabilities [B·W, heads, N, N]
 */
export interface FloatPlan {
  readonly batch: number;
  /** f32 [3][256]: the normalised value of every byte of every channel. */
  readonly pixelTable: number;
  /** uint8 [S, S, 3] of one image. */
  readonly image: number;
  readonly stream: number;
  readonly normed: number;
  readonly branch: number;
  readonly wide: number;
  readonly square: number;
  /** k or v of one head as panels. */
  readonly panels: number;
  /** The head's input: f32 [B, C] of the last stage, or [B, 2·C]. */
  readonly features: number;
  /** f32 [B, classes] */
  readonly logits: number;
  readonly scratch: number;
  readonly scratchBytes: number;
}

/** Plans the memory for up to `batch` images, once the network has planned its parameters. */
export function planFloat(
  { imageSize, classes }: FloatArchitecture,
  stages: readonly StageShape[],
  parameters: ParameterPlan,
  batch: number,
  layout: MemoryPlan,
): FloatPlan {
  const floats = (count: number) => layout.reserve(4 * count);
  const most = (size: (stage: StageShape) => number) => Math.max(...stages.map(size));
  const pixels = imageSize ** 2 * 3;
  const map = most(({ windows, tokens, dim }) => windows * tokens * dim);
  const wide = most(({ windows, tokens, dim, mlpDim }) => windows * tokens * Math.max(3 * dim, mlpDim));
  const square = most(({ windows, tokens, heads }) => windows * heads * tokens ** 2);
  const deepest = most(({ tokens }) => Math.max(parameters.widest, tokens));
  const channels = most(({ dim }) => dim);
  const scratchBytes = scratchSize(deepest, channels);
  return {
    batch,
    pixelTable: parameters.pixelTable(),
    image: layout.reserve(pixels),
    stream: floats(batch * map),
    normed: floats(batch * map),
    branch: floats(batch * map),
    wide: floats(batch * Math.max(pixels, wide)),
    square: floats(batch * Math.max(pixels, square)),
    panels: floats(most(panelSize)),
    features: floats(2 * batch * channels),
    logits: floats(batch * classes),
    scratch: layout.reserve(scratchBytes),
    scratchBytes,
  };
}

function panelSize({ tokens, dim, heads }: StageShape): number {
  const headDim = dim / heads;
  return Math.max(round8(tokens) * headDim, tokens * round8(headDim));
}

/**
 * Room for the products (assembly/float/gemm.ts: a chunk of 128 KiB or four rows, and a tile), for
 * eight rows of a weight, and for one f64 per channel.
 */
function scratchSize(deepest: number, channels: number): number {
  return Math.max(131072 + 128, 4 * 8 * deepest) + 8 * channels;
}

function round8(n: number): number {
  return 8 * Math.ceil(n / 8);
}

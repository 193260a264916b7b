import type { FloatArchitecture, FloatModel } from '../../checkpoint/float-model.js';
import { MemoryPlan } from '../../runtime/memory.js';
import { type ParameterPlaces, placeParameters, widestInput } from './parameters.js';

/**
 * Every address of a float forward pass over `batch` images. B = batch, N = tokens, C = dim, S = image side.
 *
 * A region serves several tensors whose lives do not overlap:
 *   stream  residual stream                                   [B, N, C]
 *   normed  patch embeddings; LayerNorm outputs; attention·V   [B, N, C]
 *   branch  [cls; patches]; outputs of proj and fc2            [B, N, C]
 *   wide    normalised pixels; q, k, v; hidden layer of the MLP
 *   square  gathered patches; attention scores and probabilities [B, heads, N, N]
 */
export interface FloatPlan {
  readonly batch: number;
  readonly tokens: number;
  readonly patches: number;
  readonly headDim: number;
  readonly parameters: ParameterPlaces;
  readonly layout: MemoryPlan;
  /** uint8 [S, S, 3] of one image. */
  readonly image: number;
  readonly stream: number;
  readonly normed: number;
  readonly branch: number;
  readonly wide: number;
  readonly square: number;
  /** k or v of one head as panels. */
  readonly panels: number;
  /** f32 [B, C] */
  readonly cls: number;
  /** f32 [B, classes] */
  readonly logits: number;
  readonly scratch: number;
  readonly scratchBytes: number;
}

/**
 * Plans the memory of a float model for batches of up to `batch` images.
 *
 * @throws QuantizeError `MODEL_TENSOR` where a tensor is missing or has another size.
 */
export function planFloatModel(model: FloatModel, batch: number): FloatPlan {
  const { imageSize, patchSize, dim, heads, mlpDim, classes } = model.architecture;
  const patches = (imageSize / patchSize) ** 2;
  const tokens = patches + 1;
  const headDim = dim / heads;
  const pixels = imageSize ** 2 * 3;
  const scratchBytes = scratchSize(model.architecture, tokens);
  const layout = new MemoryPlan();
  const floats = (count: number) => layout.reserve(4 * count);
  return {
    batch,
    tokens,
    patches,
    headDim,
    parameters: placeParameters(model, layout),
    image: layout.reserve(pixels),
    stream: floats(batch * tokens * dim),
    normed: floats(batch * tokens * dim),
    branch: floats(batch * tokens * dim),
    wide: floats(batch * Math.max(pixels, tokens * 3 * dim, tokens * mlpDim)),
    square: floats(batch * Math.max(pixels, heads * tokens * tokens)),
    panels: floats(Math.max(round8(tokens) * headDim, tokens * round8(headDim))),
    cls: floats(batch * dim),
    logits: floats(batch * classes),
    scratch: layout.reserve(scratchBytes),
    scratchBytes,
    layout,
  };
}

/**
 * Room for the products (assembly/float/gemm.ts: a chunk of 128 KiB or four rows, and a tile), for eight rows of a
 * weight, and for one f64 a channel.
 */
function scratchSize(architecture: FloatArchitecture, tokens: number): number {
  const widest = Math.max(widestInput(architecture), tokens);
  return Math.max(131072 + 128, 4 * 8 * widest) + 8 * architecture.dim;
}

function round8(n: number): number {
  return 8 * Math.ceil(n / 8);
}

import {
  biasRows,
  type SwinArchitecture,
  type SwinStage,
  swinStages,
} from '../../checkpoint/architecture.js';
import type { Pass } from '../passes.js';
import { windowEdge } from '../windows.js';
import type { BlockPlaces, LinearPlace, NormPlace, ParameterPlan } from './parameters.js';
import type { FloatNetwork, FloatPass } from './pass.js';
import type { StageShape } from './plan.js';
import { biasOfPairs, shiftMasks } from './windows.js';

/** A stage: the shape of its map and windows, and the addresses of its parameters. */
interface StagePlaces extends SwinStage, StageShape {
  readonly blocks: readonly SwinBlockPlaces[];
  /** f32 [3][N, N]: the masks at the right edge, the bottom edge, and both; 0 without a shift. */
  readonly masks: number;
  /** Parameters of the patch merging after the stage; the last stage has none. */
  readonly merge?: { readonly norm: NormPlace; readonly reduction: LinearPlace };
}

interface SwinBlockPlaces extends BlockPlaces {
  /** f32 [(2w-1)², heads] */
  readonly table: number;
  /** The table's entry for every pair of tokens: f32 [heads, N, N]. */
  readonly bias: number;
}

/** Swin (arXiv 2103.14030), with the quantisers of the simulator of arXiv 2111.13824. */
export class FloatSwin implements FloatNetwork {
  readonly stages: readonly StagePlaces[];
  readonly #architecture: SwinArchitecture;
  readonly #patch: LinearPlace;
  readonly #patchNorm: NormPlace;
  readonly #norm: NormPlace;
  readonly #head: LinearPlace | undefined;

  constructor(architecture: SwinArchitecture, parameters: ParameterPlan) {
    const { dim, patchSize, classes } = architecture;
    const stages = swinStages(architecture);
    const lastDim = stages.at(-1)!.dim;
    this.#architecture = architecture;
    this.#patch = parameters.patchEmbedding(patchSize, dim);
    this.#patchNorm = parameters.norm('patch_embed.norm', dim);
    this.stages = stages.map((stage, i) => placeStage(stage, i === stages.length - 1, parameters));
    this.#norm = parameters.norm('norm', lastDim);
    this.#head = classes > 0 ? parameters.linear('head', lastDim, classes) : undefined;
  }

  *forward(pass: FloatPass): Pass<void> {
    yield* this.#stem(pass);
    for (const stage of this.stages) {
      for (const [n, block] of stage.blocks.entries()) {
        const name = `${stage.name}.blocks.${n}`;
        yield* this.#attention(pass, block, name, stage, n % 2 === 1 ? stage.shift : 0);
        yield* pass.mlp(block, name, stage);
      }
      yield* this.#merge(pass, stage);
    }
    yield* this.#tail(pass);
  }

  /** Patch convolution and LayerNorm: from `wide` to the residual stream. */
  *#stem(pass: FloatPass): Pass<void> {
    const { batch, emit } = pass;
    const { normed, stream } = pass.plan;
    const { imageSize, patchSize, dim } = this.#architecture;
    const patches = (imageSize / patchSize) ** 2;
    yield* pass.embedPatches(this.#patch, imageSize, patchSize);
    emit('patch_embed.conv.out', normed, [batch, patches, dim]);
    pass.norm(normed, this.#patchNorm, stream, batch * patches);
    emit('stem.out', stream, [batch, patches, dim]);
  }

  /**
   * x + proj(softmax(q·kᵀ d^-½ + bias + mask)·v) with q, k, v of LayerNorm(x), in window order
   * between the LayerNorm, which reads the map in that order, and the addition, which writes it.
   */
  *#attention(
    pass: FloatPass,
    { norm1, qkv, table, bias, proj }: SwinBlockPlaces,
    name: string,
    stage: StagePlaces,
    shift: number,
  ): Pass<void> {
    const { kernels, batch, emit, eps } = pass;
    const { stream, normed, branch, wide, square } = pass.plan;
    const { dim, heads, side, window, windows, tokens } = stage;
    const { gamma, beta } = norm1;
    const all = batch * windows;
    const rows = all * tokens;
    kernels.layerNormWindows(stream, gamma, beta, normed, batch, side, window, shift, dim, eps);
    emit(`${name}.norm1.out`, normed, [all, tokens, dim]);
    yield* pass.linear(normed, qkv, wide, rows);
    emit(`${name}.attn.qkv.out`, wide, [all, tokens, 3 * dim]);
    yield* pass.scores(stage);
    emit(`${name}.attn.qk`, square, [all, heads, tokens, tokens]);
    emit(`${name}.attn.bias_table`, table, [1, biasRows(window), heads]);
    kernels.addRepeated(square, bias, all, heads * tokens ** 2);
    emit(`${name}.attn.scores`, square, [all, heads, tokens, tokens]);
    if (shift > 0) this.#mask(pass, stage);
    yield* pass.softmax(stage);
    emit(`${name}.attn.probs`, square, [all, heads, tokens, tokens]);
    yield* pass.context(stage);
    emit(`${name}.attn.context`, normed, [all, tokens, dim]);
    yield* pass.linear(normed, proj, branch, rows);
    emit(`${name}.attn.proj.out`, branch, [all, tokens, dim]);
    kernels.addWindows(stream, branch, batch, side, window, shift, dim);
    emit(`${name}.residual1.out`, stream, [batch, side ** 2, dim]);
  }

  /** Adds the shift mask to the scores of the windows at the right and the bottom edge. */
  #mask(
    { kernels, batch, plan }: FloatPass,
    { side, window, heads, windows, tokens, masks }: StagePlaces,
  ): void {
    const across = side / window;
    const area = tokens ** 2;
    for (let w = 0; w < batch * windows; w++) {
      const edge = windowEdge(w % windows, across);
      if (edge === 0) continue;
      const mask = masks + 4 * (edge - 1) * area;
      kernels.addRepeated(plan.square + 4 * w * heads * area, mask, heads, area);
    }
  }

  /** Patch merging: half the side, twice the channels. */
  *#merge(pass: FloatPass, { name, side, dim, merge }: StagePlaces): Pass<void> {
    if (merge === undefined) return;
    const { kernels, batch, emit, eps } = pass;
    const { stream, normed } = pass.plan;
    const { gamma, beta } = merge.norm;
    const patches = (side / 2) ** 2;
    kernels.layerNormMerged(stream, gamma, beta, normed, batch, side, dim, eps);
    emit(`${name}.downsample.norm.out`, normed, [batch, patches, 4 * dim]);
    yield* pass.linear(normed, merge.reduction, stream, batch * patches);
    emit(`${name}.downsample.reduction.out`, stream, [batch, patches, 2 * dim]);
  }

  /** LayerNorm of all tokens, their mean, then the head. */
  *#tail(pass: FloatPass): Pass<void> {
    const { kernels, batch, emit } = pass;
    const { stream, normed, features, logits } = pass.plan;
    const { side, dim } = this.stages.at(-1)!;
    pass.norm(stream, this.#norm, normed, batch * side ** 2);
    emit('norm.out', normed, [batch, side ** 2, dim]);
    kernels.meanRows(normed, features, batch, side ** 2, dim);
    emit('pooled', features, [batch, dim]);
    if (this.#head === undefined) return;
    yield* pass.linear(features, this.#head, logits, batch);
    emit('logits', logits, [batch, this.#architecture.classes]);
  }
}

function placeStage(stage: SwinStage, last: boolean, parameters: ParameterPlan): StagePlaces {
  const { name, dim, depth, heads, side, window, shift } = stage;
  const blocks = Array.from({ length: depth }, (_, n) => {
    const table = parameters.tensor(
      `${name}.blocks.${n}.attn.relative_position_bias_table`,
      biasRows(window) * heads,
    );
    return {
      ...parameters.block(`${name}.blocks.${n}`, stage),
      table: parameters.values(table),
      bias: parameters.computed(heads * window ** 4, () => biasOfPairs(table, window, heads)),
    };
  });
  return {
    ...stage,
    windows: (side / window) ** 2,
    tokens: window ** 2,
    blocks,
    masks: shift > 0 ? parameters.computed(3 * window ** 4, () => shiftMasks(window, shift)) : 0,
    ...(last
      ? {}
      : {
          merge: {
            norm: parameters.norm(`${name}.downsample.norm`, 4 * dim),
            reduction: parameters.linear(`${name}.downsample.reduction`, 4 * dim, 2 * dim, { bias: false }),
          },
        }),
  };
}

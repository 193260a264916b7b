import { pooledTokens, tokenCount, type VitArchitecture } from '../../checkpoint/architecture.js';
import type { Pass } from '../passes.js';
import type { BlockPlaces, LinearPlace, NormPlace, ParameterPlan } from './parameters.js';
import type { FloatNetwork, FloatPass } from './pass.js';
import type { StageShape } from './plan.js';

/**
 * DeiT and ViT (arXiv 2010.11929, section 3.1), with the quantisers of Figure 2 of arXiv
 * 2111.13824.
 */
export class FloatVit implements FloatNetwork {
  readonly stages: readonly [StageShape];
  readonly #architecture: VitArchitecture;
  readonly #patch: LinearPlace;
  /** The tokens before the patches: f32 [prefix, dim]. */
  readonly #prefix: number;
  /** f32 [tokens, dim] */
  readonly #position: number;
  readonly #blocks: readonly BlockPlaces[];
  readonly #norm: NormPlace;
  /** Channels that the head reads. */
  readonly #features: number;
  readonly #head: LinearPlace | undefined;

  constructor(architecture: VitArchitecture, parameters: ParameterPlan) {
    const { dim, depth, heads, mlpDim, patchSize, classes, prefix = 1 } = architecture;
    const tokens = tokenCount(architecture);
    this.#architecture = architecture;
    this.stages = [{ dim, mlpDim, heads, windows: 1, tokens }];
    this.#patch = parameters.patchEmbedding(patchSize, dim);
    this.#prefix = prefix > 0 ? parameters.values(parameters.tensor('cls_token', prefix * dim)) : 0;
    this.#position = parameters.values(parameters.tensor('pos_embed', tokens * dim));
    this.#blocks = Array.from({ length: depth }, (_, n) => parameters.block(`blocks.${n}`, { dim, mlpDim }));
    this.#norm = parameters.norm('norm', dim);
    this.#features = dim * Math.max(1, pooledTokens(architecture));
    this.#head = classes > 0 ? parameters.linear('head', this.#features, classes) : undefined;
  }

  *forward(pass: FloatPass): Pass<void> {
    const [stage] = this.stages;
    const last = this.#blocks.length - 1;
    const pooled = pooledTokens(this.#architecture);
    const kept = pass.observed || pooled === 0 ? stage.tokens : pooled;
    yield* this.#stem(pass, stage);
    for (const [n, block] of this.#blocks.entries()) {
      const queries = n === last ? kept : stage.tokens;
      yield* this.#attention(pass, block, `blocks.${n}`, stage, queries);
      yield* pass.mlp(block, `blocks.${n}`, { ...stage, tokens: queries });
    }
    yield* this.#tail(pass, kept);
  }

  /** Patch convolution, tokens before the patches, position: from `wide` to the residual stream. */
  *#stem(pass: FloatPass, { tokens, dim }: StageShape): Pass<void> {
    const { kernels, memory, batch, emit } = pass;
    const { normed, branch, stream } = pass.plan;
    const { imageSize, patchSize, prefix = 1 } = this.#architecture;
    const patches = tokens - prefix;
    yield* pass.embedPatches(this.#patch, imageSize, patchSize);
    emit('patch_embed.out', normed, [batch, patches, dim]);

    const rowBytes = 4 * dim;
    const heap = new Uint8Array(memory.buffer);
    for (let b = 0; b < batch; b++) {
      const first = branch + b * tokens * rowBytes;
      const patchRows = normed + b * patches * rowBytes;
      heap.copyWithin(first, this.#prefix, this.#prefix + prefix * rowBytes);
      heap.copyWithin(first + prefix * rowBytes, patchRows, patchRows + patches * rowBytes);
    }
    emit('tokens', branch, [batch, tokens, dim]);
    emit('pos_embed', this.#position, [1, tokens, dim]);
    for (let b = 0; b < batch; b++) {
      const offset = b * tokens * rowBytes;
      kernels.add(branch + offset, this.#position, stream + offset, tokens * dim);
    }
    emit('stem.out', stream, [batch, tokens, dim]);
  }

  /**
   * x + proj(softmax(q·kᵀ d^-½)·v) with q, k, v of LayerNorm(x), for the first `queries` tokens of
   * every image: all tokens, or those that the head reads. Only these stay in the residual stream.
   */
  *#attention(
    pass: FloatPass,
    { norm1, qkv, proj }: BlockPlaces,
    name: string,
    stage: StageShape,
    queries: number,
  ): Pass<void> {
    const { kernels, batch, emit } = pass;
    const { stream, normed, branch, wide, square } = pass.plan;
    const { dim, heads, tokens } = stage;
    pass.norm(stream, norm1, normed, batch * tokens);
    emit(`${name}.norm1.out`, normed, [batch, tokens, dim]);
    yield* pass.linear(normed, qkv, wide, batch * tokens);
    emit(`${name}.attn.qkv.out`, wide, [batch, tokens, 3 * dim]);
    yield* pass.scores(stage, queries);
    emit(`${name}.attn.scores`, square, [batch, heads, queries, tokens]);
    yield* pass.softmax(stage, queries);
    emit(`${name}.attn.probs`, square, [batch, heads, queries, tokens]);
    yield* pass.context(stage, queries);
    emit(`${name}.attn.context`, normed, [batch, queries, dim]);
    yield* pass.linear(normed, proj, branch, batch * queries);
    emit(`${name}.attn.proj.out`, branch, [batch, queries, dim]);
    if (queries < tokens) keepTokens(pass, stage, queries);
    kernels.add(stream, branch, stream, batch * queries * dim);
    emit(`${name}.residual1.out`, stream, [batch, queries, dim]);
  }

  /** LayerNorm of the head's input, then the head. The stream has `tokens` tokens per image. */
  *#tail(pass: FloatPass, tokens: number): Pass<void> {
    const { emit, batch } = pass;
    const { features, logits } = pass.plan;
    const { pool = 'token', classes, dim } = this.#architecture;
    if (pool === 'mean') this.#meanOfNorm(pass, tokens);
    else if (pool === 'mean-before-norm') this.#normOfMean(pass, tokens);
    else this.#normOfTokens(pass, tokens, this.#features / dim);
    if (this.#head === undefined) return;
    yield* pass.linear(features, this.#head, logits, batch);
    emit('logits', logits, [batch, classes]);
  }

  #normOfTokens({ kernels, batch, emit, eps, plan }: FloatPass, tokens: number, pooled: number): void {
    const { dim } = this.#architecture;
    const { gamma, beta } = this.#norm;
    for (let b = 0; b < batch; b++) {
      const row = plan.stream + 4 * b * tokens * dim;
      kernels.layerNorm(row, dim, gamma, beta, plan.features + 4 * b * pooled * dim, pooled, dim, eps);
    }
    emit('norm.out', plan.features, pooled > 1 ? [batch, pooled, dim] : [batch, dim]);
  }

  #meanOfNorm(pass: FloatPass, tokens: number): void {
    const { dim } = this.#architecture;
    const { batch, emit } = pass;
    const { stream, normed } = pass.plan;
    pass.norm(stream, this.#norm, normed, batch * tokens);
    emit('norm.out', normed, [batch, tokens, dim]);
    this.#mean(pass, normed, tokens);
  }

  #normOfMean(pass: FloatPass, tokens: number): void {
    const { batch, emit } = pass;
    const { stream, features } = pass.plan;
    this.#mean(pass, stream, tokens);
    pass.norm(features, this.#norm, features, batch);
    emit('norm.out', features, [batch, this.#architecture.dim]);
  }

  /** Mean over the patches of each image: [B, tokens, C] -> [B, C]. */
  #mean({ kernels, batch, emit, plan: { features } }: FloatPass, from: number, tokens: number): void {
    const { dim, prefix = 1 } = this.#architecture;
    for (let b = 0; b < batch; b++) {
      const patches = from + 4 * (b * tokens + prefix) * dim;
      kernels.meanRows(patches, features + 4 * b * dim, 1, tokens - prefix, dim);
    }
    emit('pooled', features, [batch, dim]);
  }
}

/**
 * Moves the first `kept` tokens of every image together: [B, N, C] -> [B, kept, C].
 */
function keepTokens(
  { memory, batch, plan: { stream } }: FloatPass,
  { tokens, dim }: StageShape,
  kept: number,
): void {
  const heap = new Uint8Array(memory.buffer);
  for (let b = 1; b < batch; b++) {
    const row = stream + 4 * b * tokens * dim;
    heap.copyWithin(stream + 4 * b * kept * dim, row, row + 4 * kept * dim);
  }
}

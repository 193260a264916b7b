import { tokenCount, type VitArchitecture } from '../../checkpoint/architecture.js';
import type { BlockPlaces, LinearPlace, NormPlace, ParameterPlan } from './parameters.js';
import type { FloatNetwork, FloatPass } from './pass.js';
import type { StageShape } from './plan.js';

/** DeiT and ViT (arXiv 2010.11929, section 3.1), with the quantisers of Figure 2 of arXiv 2111.13824. */
export class FloatVit implements FloatNetwork {
  readonly stages: readonly [StageShape];
  readonly #architecture: VitArchitecture;
  readonly #patch: LinearPlace;
  /** f32 [dim] */
  readonly #cls: number;
  /** f32 [tokens, dim] */
  readonly #position: number;
  readonly #blocks: readonly BlockPlaces[];
  readonly #norm: NormPlace;
  readonly #head: LinearPlace;

  constructor(architecture: VitArchitecture, parameters: ParameterPlan) {
    const { dim, depth, heads, mlpDim, patchSize, classes } = architecture;
    const tokens = tokenCount(architecture);
    this.#architecture = architecture;
    this.stages = [{ dim, mlpDim, heads, windows: 1, tokens }];
    this.#patch = parameters.patchEmbedding(patchSize, dim);
    this.#cls = parameters.values(parameters.tensor('cls_token', dim));
    this.#position = parameters.values(parameters.tensor('pos_embed', tokens * dim));
    this.#blocks = Array.from({ length: depth }, (_, n) => parameters.block(`blocks.${n}`, { dim, mlpDim }));
    this.#norm = parameters.norm('norm', dim);
    this.#head = parameters.linear('head', dim, classes);
  }

  forward(pass: FloatPass): void {
    const [stage] = this.stages;
    const last = this.#blocks.length - 1;
    this.#stem(pass, stage);
    this.#blocks.forEach((block, n) => {
      const queries = n === last && !pass.observed ? 1 : stage.tokens;
      this.#attention(pass, block, `blocks.${n}`, stage, queries);
      pass.mlp(block, `blocks.${n}`, { ...stage, tokens: queries });
    });
    this.#tail(pass, pass.observed ? stage.tokens : 1);
  }

  /** Patch convolution, class token, position: from `wide` to the residual stream. */
  #stem(pass: FloatPass, { tokens, dim }: StageShape): void {
    const { kernels, memory, batch, emit } = pass;
    const { normed, branch, stream } = pass.plan;
    const { imageSize, patchSize } = this.#architecture;
    const patches = tokens - 1;
    pass.embedPatches(this.#patch, imageSize, patchSize);
    emit('patch_embed.out', normed, [batch, patches, dim]);

    const rowBytes = 4 * dim;
    const heap = new Uint8Array(memory.buffer);
    for (let b = 0; b < batch; b++) {
      const first = branch + b * tokens * rowBytes;
      const patchRows = normed + b * patches * rowBytes;
      heap.copyWithin(first, this.#cls, this.#cls + rowBytes);
      heap.copyWithin(first + rowBytes, patchRows, patchRows + patches * rowBytes);
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
   * x + proj(softmax(q·kᵀ d^-½)·v) with q, k, v of LayerNorm(x), for the first `queries` tokens of every image: all or
   * the class token, which alone make up the residual stream thereafter.
   */
  #attention(
    pass: FloatPass,
    { norm1, qkv, proj }: BlockPlaces,
    name: string,
    stage: StageShape,
    queries: number,
  ): void {
    const { kernels, batch, emit } = pass;
    const { stream, normed, branch, wide, square } = pass.plan;
    const { dim, heads, tokens } = stage;
    pass.norm(stream, norm1, normed, batch * tokens);
    emit(`${name}.norm1.out`, normed, [batch, tokens, dim]);
    pass.linear(normed, qkv, wide, batch * tokens);
    emit(`${name}.attn.qkv.out`, wide, [batch, tokens, 3 * dim]);
    pass.scores(stage, queries);
    emit(`${name}.attn.scores`, square, [batch, heads, queries, tokens]);
    pass.softmax(stage, queries);
    emit(`${name}.attn.probs`, square, [batch, heads, queries, tokens]);
    pass.context(stage, queries);
    emit(`${name}.attn.context`, normed, [batch, queries, dim]);
    pass.linear(normed, proj, branch, batch * queries);
    emit(`${name}.attn.proj.out`, branch, [batch, queries, dim]);
    if (queries < tokens) keepClassTokens(pass, stage);
    kernels.add(stream, branch, stream, batch * queries * dim);
    emit(`${name}.residual1.out`, stream, [batch, queries, dim]);
  }

  /** LayerNorm of the class tokens, then the head; the residual stream has `tokens` tokens an image. */
  #tail(pass: FloatPass, tokens: number): void {
    const { kernels, batch, emit, eps } = pass;
    const { stream, features, logits } = pass.plan;
    const { dim, classes } = this.#architecture;
    const { gamma, beta } = this.#norm;
    kernels.layerNorm(stream, tokens * dim, gamma, beta, features, batch, dim, eps);
    emit('norm.out', features, [batch, dim]);
    pass.linear(features, this.#head, logits, batch);
    emit('logits', logits, [batch, classes]);
  }
}

/** Moves the class tokens of the residual stream side by side: [B, N, C] -> [B, C]. */
function keepClassTokens({ memory, batch, plan: { stream } }: FloatPass, { tokens, dim }: StageShape): void {
  const heap = new Uint8Array(memory.buffer);
  for (let b = 1; b < batch; b++) {
    const row = stream + 4 * b * tokens * dim;
    heap.copyWithin(stream + 4 * b * dim, row, row + 4 * dim);
  }
}

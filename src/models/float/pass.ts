import type { Gelu } from '../../checkpoint/architecture.js';
import { ELEMENT_MACS, type Pass, rowGroups } from '../passes.js';
import type { FloatKernels, FloatWorkspace } from './kernels.js';
import type { BlockPlaces, LinearPlace, NormPlace } from './parameters.js';
import type { FloatPlan, StageShape } from './plan.js';

const GELU_KERNELS = { exact: 'gelu', tanh: 'geluTanh', quick: 'geluQuick' } as const;

/** Shows a row-major tensor at `address` under the name of its quantiser. */
export type Emit = (name: string, address: number, shape: readonly number[]) => void;

/** A family's layers over planned memory. */
export interface FloatNetwork {
  readonly stages: readonly StageShape[];
  /**
   * From normalised pixels in `wide` to the logits; shows every quantised tensor in layer order.
   */
  forward(pass: FloatPass): Pass<void>;
}

/**
 * One forward pass over `batch` images: the layers that all families share, over the regions of a
 * plan.
 *
 * Attention is computed for the first `queries` tokens of every window: for all tokens, except in
 * the last block of a DeiT or ViT, after which only the class and distillation tokens are read.
 */
export class FloatPass {
  readonly kernels: FloatKernels;
  readonly memory: WebAssembly.Memory;
  /** Whether anyone observes the tensors, which are then computed in full. */
  readonly observed: boolean;
  readonly emit: Emit;
  readonly #scratch: number;

  constructor(
    { kernels, memory, scratch }: FloatWorkspace,
    readonly plan: FloatPlan,
    readonly batch: number,
    /** The epsilon of every LayerNorm. */
    readonly eps: number,
    readonly gelu: Gelu,
    emit?: Emit,
  ) {
    this.kernels = kernels;
    this.memory = memory;
    this.observed = emit !== undefined;
    this.emit = emit ?? (() => {});
    this.#scratch = scratch;
  }

  /** The patch convolution of the pixels in `wide`: [B, patches, dim] in `normed`. */
  *embedPatches(patch: LinearPlace, imageSize: number, patchSize: number): Pass<void> {
    const { wide, square, normed } = this.plan;
    const imageBytes = 12 * imageSize ** 2;
    this.emit('input', wide, [this.batch, imageSize, imageSize, 3]);
    for (let b = 0; b < this.batch; b++) {
      this.kernels.gatherPatches(wide + b * imageBytes, imageSize, patchSize, square + b * imageBytes);
    }
    yield* this.linear(square, patch, normed, this.batch * (imageSize / patchSize) ** 2);
  }

  /** y = x·Wᵀ + bias over `rows` contiguous rows. */
  *linear(x: number, { inputs, outputs, panels, bias }: LinearPlace, y: number, rows: number): Pass<void> {
    const { kernels } = this;
    for (const [from, count] of rowGroups(rows, inputs * outputs)) {
      const [a, c] = [x + 4 * from * inputs, y + 4 * from * outputs];
      kernels.gemm(a, inputs, panels, bias, c, outputs, count, outputs, inputs, 1, this.#scratch);
      yield;
    }
  }

  /** y = LayerNorm(x) over `rows` contiguous rows. */
  norm(x: number, { width, gamma, beta }: NormPlace, y: number, rows: number): void {
    this.kernels.layerNorm(x, width, gamma, beta, y, rows, width, this.eps);
  }

  /** q·kᵀ d^-½ of every window and head, from `wide` to `square`: [B·W, heads, queries, N]. */
  *scores(stage: StageShape, queries = stage.tokens): Pass<void> {
    const { dim, heads, tokens } = stage;
    const { panels } = this.plan;
    const headDim = dim / heads;
    const scale = headDim ** -0.5;
    for (const { q, square: out } of this.#heads(stage, queries)) {
      this.kernels.packWeights(q + 4 * dim, 3 * dim, panels, tokens, headDim);
      this.kernels.gemm(q, 3 * dim, panels, 0, out, tokens, queries, tokens, headDim, scale, this.#scratch);
      yield;
    }
  }

  /** Scores -> probabilities, in `square`. */
  *softmax({ windows, heads, tokens }: StageShape, queries = tokens): Pass<void> {
    for (const [from, count] of rowGroups(this.batch * windows * heads * queries, ELEMENT_MACS * tokens)) {
      this.kernels.softmax(this.plan.square + 4 * from * tokens, count, tokens);
      yield;
    }
  }

  /** probabilities·v of every window and head, from `square` and `wide`: [B·W, queries, C]. */
  *context(stage: StageShape, queries = stage.tokens): Pass<void> {
    const { dim, heads, tokens } = stage;
    const { panels } = this.plan;
    const headDim = dim / heads;
    for (const { q, square: probabilities, context: out } of this.#heads(stage, queries)) {
      this.kernels.packColumns(q + 8 * dim, 3 * dim, panels, headDim, tokens);
      this.kernels.gemm(
        probabilities,
        tokens,
        panels,
        0,
        out,
        dim,
        queries,
        headDim,
        tokens,
        1,
        this.#scratch,
      );
      yield;
    }
  }

  /**
   * Addresses of q (k and v follow after 4C and 8C bytes), of the [queries, N] square and of the
   * context of every head.
   */
  *#heads(
    { dim, heads, windows, tokens }: StageShape,
    queries: number,
  ): Generator<{ q: number; square: number; context: number }> {
    const { wide, square, normed } = this.plan;
    for (let w = 0; w < this.batch * windows; w++) {
      for (let h = 0; h < heads; h++) {
        const column = 4 * h * (dim / heads);
        yield {
          q: wide + 12 * w * tokens * dim + column,
          square: square + 4 * (w * heads + h) * queries * tokens,
          context: normed + 4 * w * queries * dim + column,
        };
      }
    }
  }

  /** x + fc2(GELU(fc1(LayerNorm(x)))) of the residual stream. */
  *mlp(
    { norm2, fc1, fc2 }: BlockPlaces,
    name: string,
    { dim, mlpDim, windows, tokens }: StageShape,
  ): Pass<void> {
    const { stream, normed, branch, wide } = this.plan;
    const perImage = windows * tokens;
    const rows = this.batch * perImage;
    this.norm(stream, norm2, normed, rows);
    this.emit(`${name}.norm2.out`, normed, [this.batch, perImage, dim]);
    yield* this.linear(normed, fc1, wide, rows);
    for (const [from, count] of rowGroups(rows, ELEMENT_MACS * mlpDim)) {
      this.kernels[GELU_KERNELS[this.gelu]](wide + 4 * from * mlpDim, count * mlpDim);
      yield;
    }
    this.emit(`${name}.mlp.gelu.out`, wide, [this.batch, perImage, mlpDim]);
    yield* this.linear(wide, fc2, branch, rows);
    this.emit(`${name}.mlp.fc2.out`, branch, [this.batch, perImage, dim]);
    this.kernels.add(stream, branch, stream, rows * dim);
    this.emit(`${name}.residual2.out`, stream, [this.batch, perImage, dim]);
  }
}

import type { FloatModel } from '../checkpoint/float-model.js';
import { QuantizeError, RuntimeError, UsageError } from '../errors.js';
import { type FloatWorkspace, instantiateFloatKernels } from './float/kernels.js';
import type { BlockPlaces, LinearPlace } from './float/parameters.js';
import { type FloatPlan, planFloatModel } from './float/plan.js';

/**
 * Sees a tensor of the whole batch.
 *
 * @param name the quantiser that stands behind the tensor, for example `blocks.3.attn.scores`
 * @param values a view of the tensor, valid during the call; it must not be written to
 * @param shape row-major; the first dimension is the batch (1 for `pos_embed`)
 * @param address of `values` in the memory of the runner's workspace
 */
export type ObserveTensor = (
  name: string,
  values: Float32Array,
  shape: readonly number[],
  address: number,
) => void;

export interface FloatRunnerOptions {
  /** The float kernel module `fqvit.float.wasm`, compiled or as bytes. */
  wasm: BufferSource | WebAssembly.Module;
  /** Most images in one `run`; 1 where absent. */
  batchSize?: number;
}

type Emit = (name: string, address: number, shape: readonly number[]) => void;

/**
 * A float DeiT or ViT: the float baseline, and what calibration observes. It owns one WebAssembly memory, planned
 * when it is created. Layers run one by one over the whole batch; the layer order and the names of the quantisers
 * are those of the paper's Figure 2 (arXiv 2111.13824) and its authors' simulator.
 *
 * ```ts
 * const runner = await FloatRunner.create(model, { wasm, batchSize: 16 });
 * const [logits] = runner.run([pixels]);
 * runner.dispose();
 * ```
 */
export class FloatRunner {
  readonly model: FloatModel;
  /** Most images in one `run`. */
  readonly batchSize: number;
  readonly #plan: FloatPlan;
  #workspace: FloatWorkspace | undefined;

  private constructor(model: FloatModel, plan: FloatPlan, workspace: FloatWorkspace) {
    this.model = model;
    this.batchSize = plan.batch;
    this.#plan = plan;
    this.#workspace = workspace;
  }

  /**
   * Plans and fills the memory of `model`.
   *
   * @throws QuantizeError `MODEL_SHAPE`, `MODEL_TENSOR` where the model is not a complete DeiT or ViT.
   * @throws RuntimeError `WASM`, `MEMORY` where the module is wrong or memory is short.
   */
  static async create(model: FloatModel, { wasm, batchSize = 1 }: FloatRunnerOptions): Promise<FloatRunner> {
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
      throw new UsageError('BATCH_SIZE', `batchSize: expected a positive integer, found ${batchSize}`);
    }
    checkShape(model);
    const plan = planFloatModel(model, batchSize);
    const memory = plan.layout.allocate();
    const kernels = await instantiateFloatKernels(wasm, memory);
    plan.parameters.write(kernels, memory, plan.scratch);
    const { scratch, scratchBytes } = plan;
    return new FloatRunner(model, plan, { kernels, memory, scratch, scratchBytes });
  }

  /**
   * Kernels and memory, for an observer that measures a tensor where it lies.
   *
   * @throws RuntimeError `DISPOSED` after `dispose`.
   */
  get workspace(): FloatWorkspace {
    if (this.#workspace === undefined)
      throw new RuntimeError('DISPOSED', 'the float model has been disposed');
    return this.#workspace;
  }

  /** Bytes of WebAssembly memory that the model holds. */
  get memoryBytes(): number {
    return this.#plan.layout.bytes;
  }

  /** Lets go of the memory. */
  dispose(): void {
    this.#workspace = undefined;
  }

  /**
   * The logits of a batch of images.
   *
   * @param pixels of every image uint8 [S, S, 3], resized and cropped, not normalised
   * @param observe sees every tensor behind a quantiser, in layer order
   * @returns for every image float32 [classes]
   * @throws UsageError `PIXELS` for an empty or too large batch or an image of another size.
   * @throws RuntimeError `DISPOSED` after `dispose`.
   */
  run(pixels: readonly Uint8Array[], observe?: ObserveTensor): Float32Array[] {
    const { memory, kernels } = this.workspace;
    const { classes } = this.model.architecture;
    const emit: Emit = (name, address, shape) =>
      observe?.(name, new Float32Array(memory.buffer, address, elements(shape)), shape, address);
    this.#loadPixels(pixels);
    const batch = pixels.length;
    this.#stem(batch, emit);
    this.#plan.parameters.blocks.forEach((block, n) => {
      this.#attention(block, `blocks.${n}`, batch, emit);
      this.#mlp(block, `blocks.${n}`, batch, emit);
    });
    const { cls, logits, stream, tokens, parameters } = this.#plan;
    const { dim, layerNormEps } = this.model.architecture;
    const { gamma, beta } = parameters.norm;
    kernels.layerNorm(stream, tokens * dim, gamma, beta, cls, batch, dim, layerNormEps);
    emit('norm.out', cls, [batch, dim]);
    this.#linear(cls, parameters.head, logits, batch);
    emit('logits', logits, [batch, classes]);
    return pixels.map((_, b) => new Float32Array(memory.buffer, logits + 4 * b * classes, classes).slice());
  }

  /** Bytes -> normalised pixels, f32 [B, S, S, 3] in `wide`. */
  #loadPixels(pixels: readonly Uint8Array[]): void {
    const { memory, kernels } = this.workspace;
    const { image, wide, parameters } = this.#plan;
    const area = this.model.architecture.imageSize ** 2;
    if (pixels.length < 1 || pixels.length > this.batchSize) {
      throw new UsageError('PIXELS', `expected 1 to ${this.batchSize} images, found ${pixels.length}`);
    }
    pixels.forEach((one, b) => {
      if (one.length !== 3 * area) {
        throw new UsageError('PIXELS', `image ${b}: expected ${3 * area} bytes, found ${one.length}`);
      }
      new Uint8Array(memory.buffer, image, 3 * area).set(one);
      kernels.normalise(image, parameters.pixels, wide + 12 * b * area, area);
    });
  }

  /** Patch convolution, class token, position: from `wide` to the residual stream. */
  #stem(batch: number, emit: Emit): void {
    const { memory, kernels } = this.workspace;
    const { wide, square, normed, branch, stream, patches, tokens, parameters } = this.#plan;
    const { imageSize, patchSize, dim } = this.model.architecture;
    const imageBytes = 12 * imageSize ** 2;
    emit('input', wide, [batch, imageSize, imageSize, 3]);
    for (let b = 0; b < batch; b++) {
      kernels.gatherPatches(wide + b * imageBytes, imageSize, patchSize, square + b * imageBytes);
    }
    this.#linear(square, parameters.patch, normed, batch * patches);
    emit('patch_embed.out', normed, [batch, patches, dim]);

    const rowBytes = 4 * dim;
    const heap = new Uint8Array(memory.buffer);
    for (let b = 0; b < batch; b++) {
      const first = branch + b * tokens * rowBytes;
      const patchRows = normed + b * patches * rowBytes;
      heap.copyWithin(first, parameters.cls, parameters.cls + rowBytes);
      heap.copyWithin(first + rowBytes, patchRows, patchRows + patches * rowBytes);
    }
    emit('tokens', branch, [batch, tokens, dim]);
    emit('pos_embed', parameters.position, [1, tokens, dim]);
    for (let b = 0; b < batch; b++) {
      const offset = b * tokens * rowBytes;
      kernels.add(branch + offset, parameters.position, stream + offset, tokens * dim);
    }
    emit('stem.out', stream, [batch, tokens, dim]);
  }

  /** x + proj(softmax(q·kᵀ d^-½)·v) with q, k, v of LayerNorm(x). */
  #attention({ norm1, qkv, proj }: BlockPlaces, name: string, batch: number, emit: Emit): void {
    const { kernels } = this.workspace;
    const { stream, normed, branch, wide, square, tokens } = this.#plan;
    const { dim, heads, layerNormEps } = this.model.architecture;
    const rows = batch * tokens;
    kernels.layerNorm(stream, dim, norm1.gamma, norm1.beta, normed, rows, dim, layerNormEps);
    emit(`${name}.norm1.out`, normed, [batch, tokens, dim]);
    this.#linear(normed, qkv, wide, rows);
    emit(`${name}.attn.qkv.out`, wide, [batch, tokens, 3 * dim]);
    this.#eachHead(batch, (q, scores) => this.#scores(q, scores));
    emit(`${name}.attn.scores`, square, [batch, heads, tokens, tokens]);
    kernels.softmax(square, rows * heads, tokens);
    emit(`${name}.attn.probs`, square, [batch, heads, tokens, tokens]);
    this.#eachHead(batch, (q, probabilities, context) => this.#context(q, probabilities, context));
    emit(`${name}.attn.context`, normed, [batch, tokens, dim]);
    this.#linear(normed, proj, branch, rows);
    emit(`${name}.attn.proj.out`, branch, [batch, tokens, dim]);
    kernels.add(stream, branch, stream, rows * dim);
    emit(`${name}.residual1.out`, stream, [batch, tokens, dim]);
  }

  /** Addresses of q (k and v follow 4C and 8C bytes on), of the [N, N] square and of the context of every head. */
  #eachHead(batch: number, visit: (q: number, square: number, context: number) => void): void {
    const { wide, square, normed, tokens, headDim } = this.#plan;
    const { dim, heads } = this.model.architecture;
    for (let b = 0; b < batch; b++) {
      for (let h = 0; h < heads; h++) {
        const column = 4 * h * headDim;
        visit(
          wide + 12 * b * tokens * dim + column,
          square + 4 * (b * heads + h) * tokens * tokens,
          normed + 4 * b * tokens * dim + column,
        );
      }
    }
  }

  /** q·kᵀ d^-½ of one head: f32 [N, N]. */
  #scores(q: number, out: number): void {
    const { kernels, scratch } = this.workspace;
    const { panels, tokens, headDim } = this.#plan;
    const { dim } = this.model.architecture;
    const scale = headDim ** -0.5;
    kernels.packWeights(q + 4 * dim, 3 * dim, panels, tokens, headDim);
    kernels.gemm(q, 3 * dim, panels, 0, out, tokens, tokens, tokens, headDim, scale, scratch);
  }

  /** probabilities·v of one head: f32 [N, d], a row every C. */
  #context(q: number, probabilities: number, out: number): void {
    const { kernels, scratch } = this.workspace;
    const { panels, tokens, headDim } = this.#plan;
    const { dim } = this.model.architecture;
    kernels.packColumns(q + 8 * dim, 3 * dim, panels, headDim, tokens);
    kernels.gemm(probabilities, tokens, panels, 0, out, dim, tokens, headDim, tokens, 1, scratch);
  }

  /** x + fc2(GELU(fc1(LayerNorm(x)))). */
  #mlp({ norm2, fc1, fc2 }: BlockPlaces, name: string, batch: number, emit: Emit): void {
    const { kernels } = this.workspace;
    const { stream, normed, branch, wide, tokens } = this.#plan;
    const { dim, mlpDim, layerNormEps } = this.model.architecture;
    const rows = batch * tokens;
    kernels.layerNorm(stream, dim, norm2.gamma, norm2.beta, normed, rows, dim, layerNormEps);
    emit(`${name}.norm2.out`, normed, [batch, tokens, dim]);
    this.#linear(normed, fc1, wide, rows);
    kernels.gelu(wide, rows * mlpDim);
    emit(`${name}.mlp.gelu.out`, wide, [batch, tokens, mlpDim]);
    this.#linear(wide, fc2, branch, rows);
    emit(`${name}.mlp.fc2.out`, branch, [batch, tokens, dim]);
    kernels.add(stream, branch, stream, rows * dim);
    emit(`${name}.residual2.out`, stream, [batch, tokens, dim]);
  }

  /** y = x·Wᵀ + bias over `rows` contiguous rows. */
  #linear(x: number, { inputs, outputs, panels, bias }: LinearPlace, y: number, rows: number): void {
    const { kernels, scratch } = this.workspace;
    kernels.gemm(x, inputs, panels, bias, y, outputs, rows, outputs, inputs, 1, scratch);
  }
}

/** The number of elements of a tensor. */
function elements(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

function checkShape({ architecture }: FloatModel): void {
  const { imageSize, patchSize, dim, heads } = architecture;
  if (imageSize % patchSize !== 0) {
    throw new QuantizeError(
      'MODEL_SHAPE',
      `image size ${imageSize} is not a multiple of the patch size ${patchSize}`,
    );
  }
  if (dim % heads !== 0) {
    throw new QuantizeError('MODEL_SHAPE', `dim ${dim} is not a multiple of the number of heads ${heads}`);
  }
}

import { stageFault, swinStages } from '../checkpoint/architecture.js';
import type { FloatArchitecture, FloatModel } from '../checkpoint/float-model.js';
import { QuantizeError, RuntimeError, UsageError } from '../errors.js';
import { MemoryPlan } from '../runtime/memory.js';
import { type FloatWorkspace, instantiateFloatKernels } from './float/kernels.js';
import { ParameterPlan } from './float/parameters.js';
import { type Emit, type FloatNetwork, FloatPass } from './float/pass.js';
import { type FloatPlan, planFloat } from './float/plan.js';
import { FloatSwin } from './float/swin.js';
import { FloatVit } from './float/vit.js';
import { type Pass, Passes } from './passes.js';

/**
 * Sees a tensor of the whole batch.
 *
 * @param name the quantiser after the tensor, for example `blocks.3.attn.scores`
 * @param values a view of the tensor, valid during the call. Later layers read what you write to
 *   it; do not write to a parameter
 * @param shape row-major. The first dimension is the batch; for tensors in window order, the batch
 *   times the windows of an image; for a parameter (`pos_embed`, a bias table), 1
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
  /** Most images in one `run`. Default 1. */
  batchSize?: number;
}

/**
 * A float DeiT, ViT or Swin: the float baseline, which calibration observes. It owns one
 * WebAssembly memory, planned when it is created. Layers run one by one over the whole batch; the
 * layer order and the names of the quantisers are those of the paper's Figure 2 (arXiv 2111.13824)
 * and its authors' simulator.
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
  readonly #network: FloatNetwork;
  readonly #plan: FloatPlan;
  readonly #passes = new Passes();
  #workspace: FloatWorkspace | undefined;

  private constructor(model: FloatModel, network: FloatNetwork, plan: FloatPlan, workspace: FloatWorkspace) {
    this.model = model;
    this.batchSize = plan.batch;
    this.#network = network;
    this.#plan = plan;
    this.#workspace = workspace;
  }

  /**
   * Plans and fills the memory of `model`.
   *
   * @throws QuantizeError `MODEL_SHAPE`, `MODEL_TENSOR` if the model is not a complete DeiT, ViT or
   *   Swin
   * @throws RuntimeError `WASM`, `MEMORY` if the module is wrong or memory is short
   */
  static async create(model: FloatModel, { wasm, batchSize = 1 }: FloatRunnerOptions): Promise<FloatRunner> {
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
      throw new UsageError('BATCH_SIZE', `batchSize: expected a positive integer, found ${batchSize}`);
    }
    const { architecture } = model;
    checkShape(architecture);
    const layout = new MemoryPlan();
    const parameters = new ParameterPlan(model, layout);
    const network = planNetwork(architecture, parameters);
    const plan = planFloat(architecture, network.stages, parameters, batchSize, layout);
    const memory = layout.allocate();
    const kernels = await instantiateFloatKernels(wasm, memory);
    const { scratch, scratchBytes } = plan;
    parameters.write(kernels, memory, scratch);
    const workspace = { kernels, memory, scratch, scratchBytes };
    return new FloatRunner(model, network, plan, workspace);
  }

  /**
   * Kernels and memory, for an observer that measures a tensor in place.
   *
   * @throws RuntimeError `DISPOSED` after `dispose`.
   */
  get workspace(): FloatWorkspace {
    if (this.#workspace === undefined)
      throw new RuntimeError('DISPOSED', 'the float model has been disposed');
    return this.#workspace;
  }

  /** Bytes of WebAssembly memory that the model holds; 0 after `dispose`. */
  get memoryBytes(): number {
    return this.#workspace?.memory.buffer.byteLength ?? 0;
  }

  /** Frees the memory. */
  dispose(): void {
    this.#passes.end();
    this.#workspace = undefined;
  }

  /**
   * The logits of a batch of images.
   *
   * @param pixels of every image uint8 [S, S, 3], resized and cropped, not normalised
   * @param observe sees every quantised tensor, in layer order. Without it, the run skips what the
   *   logits do not depend on; the logits are the same bit by bit.
   * @returns float32 [classes] for every image
   * @throws UsageError `PIXELS` for an empty or too large batch or an image of another size.
   * @throws RuntimeError `DISPOSED` after `dispose`.
   */
  run(pixels: readonly Uint8Array[], observe?: ObserveTensor): Float32Array[] {
    return this.#passes.now(() => this.#pass(pixels, observe));
  }

  /**
   * Like `run`, in slices, after earlier calls.
   *
   * @param observe sees the tensors again from the first one if `run` was called meanwhile
   * @throws the reason of `signal`; UsageError `DISPOSED` if the model is disposed meanwhile
   */
  runInSlices(
    pixels: readonly Uint8Array[],
    { observe, signal }: { observe?: ObserveTensor | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<Float32Array[]> {
    return this.#passes.run(() => this.#pass(pixels, observe), signal);
  }

  *#pass(pixels: readonly Uint8Array[], observe: ObserveTensor | undefined): Pass<Float32Array[]> {
    const { workspace } = this;
    const { buffer } = workspace.memory;
    const { classes, layerNormEps, gelu = 'exact' } = this.model.architecture;
    const { logits } = this.#plan;
    this.#loadPixels(workspace, pixels);
    const emit: Emit | undefined =
      observe &&
      ((name, address, shape) =>
        observe(name, new Float32Array(buffer, address, elements(shape)), shape, address));
    yield* this.#network.forward(
      new FloatPass(workspace, this.#plan, pixels.length, layerNormEps, gelu, emit),
    );
    return pixels.map((_, b) => new Float32Array(buffer, logits + 4 * b * classes, classes).slice());
  }

  /** Bytes -> normalised pixels, f32 [B, S, S, 3] in `wide`. */
  #loadPixels({ memory, kernels }: FloatWorkspace, pixels: readonly Uint8Array[]): void {
    const { image, pixelTable, wide } = this.#plan;
    const area = this.model.architecture.imageSize ** 2;
    if (pixels.length < 1 || pixels.length > this.batchSize) {
      throw new UsageError('PIXELS', `expected 1 to ${this.batchSize} images, found ${pixels.length}`);
    }
    pixels.forEach((one, b) => {
      if (one.length !== 3 * area) {
        throw new UsageError('PIXELS', `image ${b}: expected ${3 * area} bytes, found ${one.length}`);
      }
      new Uint8Array(memory.buffer, image, 3 * area).set(one);
      kernels.normalise(image, pixelTable, wide + 12 * b * area, area);
    });
  }
}

function planNetwork(architecture: FloatArchitecture, parameters: ParameterPlan): FloatNetwork {
  return architecture.family === 'swin'
    ? new FloatSwin(architecture, parameters)
    : new FloatVit(architecture, parameters);
}

/** The number of elements of a tensor. */
function elements(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

function checkShape(architecture: FloatArchitecture): void {
  const { imageSize, patchSize } = architecture;
  if (imageSize % patchSize !== 0) {
    throw new QuantizeError(
      'MODEL_SHAPE',
      `image size ${imageSize} is not a multiple of the patch size ${patchSize}`,
    );
  }
  const fault = architecture.family === 'swin' ? stageFault(architecture) : undefined;
  if (fault !== undefined) throw new QuantizeError('MODEL_SHAPE', fault);
  const stages = architecture.family === 'swin' ? swinStages(architecture) : [architecture];
  for (const { dim, heads } of stages) {
    if (dim % heads === 0) continue;
    throw new QuantizeError('MODEL_SHAPE', `dim ${dim} is not a multiple of the number of heads ${heads}`);
  }
}

import type { FloatModel } from '../../checkpoint/float/model.js';
import { RuntimeError, UsageError } from '../../errors.js';
import { networkOf } from '../../networks/index.js';
import type { Network } from '../../networks/network.js';
import { FLOAT_CHUNK, FLOAT_TILE } from '../../runtime/kernel-sizes.js';
import { MemoryPlan } from '../../runtime/memory.js';
import { type Pass, Passes } from '../../runtime/passes.js';
import { type FloatWorkspace, instantiateFloatKernels } from './kernels.js';
import { ParameterPlan } from './parameters.js';
import type { Emit, FloatPass } from './pass.js';
import { FloatModelPlan } from './plan.js';

/**
 * Sees a tensor of the whole batch.
 *
 * @param name of the layer that makes the tensor, for example `blocks.3.attn.scores`
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
  /**
   * Builds the network; `trimmed` without what the logits do not depend on. Default: that of the
   * model's family.
   */
  build?: ((trimmed: boolean) => Network) | undefined;
}

/** Places that every run uses. */
interface Places {
  readonly image: number;
  readonly pixelTable: number;
  readonly panels: number;
}

/**
 * A float model: the float baseline, which calibration observes. It owns one WebAssembly memory,
 * planned when it is created. Layers run one by one over the whole batch; their order and names are
 * those of the paper's Figure 2 (arXiv 2111.13824) and its authors' simulator.
 *
 * ```ts
 * const runner = await FloatRunner.create(model, { wasm, batchSize: 16 });
 * const [logits] = runner.run([pixels]);
 * runner.dispose();
 * ```
 */
export class FloatRunner {
  /** The network that observers see. */
  readonly network: Network;
  readonly #passes = new Passes();
  #workspace: FloatWorkspace | undefined;

  private constructor(
    readonly model: FloatModel,
    /** Most images in one `run`. */
    readonly batchSize: number,
    private readonly full: FloatModelPlan,
    private readonly trimmed: FloatModelPlan,
    private readonly places: Places,
    workspace: FloatWorkspace,
  ) {
    this.network = full.network;
    this.#workspace = workspace;
  }

  /**
   * Plans and fills the memory of `model`.
   *
   * @throws QuantizeError `MODEL_SHAPE`, `MODEL_TENSOR` if the model is not complete, or its layers
   *   do not fit together
   * @throws RuntimeError `WASM`, `MEMORY` if the module is wrong or memory is short
   */
  static async create(
    model: FloatModel,
    { wasm, batchSize = 1, build = (trimmed) => networkOf(model.architecture, trimmed) }: FloatRunnerOptions,
  ): Promise<FloatRunner> {
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
      throw new UsageError('BATCH_SIZE', `batchSize: expected a positive integer, found ${batchSize}`);
    }
    const layout = new MemoryPlan();
    const parameters = new ParameterPlan(model, layout);
    const full = new FloatModelPlan(model, build(false), parameters, batchSize);
    const trimmed = new FloatModelPlan(model, build(true), parameters, batchSize);
    const activations = layout.reserve(Math.max(full.bytes, trimmed.bytes));
    for (const plan of [full, trimmed]) plan.place(activations);
    const places = {
      image: layout.reserve(3 * full.imageSize ** 2),
      pixelTable: parameters.pixelTable(),
      panels: layout.reserve(full.panelBytes),
    };
    const scratchBytes = scratchSize(parameters);
    const scratch = layout.reserve(scratchBytes);
    const memory = layout.allocate();
    const kernels = await instantiateFloatKernels(wasm, memory);
    parameters.write(kernels, memory, scratch);
    return new FloatRunner(model, batchSize, full, trimmed, places, {
      kernels,
      memory,
      scratch,
      scratchBytes,
    });
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
    this.#checkPixels(pixels);
    const emit: Emit | undefined =
      observe &&
      ((name, address, shape) =>
        observe(name, new Float32Array(buffer, address, elements(shape)), shape, address));
    const pass: FloatPass = {
      ...workspace,
      ...this.places,
      batch: pixels.length,
      eps: this.model.architecture.layerNormEps,
      pixels,
      emit,
    };
    const plan = observe === undefined ? this.trimmed : this.full;
    for (const { run, shown } of plan.steps) {
      yield* run(pass);
      if (shown !== undefined) emit?.(shown.name, shown.place.address, shown.shape(pixels.length));
    }
    const { logits } = plan.network.outputs;
    if (logits === undefined) return pixels.map(() => new Float32Array());
    const { columns } = plan.shape(logits);
    const { address } = plan.at(logits);
    return pixels.map((_, b) => new Float32Array(buffer, address + 4 * b * columns, columns).slice());
  }

  /** @throws UsageError `PIXELS` */
  #checkPixels(pixels: readonly Uint8Array[]): void {
    const bytes = 3 * this.full.imageSize ** 2;
    if (pixels.length < 1 || pixels.length > this.batchSize) {
      throw new UsageError('PIXELS', `expected 1 to ${this.batchSize} images, found ${pixels.length}`);
    }
    pixels.forEach((one, b) => {
      if (one.length !== bytes) {
        throw new UsageError('PIXELS', `image ${b}: expected ${bytes} bytes, found ${one.length}`);
      }
    });
  }
}

/**
 * Room for the products (assembly/float/gemm.ts: a chunk or four rows, and a tile), for eight rows
 * of a weight, and for one f64 per channel.
 */
function scratchSize({ widest, channels }: ParameterPlan): number {
  return Math.max(FLOAT_CHUNK + FLOAT_TILE, 4 * 8 * widest) + 8 * channels;
}

/** The number of elements of a tensor. */
function elements(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

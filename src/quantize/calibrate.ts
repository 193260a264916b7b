import type { FloatModel } from '../checkpoint/float/model.js';
import { QuantizeError } from '../errors.js';
import type { FloatWorkspace } from '../forward/float/kernels.js';
import { FloatRunner, type FloatRunnerOptions, type ObserveTensor } from '../forward/float/runner.js';
import type { Layer } from '../layers/layer.js';
import { MomentSet, type Moments } from '../layers/linear/moments.js';
import { linearInputs, type Network, readersOf } from '../networks/network.js';
import { yieldToEvents } from '../platform/yield-to-events.js';
import {
  createObserver,
  type ObservedTensor,
  type Observer,
  type ObserverRecipe,
  type Quantizer,
} from './observers.js';

/** Images of one batch: the paper's moving averages and last-batch searches depend on it. */
const BATCH_SIZE = 16;

/**
 * Reports progress: done, total, phase. The phases count images, images of the runs in which `best`
 * searches for ranges, and linear layers whose weights are rounded.
 */
export type CalibrationProgress = (
  done: number,
  total: number,
  phase: 'calibrating' | 'searching' | 'rounding',
) => void;

export interface CalibrationRun {
  /** The float kernel module `fqvit.float.wasm`, compiled or as bytes. */
  wasm: BufferSource | WebAssembly.Module;
  /** Images of one batch. Default 16. The last batch may be smaller. */
  batchSize?: number;
  /** Whether to gather the moments of linear inputs, for error feedback. Default false. */
  moments?: boolean;
  /** Builds the network, for a model that no family describes. */
  build?: FloatRunnerOptions['build'];
  /** Called after every batch. */
  onProgress?: CalibrationProgress;
  /** Cancels, also in the middle of a batch. */
  signal?: AbortSignal;
}

export interface CalibrationOptions extends CalibrationRun, ObserverRecipe {}

export interface Calibration<Quantizers> {
  readonly quantizers: Quantizers;
  /** By the names of the quantisers before linear layers; empty unless requested. */
  readonly moments: ReadonlyMap<string, Moments>;
  /** How many images were used. */
  readonly images: number;
}

/** Uint8 [S, S, 3] each, resized and cropped, not normalised. */
export type CalibrationImages = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Runs the float model over at most `limit` images, in the order given, and returns the quantiser
 * of every activation by the name of its tensor (`input`, `blocks.0.norm1.out`, …, `logits`).
 *
 * @throws QuantizeError `CALIBRATION_COUNT` if there is no image, or `limit` is not positive;
 *   `CALIBRATION_NOT_FINITE` if an activation is NaN or infinite; `MODEL_SHAPE`, `MODEL_TENSOR` for
 *   a broken model.
 * @throws RuntimeError `WASM`, `MEMORY`; UsageError `PIXELS` for an image of another size; the
 *   reason of `signal`.
 */
export async function calibrate(
  model: FloatModel,
  images: CalibrationImages,
  limit: number,
  options: CalibrationOptions,
): Promise<Calibration<Map<string, Quantizer>>> {
  const { observer, ptf, activationBits = 8, ...run } = options;
  const recipe = { observer, ptf, activationBits };
  const { quantizers, ...rest } = await calibrateEach(model, images, limit, [recipe], run);
  return { quantizers: quantizers[0]!, ...rest };
}

/** Like `calibrate` for several recipes in one run of the model: one map per recipe. */
export async function calibrateEach(
  model: FloatModel,
  images: CalibrationImages,
  limit: number,
  recipes: readonly ObserverRecipe[],
  { wasm, batchSize = BATCH_SIZE, moments = false, build, onProgress, signal }: CalibrationRun,
): Promise<Calibration<Map<string, Quantizer>[]>> {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new QuantizeError(
      'CALIBRATION_COUNT',
      `calibration needs at least one image, found a limit of ${limit}`,
    );
  }
  signal?.throwIfAborted();
  const runner = await FloatRunner.create(model, { wasm, batchSize: Math.min(batchSize, limit), build });
  try {
    const { network } = runner;
    const sets = recipes.map((recipe) => new ObserverSet(network, recipe, runner.workspace));
    const momentSet = moments ? await MomentSet.create(network.pooled, wasm) : undefined;
    const inputs = linearInputs(network);
    let done = 0;
    for await (const { batch, last } of batches(images, limit, runner.batchSize)) {
      signal?.throwIfAborted();
      done += batch.length;
      const observe: ObserveTensor = (name, values, shape, address) => {
        const tensor = { name, values, shape, address };
        for (const set of sets) set.observe(tensor, last);
        if (inputs.has(name)) momentSet?.observe(tensor);
      };
      await runner.runInSlices(batch, { observe, signal });
      onProgress?.(done, limit, 'calibrating');
      await yieldToEvents();
    }
    if (done === 0)
      throw new QuantizeError('CALIBRATION_COUNT', 'calibration: expected an image, found none');
    return {
      quantizers: sets.map((set) => set.quantizers()),
      moments: momentSet?.moments() ?? new Map(),
      images: done,
    };
  } finally {
    runner.dispose();
  }
}

/** The observers of one recipe. */
class ObserverSet {
  readonly #observers = new Map<string, Observer>();
  readonly #layers: ReadonlyMap<string, Layer>;
  readonly #readers: ReadonlyMap<string, readonly Layer[]>;
  readonly #inputs: ReadonlySet<string>;

  constructor(
    network: Network,
    private readonly recipe: ObserverRecipe,
    private readonly workspace: FloatWorkspace,
  ) {
    this.#layers = new Map(network.layers.map((layer) => [layer.name, layer]));
    this.#readers = readersOf(network);
    this.#inputs = linearInputs(network);
  }

  observe(tensor: ObservedTensor, last: boolean): void {
    let observer = this.#observers.get(tensor.name);
    if (observer === undefined) {
      observer = this.#create(tensor.name);
      this.#observers.set(tensor.name, observer);
    }
    observer.observe(tensor, last);
  }

  #create(name: string): Observer {
    const { activationBits = 8 } = this.recipe;
    const highest = this.#inputs.has(name) ? 2 ** activationBits - 1 : 255;
    const layer = this.#layers.get(name)!;
    const inputs = (read: string) => this.#observers.get(read)!;
    return createObserver(layer, this.#readers.get(name)!, highest, this.recipe, this.workspace, inputs);
  }

  quantizers(): Map<string, Quantizer> {
    return new Map([...this.#observers].map(([name, observer]) => [name, observer.quantizer()]));
  }
}

/**
 * At most `limit` images in batches of `size`. The last batch may be smaller and is marked.
 */
async function* batches(
  images: CalibrationImages,
  limit: number,
  size: number,
): AsyncGenerator<{ batch: Uint8Array[]; last: boolean }> {
  let batch: Uint8Array[] = [];
  let taken = 0;
  for await (const image of images) {
    if (batch.length === size) {
      yield { batch, last: false };
      batch = [];
    }
    batch.push(image);
    taken++;
    if (taken === limit) break;
  }
  if (batch.length > 0) yield { batch, last: true };
}

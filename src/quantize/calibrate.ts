import type { FloatModel } from '../checkpoint/float-model.js';
import { QuantizeError } from '../errors.js';
import type { FloatWorkspace } from '../models/float/kernels.js';
import { FloatRunner } from '../models/float.js';
import {
  createObserver,
  type ObservedTensor,
  type Observer,
  type ObserverRecipe,
  type Quantizer,
} from './observers.js';

/** Images of one batch: the paper's moving averages and last-batch searches depend on it. */
const BATCH_SIZE = 16;

export interface CalibrationRun {
  /** The float kernel module `fqvit.float.wasm`, compiled or as bytes. */
  wasm: BufferSource | WebAssembly.Module;
  /** Images of one batch; 16 where absent. The last batch may be smaller. */
  batchSize?: number;
  /** After every batch. */
  onProgress?: (done: number, total: number) => void;
  /** Looked at before every batch. */
  signal?: AbortSignal;
}

export interface CalibrationOptions extends CalibrationRun, ObserverRecipe {}

/** Uint8 [S, S, 3] each, resized and cropped, not normalised. */
export type CalibrationImages = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Runs the float model over `count` images, in the order given, and returns the quantiser of every activation by the
 * name of the tensor it stands behind (`input`, `blocks.0.norm1.out`, …, `logits`).
 *
 * @throws QuantizeError `CALIBRATION_COUNT` where there are fewer images than `count`, or `count` is not positive;
 *   `CALIBRATION_NOT_FINITE` where an activation is NaN or infinite; `MODEL_SHAPE`, `MODEL_TENSOR` for a broken model.
 * @throws RuntimeError `WASM`, `MEMORY`; UsageError `PIXELS` for an image of another size; the reason of `signal`.
 */
export async function calibrate(
  model: FloatModel,
  images: CalibrationImages,
  count: number,
  options: CalibrationOptions,
): Promise<Map<string, Quantizer>> {
  const { observer, ptf, ...run } = options;
  const [quantizers] = await calibrateEach(model, images, count, [{ observer, ptf }], run);
  return quantizers!;
}

/** As `calibrate`, for several recipes at the cost of one run of the model: one map a recipe. */
export async function calibrateEach(
  model: FloatModel,
  images: CalibrationImages,
  count: number,
  recipes: readonly ObserverRecipe[],
  { wasm, batchSize = BATCH_SIZE, onProgress, signal }: CalibrationRun,
): Promise<Map<string, Quantizer>[]> {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new QuantizeError(
      'CALIBRATION_COUNT',
      `calibration needs at least one image, found a count of ${count}`,
    );
  }
  signal?.throwIfAborted();
  const runner = await FloatRunner.create(model, { wasm, batchSize: Math.min(batchSize, count) });
  try {
    const sets = recipes.map((recipe) => new ObserverSet(recipe, runner.workspace));
    let done = 0;
    for await (const batch of batches(images, count, runner.batchSize)) {
      signal?.throwIfAborted();
      done += batch.length;
      runner.run(batch, (name, values, shape, address) => {
        for (const set of sets) set.observe({ name, values, shape, address }, done === count);
      });
      onProgress?.(done, count);
      await breathe();
    }
    if (done < count) {
      throw new QuantizeError('CALIBRATION_COUNT', `calibration: expected ${count} images, found ${done}`);
    }
    return sets.map((set) => set.quantizers());
  } finally {
    runner.dispose();
  }
}

/** The observers of one recipe. */
class ObserverSet {
  readonly #observers = new Map<string, Observer>();

  constructor(
    private readonly recipe: ObserverRecipe,
    private readonly workspace: FloatWorkspace,
  ) {}

  observe(tensor: ObservedTensor, last: boolean): void {
    let observer = this.#observers.get(tensor.name);
    if (observer === undefined) {
      observer = createObserver(tensor.name, this.recipe, this.workspace);
      this.#observers.set(tensor.name, observer);
    }
    observer.observe(tensor, last);
  }

  quantizers(): Map<string, Quantizer> {
    return new Map([...this.#observers].map(([name, observer]) => [name, observer.quantizer()]));
  }
}

/** The first `count` images in batches of `size`; the last may be smaller. */
async function* batches(
  images: CalibrationImages,
  count: number,
  size: number,
): AsyncGenerator<Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let taken = 0;
  for await (const image of images) {
    batch.push(image);
    taken++;
    if (batch.length === size || taken === count) {
      yield batch;
      batch = [];
    }
    if (taken === count) return;
  }
  if (batch.length > 0) yield batch;
}

/** Lets timers and signals run: a batch keeps the thread busy for a second. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

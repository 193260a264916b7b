import { floatModule } from '#runtime/float-wasm';
import type { FloatModel } from '../checkpoint/float/model.js';
import { CheckpointError, UsageError } from '../errors.js';
import { FloatRunner } from '../forward/float/runner.js';
import { type ImageSource, readPixels } from '../image/source.js';
import type { Model } from '../model/model.js';
import { yieldToEvents } from '../platform/yield-to-events.js';
import { type EvaluationReport, measureOf, type Truth } from './measures.js';

/** An image and the right answer for it. */
export interface LabelledImage {
  /** A path, URL, bytes or raw pixels. */
  readonly image: ImageSource;
  /**
   * Index of the true class, or a list of them for a multi-label model (`info.output` is
   * `sigmoid`).
   */
  readonly class?: number | readonly number[];
  /** The true value, for a regression model (`info.output` is `value`). */
  readonly value?: number;
}

/** What {@link evaluate} takes besides the model and the images. */
export interface EvaluateOptions {
  /** The float model to compare with. */
  reference?: FloatModel | undefined;
  /**
   * Called with the logits of each image, Float32Array `[classes]`, in the order of the images.
   *
   * @param reference the logits of the float model, if there is one
   */
  onImage?: ((logits: Float32Array, reference: Float32Array | undefined) => void) | undefined;
  /** Called after each image. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  /** Cancels the call, which then throws the reason of the signal. */
  signal?: AbortSignal | undefined;
}

/**
 * Measures an integer model on labelled images: top-1 and top-5, mean average precision for a
 * multi-label model, errors for a regression model. With a reference, it also measures the
 * agreement with the float model.
 *
 * @example
 * ```ts
 * import { readFile } from 'node:fs/promises';
 * import { load } from 'fqvit';
 * import { evaluate, readFloatModel } from 'fqvit/quantize';
 *
 * const model = await load('m.safetensors');
 * const reference = readFloatModel(await readFile('deit_tiny.safetensors'));
 * const images = [
 *   { image: 'a.jpg', class: 3 },
 *   { image: 'b.jpg', class: 5 },
 * ];
 * const report = await evaluate(model, images, { reference });
 * if (report.output === 'softmax') console.log(report.top1, report.reference?.agreement);
 * model.dispose();
 * ```
 *
 * @throws ImageError for the first image that cannot be read, since figures for a part of the
 *   images would mislead
 * @throws UsageError `EVALUATION` for no images, a class that the model does not have, or no class
 *   in any image
 * @throws CheckpointError `CHECKPOINT_ARCHITECTURE` for a reference with another number of classes
 *   or another image size
 */
export async function evaluate(
  model: Model,
  images: readonly LabelledImage[],
  { reference, onImage, onProgress, signal }: EvaluateOptions = {},
): Promise<EvaluationReport> {
  const { output } = model.info;
  const measure = measureOf(output, checkedTruths(images, model));
  if (reference) checkReference(reference, model);
  const float = reference && (await FloatRunner.create(reference, { wasm: await floatModule() }));
  const integerClock = new Clock();
  const floatClock = new Clock();
  try {
    for (const [i, { image }] of images.entries()) {
      signal?.throwIfAborted();
      const pixels = await readPixels(image, model.info.preprocessing, { signal });
      const logits = await integerClock.time(() => model.logitsInSlices(pixels, signal));
      const floats = float && (await floatClock.time(() => float.runInSlices([pixels], { signal })));
      measure.add(logits, floats?.[0]);
      onImage?.(logits, floats?.[0]);
      onProgress?.(i + 1, images.length);
      await yieldToEvents();
    }
  } finally {
    float?.dispose();
  }
  return measure.report({ integer: integerClock.median(), float: floatClock.median() });
}

function checkedTruths(images: readonly LabelledImage[], { info }: Model): Truth[] {
  if (images.length === 0)
    throw new UsageError('EVALUATION', 'evaluate: expected at least one image, found none');
  const { output } = info;
  const { classes } = info.architecture;
  const isClass = (index: unknown) =>
    Number.isInteger(index) && (index as number) >= 0 && (index as number) < classes;
  const truths = images.map((image, i) => {
    const refuse = (expected: string, found: unknown) => {
      throw new UsageError(
        'EVALUATION',
        `evaluate: image ${i}: expected ${expected}, found ${String(found)}`,
      );
    };
    if (output === 'value') {
      if (!Number.isFinite(image.value)) refuse('a value, a finite number', image.value);
      return { classes: [], value: image.value! };
    }
    const given = output === 'sigmoid' ? [image.class].flat() : [image.class];
    if (!given.every(isClass)) refuse(`a class from 0 to ${classes - 1}`, image.class);
    return { classes: [...new Set(given as number[])], value: 0 };
  });
  if (output === 'sigmoid' && truths.every((truth) => truth.classes.length === 0))
    throw new UsageError('EVALUATION', 'evaluate: expected a class in at least one image, found none');
  return truths;
}

function checkReference({ architecture }: FloatModel, { info }: Model): void {
  for (const size of ['classes', 'imageSize'] as const) {
    if (architecture[size] === info.architecture[size]) continue;
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `reference: ${size}: expected ${info.architecture[size]}, as the integer model has, found ${architecture[size]}`,
    );
  }
}

class Clock {
  readonly #ms: number[] = [];

  async time<T>(run: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await run();
    this.#ms.push(performance.now() - start);
    return result;
  }

  median(): number {
    const sorted = this.#ms.sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  }
}

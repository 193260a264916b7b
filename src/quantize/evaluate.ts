import { floatModule } from '#runtime/float-wasm';
import type { FloatModel } from '../checkpoint/float-model.js';
import type { Model } from '../classify.js';
import { CheckpointError, UsageError } from '../errors.js';
import { type ImageSource, readPixels } from '../image/source.js';
import { FloatRunner } from '../models/float.js';
import { breathe } from '../platform/breathe.js';
import { divergence, logProbabilities, ranked } from '../rank.js';

export interface LabelledImage {
  readonly image: ImageSource;
  /** Index of the true class. */
  readonly class: number;
}

/** The images of one class. */
export interface ClassReport {
  /** Of the class. */
  readonly index: number;
  readonly images: number;
  /** Percentages, 0..100, of the integer model and of the float reference. */
  readonly top1: number;
  readonly referenceTop1?: number;
}

/** Percentages are 0..100. */
export interface EvaluationReport {
  readonly images: number;
  readonly top1: number;
  readonly top5: number;
  /** Median time of the integer forward pass, pixels to logits. */
  readonly msPerImage: number;
  /** Each class that there are images of, by its index. */
  readonly classes: readonly ClassReport[];
  /** Of the float model on the same images. */
  readonly reference?: {
    readonly top1: number;
    readonly top5: number;
    /** Images on which both models name the same class. */
    readonly agreement: number;
    /** Mean KL(float ‖ integer) of the class distributions, in nats. */
    readonly kl: number;
    readonly msPerImage: number;
  };
}

export interface EvaluateOptions {
  /** The float model to compare with. */
  reference?: FloatModel | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Accuracy of an integer model on labelled images and, with a reference, its agreement with the float model.
 *
 * @throws ImageError for the first image that cannot be read: an accuracy over part of a set would mislead
 * @throws UsageError `EVALUATION` for no images at all, or a class that the model does not have
 * @throws CheckpointError `CHECKPOINT_ARCHITECTURE` for a float model that has other classes or another image size
 */
export async function evaluate(
  model: Model,
  images: readonly LabelledImage[],
  { reference, onProgress, signal }: EvaluateOptions = {},
): Promise<EvaluationReport> {
  checkImages(images, model);
  if (reference) checkReference(reference, model);
  const float = reference && (await FloatRunner.create(reference, { wasm: await floatModule() }));
  const integerScore = new Score();
  const floatScore = new Score();
  let agreed = 0;
  let kl = 0;
  try {
    for (const [i, { image, class: truth }] of images.entries()) {
      signal?.throwIfAborted();
      const pixels = await readPixels(image, model.info.preprocessing, { signal });
      const logits = integerScore.add(truth, () => model.logitsOfPixels(pixels));
      if (float) {
        const expected = floatScore.add(truth, () => float.run([pixels])[0]!);
        if (ranked(expected, 1)[0] === ranked(logits, 1)[0]) agreed++;
        kl += divergence(logProbabilities(expected), logProbabilities(logits));
      }
      onProgress?.(i + 1, images.length);
      await breathe();
    }
  } finally {
    float?.dispose();
  }
  const n = images.length;
  return {
    images: n,
    ...integerScore.report(n),
    classes: perClass(images, integerScore, float && floatScore),
    ...(float ? { reference: { ...floatScore.report(n), agreement: (100 * agreed) / n, kl: kl / n } } : {}),
  };
}

function checkImages(images: readonly LabelledImage[], { info }: Model): void {
  if (images.length === 0)
    throw new UsageError('EVALUATION', 'evaluate: expected at least one image, found none');
  const { classes } = info.architecture;
  for (const [i, { class: truth }] of images.entries()) {
    if (Number.isInteger(truth) && truth >= 0 && truth < classes) continue;
    throw new UsageError(
      'EVALUATION',
      `evaluate: image ${i}: expected a class from 0 to ${classes - 1}, found ${String(truth)}`,
    );
  }
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

function perClass(
  images: readonly LabelledImage[],
  score: Score,
  reference: Score | undefined,
): ClassReport[] {
  const counts = new Map<number, number>();
  for (const { class: truth } of images) counts.set(truth, (counts.get(truth) ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([index, count]) => ({
      index,
      images: count,
      top1: (100 * score.right(index)) / count,
      ...(reference ? { referenceTop1: (100 * reference.right(index)) / count } : {}),
    }));
}

class Score {
  #top5 = 0;
  /** Images whose best class is the true one, by class. */
  readonly #right = new Map<number, number>();
  readonly #ms: number[] = [];

  add(truth: number, run: () => Float32Array): Float32Array {
    const start = performance.now();
    const logits = run();
    this.#ms.push(performance.now() - start);
    const best = ranked(logits, 5);
    if (best[0] === truth) this.#right.set(truth, this.right(truth) + 1);
    if (best.includes(truth)) this.#top5++;
    return logits;
  }

  right(truth: number): number {
    return this.#right.get(truth) ?? 0;
  }

  report(images: number): { top1: number; top5: number; msPerImage: number } {
    const sorted = this.#ms.sort((a, b) => a - b);
    const right = [...this.#right.values()].reduce((sum, count) => sum + count, 0);
    return {
      top1: (100 * right) / images,
      top5: (100 * this.#top5) / images,
      msPerImage: sorted[Math.floor(sorted.length / 2)] ?? 0,
    };
  }
}

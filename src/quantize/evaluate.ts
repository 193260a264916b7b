import type { Model } from '../classify.js';
import type { FloatModel } from '../checkpoint/float-model.js';
import { type ImageSource, readPixels } from '../image/source.js';
import { FloatRunner } from '../models/float.js';
import { probabilities, ranked } from '../rank.js';
import { readWasm } from '../runtime/wasm-node.js';

export interface LabelledImage {
  readonly image: ImageSource;
  /** Index of the true class. */
  readonly class: number;
}

/** Percentages are 0..100. */
export interface EvaluationReport {
  readonly images: number;
  readonly top1: number;
  readonly top5: number;
  /** Median time of the integer forward pass, pixels to logits. */
  readonly msPerImage: number;
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
 */
export async function evaluate(
  model: Model,
  images: readonly LabelledImage[],
  { reference, onProgress, signal }: EvaluateOptions = {},
): Promise<EvaluationReport> {
  const float = reference && (await FloatRunner.create(reference, { wasm: await readWasm('float') }));
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
        kl += divergence(probabilities(expected), probabilities(logits));
      }
      onProgress?.(i + 1, images.length);
    }
  } finally {
    float?.dispose();
  }
  const n = images.length;
  return {
    images: n,
    ...integerScore.report(n),
    ...(float ? { reference: { ...floatScore.report(n), agreement: (100 * agreed) / n, kl: kl / n } } : {}),
  };
}

class Score {
  #top1 = 0;
  #top5 = 0;
  readonly #ms: number[] = [];

  add(truth: number, run: () => Float32Array): Float32Array {
    const start = performance.now();
    const logits = run();
    this.#ms.push(performance.now() - start);
    const best = ranked(logits, 5);
    if (best[0] === truth) this.#top1++;
    if (best.includes(truth)) this.#top5++;
    return logits;
  }

  report(images: number): { top1: number; top5: number; msPerImage: number } {
    const sorted = this.#ms.sort((a, b) => a - b);
    return {
      top1: (100 * this.#top1) / images,
      top5: (100 * this.#top5) / images,
      msPerImage: sorted[Math.floor(sorted.length / 2)] ?? 0,
    };
  }
}

/** KL(p ‖ q) in nats. */
function divergence(p: Float64Array, q: Float64Array): number {
  return p.reduce((sum, value, i) => (value > 0 ? sum + value * Math.log(value / q[i]!) : sum), 0);
}

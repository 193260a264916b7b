import type { Output } from '../architecture/output.js';
import { UsageError } from '../errors.js';
import type { ImageSource } from '../image/source.js';
import { yieldToEvents } from '../platform/yield-to-events.js';
import { formatValue } from '../text/format-value.js';
import { probabilities, rankClasses, sigmoids } from './rank.js';

/** One class of an answer. */
export interface Prediction {
  /** Index of the class. */
  readonly index: number;
  /** Name of the class. */
  readonly label: string;
  /**
   * 0..1: the softmax of the logits or, for a multi-label model (`info.output` is `sigmoid`), the
   * sigmoid of this one. Absent for a regression model.
   */
  readonly probability: number;
  /** The output of a regression model (`info.output` is `value`), which has no `probability`. */
  readonly value?: number;
}

/**
 * The likeliest classes of an image, or of each of a list in order; best first, equal logits rank
 * by the lowest index.
 *
 * @param top as `checkTop` has checked it
 */
export async function predictEach(
  images: ImageSource | readonly ImageSource[],
  logitsOf: (image: ImageSource) => Promise<Float32Array>,
  model: AnsweringModel,
  top: number,
): Promise<Prediction[] | Prediction[][]> {
  const predict = async (image: ImageSource) => predictions(await logitsOf(image), model, top);
  if (!Array.isArray(images)) return predict(images as ImageSource);
  const all: Prediction[][] = [];
  for (const image of images) {
    if (all.length > 0) await yieldToEvents();
    all.push(await predict(image));
  }
  return all;
}

/** What a model says about its logits. */
interface AnsweringModel {
  readonly labels: readonly string[];
  readonly output: Output;
}

/** The `top` likeliest classes of these logits, best first. */
export function predictions(
  logits: Float32Array,
  { labels, output }: AnsweringModel,
  top: number,
): Prediction[] {
  const best = rankClasses(logits, top);
  const labelled = (index: number) => ({ index, label: labels[index]! });
  if (output === 'value')
    return best.map((index) => ({ ...labelled(index), value: logits[index]! }) as Prediction);
  const p = (output === 'softmax' ? probabilities : sigmoids)(logits);
  return best.map((index) => ({ ...labelled(index), probability: p[index]! }));
}

/** @throws UsageError `TOP` */
export function checkTop(top: number): void {
  if (Number.isSafeInteger(top) && top >= 1) return;
  throw new UsageError('TOP', `top: expected a positive integer, found ${formatValue(top)}`);
}

/**
 * @param pixels resized and cropped: uint8 `[imageSize, imageSize, 3]`. @throws UsageError `PIXELS`
 */
export function checkPixels(pixels: Uint8Array, imageSize: number): void {
  const isBytes = pixels instanceof Uint8Array || (pixels as unknown) instanceof Uint8ClampedArray;
  if (isBytes && pixels.length === imageSize ** 2 * 3) return;
  const found = isBytes ? pixels.length : Object.prototype.toString.call(pixels);
  throw new UsageError(
    'PIXELS',
    `pixels: expected ${imageSize}×${imageSize}×3 = ${imageSize ** 2 * 3} bytes, found ${found}`,
  );
}

/** @throws UsageError `CLASSES` for a backbone */
export function checkClasses(classes: number): void {
  if (classes > 0) return;
  throw new UsageError('CLASSES', 'model: expected one with classes, found a backbone: it has features only');
}

/** The result of `evaluate`, by what the logits mean. */

import type { Output } from '../architecture/output.js';
import { rankClasses } from '../model/rank.js';
import { averagePrecision } from './average-precision.js';
import { meanNearness, type Nearness, nearness } from './nearness.js';

/** Speed. */
export interface Timed {
  /** Median time of a forward pass, from pixels to logits, in milliseconds. */
  readonly msPerImage: number;
}

/** What all reports have. */
export interface Evaluation<Kind extends Output, Figures, Near> extends Timed {
  /** What the logits mean, and so which figures there are. */
  readonly output: Kind;
  /** Number of images. */
  readonly images: number;
  /**
   * Figures of the float model on the same images, and how closely the integer model agrees with
   * it.
   */
  readonly reference?: Figures & Near & Timed;
}

/** Accuracy. */
export interface Top {
  /** Images whose true class is the likeliest, in percent. */
  readonly top1: number;
  /** Images whose true class is among the five likeliest, in percent. */
  readonly top5: number;
}

/** Accuracy on the images of one class. */
export interface ClassReport {
  /** Index of the class. */
  readonly index: number;
  /** Number of images. */
  readonly images: number;
  /** Top-1 of the integer model, in percent. */
  readonly top1: number;
  /** Top-1 of the float reference, in percent. */
  readonly referenceTop1?: number;
}

/**
 * The result for a single-label model. In `reference`, `agreement` is the percentage of images on
 * which both models name the same class, and `kl` the mean KL(float ‖ integer) of the class
 * distributions, in nats.
 */
export interface ClassificationReport extends Evaluation<'softmax', Top, Nearness>, Top {
  /** Each class with images, by index. */
  readonly classes: readonly ClassReport[];
}

/** Accuracy of a multi-label model. */
export interface MeanPrecision {
  /** Mean average precision over the classes that occur, in percent. */
  readonly mAP: number;
}

/** Accuracy on one class of a multi-label model. */
export interface PrecisionReport {
  /** Index of the class. */
  readonly index: number;
  /** Number of images that contain the class. */
  readonly images: number;
  /** Average precision of the integer model, in percent. */
  readonly ap: number;
  /** Average precision of the float reference, in percent. */
  readonly referenceAp?: number;
}

/**
 * The result for a multi-label model. A decision is whether the probability of a class in an image
 * is above one half. In `reference`, `agreement` is the percentage of decisions that both models
 * share, and `kl` the KL(float ‖ integer) of a decision in nats, averaged over classes and images.
 */
export interface MultiLabelReport extends Evaluation<'sigmoid', MeanPrecision, Nearness>, MeanPrecision {
  /** Each class that occurs, by index. */
  readonly classes: readonly PrecisionReport[];
}

/** Errors, in the unit of the values. */
export interface Distances {
  /** Mean absolute error. */
  readonly mae: number;
  /** Root mean squared error. */
  readonly rmse: number;
}

/** How far the values of the integer model are from those of the float model. */
export interface Difference {
  /** Mean absolute difference. */
  readonly difference: number;
}

/** The result for a regression model. */
export interface ValueReport extends Evaluation<'value', Distances, Difference>, Distances {}

/** The result of {@link evaluate}; `output` tells which. */
export type EvaluationReport = ClassificationReport | MultiLabelReport | ValueReport;

/** Medians, in ms. */
export interface Times {
  readonly integer: number;
  readonly float: number;
}

export interface Measure {
  /** @param float the logits of the reference, where there is one */
  add(integer: Float32Array, float: Float32Array | undefined): void;
  /** Of all images. */
  report(times: Times): EvaluationReport;
}

/** The true classes of each image, or its true value. */
export interface Truth {
  readonly classes: readonly number[];
  readonly value: number;
}

/** @param truths of the images, in the order in which they will be added */
export function measureOf(output: Output, truths: readonly Truth[]): Measure {
  if (output === 'value') return new Errors(truths.map(({ value }) => value));
  const classes = truths.map(({ classes: of }) => of);
  return output === 'softmax' ? new Accuracy(classes) : new Precision(classes);
}

/** The images of each class that occurs. */
function countByClass(truths: readonly (readonly number[])[]): [index: number, images: number][] {
  const counts = new Map<number, number>();
  for (const index of truths.flat()) counts.set(index, (counts.get(index) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b);
}

/** Counts how often the true class is first, and among the first five. */
class Accuracy implements Measure {
  readonly #integer = new TopCount();
  readonly #float = new TopCount();
  readonly #near: Nearness[] = [];
  #added = 0;

  constructor(private readonly truths: readonly (readonly number[])[]) {}

  add(integer: Float32Array, float: Float32Array | undefined): void {
    const [truth] = this.truths[this.#added++]! as [number];
    this.#integer.add(truth, integer);
    if (float === undefined) return;
    this.#float.add(truth, float);
    this.#near.push(nearness(float, integer, 'softmax'));
  }

  report({ integer: msPerImage, float }: Times): ClassificationReport {
    const { length: images } = this.truths;
    const hasFloat = this.#near.length > 0;
    const classes = countByClass(this.truths).map(([index, count]) => ({
      index,
      images: count,
      top1: (100 * this.#integer.right(index)) / count,
      ...(hasFloat ? { referenceTop1: (100 * this.#float.right(index)) / count } : {}),
    }));
    const report = {
      output: 'softmax',
      images,
      ...this.#integer.percentages(images),
      classes,
      msPerImage,
    } as const;
    if (!hasFloat) return report;
    const reference = { ...this.#float.percentages(images), ...inPercent(this.#near), msPerImage: float };
    return { ...report, reference };
  }
}

class TopCount {
  #top5 = 0;
  /** Correctly classified images, by class. */
  readonly #right = new Map<number, number>();

  add(truth: number, logits: Float32Array): void {
    const best = rankClasses(logits, 5);
    if (best[0] === truth) this.#right.set(truth, this.right(truth) + 1);
    if (best.includes(truth)) this.#top5++;
  }

  right(truth: number): number {
    return this.#right.get(truth) ?? 0;
  }

  percentages(images: number): { top1: number; top5: number } {
    const right = [...this.#right.values()].reduce((sum, count) => sum + count, 0);
    return { top1: (100 * right) / images, top5: (100 * this.#top5) / images };
  }
}

/** Ranks the images by the logits of each class; keeps all logits. */
class Precision implements Measure {
  readonly #integer: Float32Array[] = [];
  readonly #float: Float32Array[] = [];

  constructor(private readonly truths: readonly (readonly number[])[]) {}

  add(integer: Float32Array, float: Float32Array | undefined): void {
    this.#integer.push(integer);
    if (float !== undefined) this.#float.push(float);
  }

  report({ integer: msPerImage, float }: Times): MultiLabelReport {
    const hasFloat = this.#float.length > 0;
    const classes = countByClass(this.truths).map(([index, count]) => ({
      index,
      images: count,
      ap: this.#precision(this.#integer, index),
      ...(hasFloat ? { referenceAp: this.#precision(this.#float, index) } : {}),
    }));
    const { length: images } = this.truths;
    const mAP = mean(classes.map(({ ap }) => ap));
    const report = { output: 'sigmoid', images, mAP, classes, msPerImage } as const;
    if (!hasFloat) return report;
    const near = inPercent(this.#float.map((logits, i) => nearness(logits, this.#integer[i]!, 'sigmoid')));
    const referenceMap = mean(classes.map(({ referenceAp }) => referenceAp!));
    return { ...report, reference: { mAP: referenceMap, ...near, msPerImage: float } };
  }

  #precision(logits: readonly Float32Array[], index: number): number {
    const scores = logits.map((one) => one[index]!);
    return (
      100 *
      averagePrecision(
        scores,
        this.truths.map((classes) => classes.includes(index)),
      )
    );
  }
}

/** Measures the distance of the values from the true ones. */
class Errors implements Measure {
  readonly #integer: number[] = [];
  readonly #float: number[] = [];

  constructor(private readonly truths: readonly number[]) {}

  add([integer]: Float32Array, float: Float32Array | undefined): void {
    this.#integer.push(integer!);
    if (float !== undefined) this.#float.push(float[0]!);
  }

  report({ integer: msPerImage, float }: Times): ValueReport {
    const { length: images } = this.truths;
    const report = { output: 'value', images, ...distances(this.#integer, this.truths), msPerImage } as const;
    if (this.#float.length === 0) return report;
    const { mae: difference } = distances(this.#integer, this.#float);
    return {
      ...report,
      reference: { ...distances(this.#float, this.truths), difference, msPerImage: float },
    };
  }
}

function distances(values: readonly number[], expected: readonly number[]): Distances {
  const each = values.map((value, i) => Math.abs(value - expected[i]!));
  return { mae: mean(each), rmse: Math.sqrt(mean(each.map((distance) => distance ** 2))) };
}

function inPercent(all: readonly Nearness[]): Nearness {
  const { agreement, kl } = meanNearness(all);
  return { agreement: 100 * agreement, kl };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

import { existsSync } from 'node:fs';
import { join, normalize, relative, sep } from 'node:path';
import { floatModule } from '#runtime/float-wasm';
import type { Output } from '../../architecture/output.js';
import { median } from '../../bench/measure.js';
import type { FloatModel } from '../../checkpoint/float/model.js';
import type { IntegerModel } from '../../checkpoint/integer/model.js';
import { FqvitError, ImageError, RuntimeError } from '../../errors.js';
import { FloatRunner } from '../../forward/float/runner.js';
import { readPixels } from '../../image/source.js';
import { load } from '../../model/model.js';
import { probabilities, rankClasses } from '../../model/rank.js';
import { yieldToEvents } from '../../platform/yield-to-events.js';
import { drawOrder } from '../../quantize/draw.js';
import type { Quantized } from '../../quantize/index.js';
import { type LayerError, layerErrors } from '../../quantize/layer-errors.js';
import { meanNearness, type Nearness, nearness } from '../../quantize/nearness.js';
import { readLabelsCsv } from '../labels-csv.js';
import { labelsOfFolders } from '../labels-folders.js';
import { startProgress } from '../progress.js';
import { thumbnail } from './thumbnail.js';

/** At most this many photos compare the models. */
const COMPARED = 200;
/** The first of them compare every activation. */
const MEASURED = 16;

/** A checkpoint that was just made, with its sources. */
export interface QuantizedSource {
  readonly float: FloatModel;
  readonly result: Quantized;
  /** The folder of the calibration photos, and their paths; none for synthetic pictures. */
  readonly folder: string;
  readonly images: readonly string[];
}

/** How close an integer model is to its float model, on photos. */
export interface Quality {
  /** Photos compared. */
  readonly photos: number;
  /** Photos that could have been compared. */
  readonly available: number;
  /** Whether the photos were also used for calibration, since there are no others. */
  readonly seen: boolean;
  readonly unreadable: number;
  /** Absent for a backbone, which has no classes. */
  readonly agreement?: Agreement;
  /** Median time per image of each model, in ms; absent for a backbone. */
  readonly msPerImage?: Both;
  readonly layers: readonly LayerError[];
  /** Photos on which `layers` was measured. */
  readonly measured: number;
}

/** How close the answers are, by the meaning of the logits. */
export type Agreement = ClassAgreement | DecisionAgreement | ValueAgreement;

export interface ClassAgreement {
  readonly output: 'softmax';
  /** Photos on which both models name the same class. */
  readonly same: number;
  /** Mean KL(float ‖ integer) of the class distributions, in nats. */
  readonly kl: number;
  /** Photos that each model classifies correctly, if the folder tells the true classes. */
  readonly right?: Both;
  /** Median distance between the float model's first two probabilities, by agreement. */
  readonly margins: { readonly same?: number; readonly different?: number };
  readonly differences: readonly ChangedAnswer[];
}

/** A figure of the integer and the float model. */
export interface Both {
  readonly integer: number;
  readonly float: number;
}

/** For a multi-label model: decisions whether a class is in a photo, above one half. */
export interface DecisionAgreement extends Nearness {
  readonly output: 'sigmoid';
}

/** For a regression model, in the unit of its value. */
export interface ValueAgreement {
  readonly output: 'value';
  /** Mean and largest distance between the values of the models. */
  readonly difference: number;
  readonly largest: number;
}

/** A photo for which the models name different classes. */
export interface ChangedAnswer {
  /** Its path in the folder. */
  readonly photo: string;
  /** A data URL. */
  readonly thumbnail: string;
  readonly float: Choice;
  readonly integer: Choice;
}

/** The class that a model names, and its probability. */
export interface Choice {
  readonly index: number;
  readonly probability: number;
}

/**
 * Measures on photos that did not calibrate or, if all did, on those. Undefined if no photo can be
 * read.
 */
export async function measureQuality(made: QuantizedSource): Promise<Quality | undefined> {
  const { float, result } = made;
  const { photos, seen } = comparablePhotos(made);
  const compared = await compare(made, photos);
  if (compared.read.length === 0) return undefined;
  const measured = compared.read.slice(0, MEASURED);
  const progress = startProgress('measuring layers', measured.length);
  try {
    const layers = await layerErrors(float, result.bytes, measured, { onProgress: progress.update });
    return {
      photos: compared.read.length,
      available: photos.length,
      seen,
      unreadable: compared.unreadable,
      ...(float.architecture.classes > 0
        ? { agreement: compared.agreement, msPerImage: compared.msPerImage }
        : {}),
      layers,
      measured: measured.length,
    };
  } finally {
    progress.stop();
  }
}

/** Photos in the order of the draw, so that the first ones are a fair sample. */
function comparablePhotos({ images, result }: QuantizedSource): { photos: readonly string[]; seen: boolean } {
  const { seed, calibrationImages } = result.model.recipe;
  const refused = new Set(result.skipped.map(({ image }) => image));
  const drawn = seed === null ? images : drawOrder(images, seed);
  const order = drawn.filter((image) => !refused.has(image));
  const unseen = order.slice(calibrationImages);
  return unseen.length > 0 ? { photos: unseen, seen: false } : { photos: order, seen: true };
}

async function compare(
  { float: reference, result, folder }: QuantizedSource,
  photos: readonly string[],
): Promise<{ read: string[]; unreadable: number; agreement: Agreement; msPerImage: Both }> {
  const { imageSize, classes } = reference.architecture;
  const { output } = result.model;
  const truths = output === 'softmax' ? await classesOfPhotos(folder, result.model) : undefined;
  const times = { integer: [] as number[], float: [] as number[] };
  const read: string[] = [];
  const answers: Answers[] = [];
  const differences: ChangedAnswer[] = [];
  let unreadable = 0;
  const model = await load(result.bytes);
  const float = await FloatRunner.create(reference, { wasm: await floatModule() });
  const wanted = Math.min(COMPARED, photos.length);
  const progress = startProgress('comparing with the float model', wanted);
  try {
    for (const photo of photos) {
      if (read.length === COMPARED) break;
      progress.update(Math.min(read.length + unreadable, wanted), wanted);
      await yieldToEvents();
      const pixels = await readable(photo, result.model);
      if (pixels === undefined) {
        unreadable++;
        continue;
      }
      read.push(photo);
      if (classes === 0) continue;
      const start = performance.now();
      const [answer] = await float.runInSlices([pixels]);
      const middle = performance.now();
      const both = { float: answer!, integer: await model.logitsInSlices(pixels) };
      times.float.push(middle - start);
      times.integer.push(performance.now() - middle);
      answers.push({ ...both, truth: truths?.get(relative(folder, photo).split(sep).join('/')) });
      const named = { float: choice(both.float), integer: choice(both.integer) };
      if (output !== 'softmax' || named.float.index === named.integer.index) continue;
      differences.push({
        photo: relative(folder, photo).split(sep).join('/'),
        thumbnail: await thumbnail(pixels, imageSize),
        ...named,
      });
    }
    progress.update(wanted, wanted);
  } finally {
    progress.stop();
    float.dispose();
    model.dispose();
  }
  const msPerImage = { integer: median(times.integer), float: median(times.float) };
  return { read, unreadable, agreement: agreementOf(output, answers, differences), msPerImage };
}

/** The pixels of a photo; undefined if it cannot be read. */
async function readable(photo: string, { preprocessing }: IntegerModel): Promise<Uint8Array | undefined> {
  try {
    return await readPixels(photo, preprocessing);
  } catch (error) {
    if (error instanceof ImageError || (error instanceof RuntimeError && error.code === 'SOURCE'))
      return undefined;
    throw error;
  }
}

/** The logits of both models for one photo. */
interface Answers {
  readonly float: Float32Array;
  readonly integer: Float32Array;
  /** The true class, if known. */
  readonly truth: number | undefined;
}

function choice(logits: Float32Array): Choice {
  const [index] = rankClasses(logits, 1) as [number];
  return { index, probability: probabilities(logits)[index]! };
}

function agreementOf(
  output: Output,
  answers: readonly Answers[],
  differences: readonly ChangedAnswer[],
): Agreement {
  if (output === 'value') {
    const distances = answers.map(({ float, integer }) => Math.abs(float[0]! - integer[0]!));
    const sum = distances.reduce((total, distance) => total + distance, 0);
    return { output, difference: sum / distances.length, largest: Math.max(...distances) };
  }
  const near = answers.map(({ float, integer }) => nearness(float, integer, output));
  const mean = meanNearness(near);
  if (output === 'sigmoid') return { output, ...mean };
  const margins = answers.map(({ float }, i) => ({
    isSame: near[i]!.agreement === 1,
    margin: margin(float),
  }));
  const [same, different] = [true, false].map((wanted) => margins.filter(({ isSame }) => isSame === wanted));
  return {
    output,
    same: same!.length,
    kl: mean.kl,
    ...(answers.every(({ truth }) => truth !== undefined) ? { right: rightOf(answers) } : {}),
    margins: {
      ...(same!.length > 0 ? { same: medianMargin(same!) } : {}),
      ...(different!.length > 0 ? { different: medianMargin(different!) } : {}),
    },
    differences,
  };
}

function rightOf(answers: readonly Answers[]): Both {
  const count = (model: keyof Both) =>
    answers.filter((answer) => rankClasses(answer[model], 1)[0] === answer.truth).length;
  return { integer: count('integer'), float: count('float') };
}

/** The table of classes in a calibration folder. */
export const LABELS_FILE = 'labels.csv';

/**
 * The class of each photo by its path, from labels.csv or the names of the subfolders; undefined
 * without either.
 *
 * @throws FqvitError `LABELS` for a faulty labels.csv; RuntimeError `SOURCE`
 */
export async function classesOfPhotos(
  folder: string,
  model: Pick<IntegerModel, 'output' | 'architecture' | 'labels' | 'wnids'>,
): Promise<ReadonlyMap<string, number> | undefined> {
  const table = join(folder, LABELS_FILE);
  if (existsSync(table)) {
    const { output, architecture } = model;
    const rows = await readLabelsCsv(table, { output, classes: architecture.classes });
    return new Map(rows.map((row) => [normalize(row.file), row.class as number]));
  }
  try {
    const { photos, byOrder } = await labelsOfFolders(folder, model);
    return byOrder ? undefined : new Map(photos.map((photo) => [photo.file, photo.class]));
  } catch (error) {
    if (error instanceof FqvitError) return undefined;
    throw error;
  }
}

/** The distance between the first two probabilities. */
function margin(logits: Float32Array): number {
  const p = probabilities(logits);
  const [first, second] = rankClasses(p, 2) as [number, number];
  return p[first]! - p[second]!;
}

function medianMargin(scores: readonly { margin: number }[]): number {
  return median(scores.map(({ margin }) => margin));
}

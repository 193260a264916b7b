import { relative, sep } from 'node:path';
import { floatModule } from '#runtime/float-wasm';
import type { FloatModel } from '../../checkpoint/float-model.js';
import type { IntegerModel } from '../../checkpoint/integer-model.js';
import { load } from '../../classify.js';
import { ImageError, RuntimeError } from '../../errors.js';
import { readPixels } from '../../image/source.js';
import { FloatRunner } from '../../models/float.js';
import { breathe } from '../../platform/breathe.js';
import { drawOrder } from '../../quantize/draw.js';
import type { Quantized } from '../../quantize/index.js';
import { type LayerError, layerErrors } from '../../quantize/layer-errors.js';
import { divergence, logProbabilities, ranked } from '../../rank.js';
import { startProgress } from '../progress.js';
import { thumbnail } from './thumbnail.js';

/** Most photos that the models are compared on. */
const COMPARED = 200;
/** Of them those that every activation is compared on. */
const MEASURED = 16;

/** A checkpoint that was just made, and what from. */
export interface Made {
  readonly float: FloatModel;
  readonly result: Quantized;
  /** The folder of the photos, and their paths; none where none calibrated. */
  readonly folder: string;
  readonly images: readonly string[];
}

/** How near an integer model is to its float model, on photos. */
export interface Quality {
  /** Photos compared. */
  readonly photos: number;
  /** Photos that there were for it. */
  readonly available: number;
  /** They have calibrated too: there were no others. */
  readonly seen: boolean;
  readonly unreadable: number;
  /** Absent for a backbone, which has no classes. */
  readonly agreement?: Agreement;
  readonly layers: readonly LayerError[];
  /** Photos that `layers` was measured on. */
  readonly measured: number;
}

export interface Agreement {
  /** Photos on which both models name the same class. */
  readonly same: number;
  /** Mean KL(float ‖ integer) of the class distributions, in nats. */
  readonly kl: number;
  /** Median of the distance between the probabilities of the float model's first two classes, where both agree and where not. */
  readonly margins: { readonly same?: number; readonly different?: number };
  readonly differences: readonly Difference[];
}

/** A photo of which the models say different things. */
export interface Difference {
  /** Its path from the folder. */
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

/** Measures on photos that did not calibrate, or where all did, on those. Undefined where no photo can be read. */
export async function measureQuality(made: Made): Promise<Quality | undefined> {
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
      ...(float.architecture.classes > 0 ? { agreement: compared.agreement } : {}),
      layers,
      measured: measured.length,
    };
  } finally {
    progress.stop();
  }
}

/** In the order of the draw, so that the first ones are a fair choice. */
function comparablePhotos({ images, result }: Made): { photos: readonly string[]; seen: boolean } {
  const { seed, calibrationImages } = result.model.recipe;
  const refused = new Set(result.skipped.map(({ image }) => image));
  const drawn = seed === null ? images : drawOrder(images, seed);
  const order = drawn.filter((image) => !refused.has(image));
  const unseen = order.slice(calibrationImages);
  return unseen.length > 0 ? { photos: unseen, seen: false } : { photos: order, seen: true };
}

async function compare(
  { float: reference, result, folder }: Made,
  photos: readonly string[],
): Promise<{ read: string[]; unreadable: number; agreement: Agreement }> {
  const { imageSize, classes } = reference.architecture;
  const read: string[] = [];
  const scores: Score[] = [];
  const differences: Difference[] = [];
  let unreadable = 0;
  const model = await load(result.bytes);
  const float = await FloatRunner.create(reference, { wasm: await floatModule() });
  const wanted = Math.min(COMPARED, photos.length);
  const progress = startProgress('comparing with the float model', wanted);
  try {
    for (const photo of photos) {
      if (read.length === COMPARED) break;
      progress.update(Math.min(read.length + unreadable, wanted), wanted);
      await breathe();
      const pixels = await readable(photo, result.model);
      if (pixels === undefined) {
        unreadable++;
        continue;
      }
      read.push(photo);
      if (classes === 0) continue;
      const score = scoreOf(float.run([pixels])[0]!, model.logitsOfPixels(pixels));
      scores.push(score);
      if (score.float.index === score.integer.index) continue;
      differences.push({
        photo: relative(folder, photo).split(sep).join('/'),
        thumbnail: await thumbnail(pixels, imageSize),
        float: score.float,
        integer: score.integer,
      });
    }
    progress.update(wanted, wanted);
  } finally {
    progress.stop();
    float.dispose();
    model.dispose();
  }
  return { read, unreadable, agreement: agreementOf(scores, differences) };
}

/** Undefined where it cannot be read; whatever else fails is no fault of the photo. */
async function readable(photo: string, { preprocessing }: IntegerModel): Promise<Uint8Array | undefined> {
  try {
    return await readPixels(photo, preprocessing);
  } catch (error) {
    if (error instanceof ImageError || (error instanceof RuntimeError && error.code === 'SOURCE'))
      return undefined;
    throw error;
  }
}

/** Of one photo. */
interface Score {
  readonly float: Choice;
  readonly integer: Choice;
  readonly kl: number;
  readonly margin: number;
}

function scoreOf(floatLogits: Float32Array, integerLogits: Float32Array): Score {
  const p = logProbabilities(floatLogits);
  const q = logProbabilities(integerLogits);
  const [first, second] = ranked(floatLogits, 2) as [number, number | undefined];
  const [best] = ranked(integerLogits, 1) as [number];
  const runnerUp = second === undefined ? 0 : Math.exp(p[second]!);
  return {
    float: { index: first, probability: Math.exp(p[first]!) },
    integer: { index: best, probability: Math.exp(q[best]!) },
    kl: divergence(p, q),
    margin: Math.exp(p[first]!) - runnerUp,
  };
}

function agreementOf(scores: readonly Score[], differences: readonly Difference[]): Agreement {
  const isSame = ({ float, integer }: Score) => float.index === integer.index;
  const same = scores.filter(isSame);
  const different = scores.filter((score) => !isSame(score));
  return {
    same: same.length,
    kl: scores.reduce((sum, { kl }) => sum + kl, 0) / scores.length,
    margins: {
      ...(same.length > 0 ? { same: medianMargin(same) } : {}),
      ...(different.length > 0 ? { different: medianMargin(different) } : {}),
    },
    differences,
  };
}

function medianMargin(scores: readonly Score[]): number {
  const sorted = scores.map(({ margin }) => margin).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

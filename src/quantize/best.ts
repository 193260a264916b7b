/**
 * The calibration of `best`, which improves on the paper at no cost when the model runs
 * (docs/accuracy.md says what each part is worth). Two parts of `best` are elsewhere: attention
 * codes in eighths of an octave (assembly/softmax/softmax.scalar.ts) and LayerNorm gains of full
 * precision (layernorm.ts).
 */

import type { FloatModel } from '../checkpoint/float/model.js';
import { type ActivationBits, OBSERVER_NAMES } from '../checkpoint/integer/description.js';
import { FloatRunner } from '../forward/float/runner.js';
import { linearInputs } from '../networks/network.js';
import { searchBlocks, searchRuns } from './block-search.js';
import { type Calibration, type CalibrationImages, type CalibrationRun, calibrateEach } from './calibrate.js';
import { affine, type ObserverRecipe, type Quantizer } from './observers.js';

/** How many images the search for ranges uses: the last ones of the calibration. */
const SEARCH_IMAGES = 8;
/** Parts of the min-max range that are tried in addition to the observers' ranges. */
const SHARES = [0.9, 0.8, 0.7] as const;

/** Like `calibrate`, with the ranges and channel scales of the method `best`. */
export async function calibrateBest(
  model: FloatModel,
  images: CalibrationImages,
  limit: number,
  { activationBits, ...options }: CalibrationRun & { activationBits: ActivationBits },
): Promise<Calibration<Map<string, Quantizer>>> {
  const { wasm, signal, onProgress, build } = options;
  const last: Uint8Array[] = [];
  const seen = remember(images, last);
  const found = await calibrateEach(model, seen, limit, bestObservers(activationBits), options);
  const runner = await FloatRunner.create(model, { wasm, batchSize: last.length, build });
  try {
    const { network } = runner;
    const inputs = linearInputs(network);
    const highest = (name: string) => (inputs.has(name) ? 2 ** activationBits - 1 : 255);
    const [minmax, ...others] = found.quantizers as [Map<string, Quantizer>, ...Map<string, Quantizer>[]];
    const shrunk = SHARES.map((share) => shrink(minmax, share, highest));
    const candidates = [minmax, ...others, ...shrunk];
    const total = searchRuns(candidates.length, network) * last.length;
    let done = 0;
    const quantizers = await searchBlocks(runner, last, candidates, {
      highest,
      onRun: () => {
        done += last.length;
        onProgress?.(done, total, 'searching');
      },
      signal,
    });
    // the tokens are the class token and the patches: one quantiser for both avoids rounding twice
    for (const { kind, name, reads } of network.layers)
      if (kind === 'tokens') quantizers.set(reads[0]!, quantizers.get(name)!);
    return { ...found, quantizers };
  } finally {
    runner.dispose();
  }
}

/** The observers whose ranges are candidates. The first one's apply where nothing is searched. */
function bestObservers(activationBits: ActivationBits): ObserverRecipe[] {
  const observers = OBSERVER_NAMES.filter((name) => name !== 'omse');
  return observers.map((observer) => ({ observer, ptf: true, channels: true, activationBits }));
}

async function* remember(images: CalibrationImages, last: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for await (const image of images) {
    last.push(image);
    if (last.length > SEARCH_IMAGES) last.shift();
    yield image;
  }
}

/**
 * Limits both ends of a range to a part of the larger one. Quantisers of channels stay unchanged.
 */
function shrink(
  quantizers: ReadonlyMap<string, Quantizer>,
  share: number,
  highest: (name: string) => number,
): Map<string, Quantizer> {
  return new Map(
    [...quantizers].map(([name, quantizer]) => {
      const { scale, zeroPoint, factors, scales } = quantizer;
      if (factors !== undefined || scales !== undefined) return [name, quantizer];
      const top = highest(name);
      const [min, max] = [-zeroPoint * scale, (top - zeroPoint) * scale];
      const limit = share * Math.max(-min, max);
      const range = { min: Math.max(min, -limit), max: Math.min(max, limit) };
      return [name, affine(range, { highest: top })];
    }),
  );
}

// Shared by the accuracy benches: reads labelled photos, runs the float model on them, calibrates
// recipes and computes scores over several seeds.
//
// Options of all of these benches: --reference FLOAT --images DIR, then --labels labels.csv or one
// subfolder of DIR per class; --calibration DIR for separate calibration photos (default: some of
// those in DIR), or --synthetic for images that the quantiser generates;
// --calibration-images 256, --seeds 0,1,2,3,4, --json.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { seal } from '../dist/checkpoint/integer/digest.js';
import { writeIntegerModel } from '../dist/checkpoint/integer/model.js';
import { FloatRunner } from '../dist/forward/float/runner.js';
import { readPixels } from '../dist/image/source.js';
import { load } from '../dist/index.js';
import { probabilities, rankClasses } from '../dist/model/rank.js';
import { calibrateBest } from '../dist/quantize/best.js';
import { calibrateEach } from '../dist/quantize/calibrate.js';
import { drawOrder } from '../dist/quantize/draw.js';
import { readFloatModel } from '../dist/quantize/index.js';
import { integerize } from '../dist/quantize/integerize.js';
import { syntheticPictures } from '../dist/quantize/synthetic/pictures.js';
import { json, list, machine, option } from './support.mjs';

export const seeds = list('seeds', '0,1,2,3,4').map(Number);
export const count = Number(option('calibration-images', 256));

/** The float model, the photos with its logits, and the files to calibrate from. */
export async function labelledPhotos() {
  const file = option('reference');
  const float = readFloatModel(new Uint8Array(readFileSync(file)), { file });
  const wasm = readFileSync(new URL('../wasm/fqvit.float.wasm', import.meta.url));
  const folder = option('images');
  const runner = await FloatRunner.create(float, { wasm });
  const images = [];
  for (const [name, truth] of labelled(folder, float.labels)) {
    const pixels = await readPixels(join(folder, name), float.preprocessing);
    images.push({ file: name, truth, pixels, logits: runner.run([pixels])[0] });
  }
  runner.dispose();
  const other = option('calibration');
  const calibration = other === undefined ? images.map((image) => image.file).sort() : filesIn(other);
  return { float, wasm, images, folder: other ?? folder, calibration, apart: other !== undefined };
}

/** [file, class index] of every photo. */
function labelled(folder, labels) {
  const csv = option('labels');
  if (csv === undefined) {
    return labels.flatMap((label, i) => filesIn(join(folder, label)).map((file) => [join(label, file), i]));
  }
  const rows = readFileSync(csv, 'utf8').trim().split(/\r?\n/).slice(1);
  return rows.map((line) => line.split(',')).map(([name, truth]) => [name, Number(truth)]);
}

function filesIn(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1)).sort();
}

/** The pixels that a seed picks for calibration. */
export async function drawn({ float, folder, calibration, apart }, seed) {
  if (process.argv.includes('--synthetic')) {
    const pictures = syntheticPictures(float, seed);
    return { pixels: Array.from({ length: count }, () => pictures.next().value), files: new Set(), seed };
  }
  const files = drawOrder(calibration, seed).slice(0, count);
  const pixels = [];
  for (const file of files) pixels.push(await readPixels(join(folder, file), float.preprocessing));
  return { pixels, files: new Set(apart ? [] : files), seed };
}

/** Calibrates the quantisers of each recipe: `best` alone, all others in one run. */
export async function calibrated({ float, wasm }, { pixels }, recipes, { moments = false } = {}) {
  const plain = recipes.filter(({ observer }) => observer !== 'search');
  const run = { wasm, moments };
  const found = plain.length > 0 && (await calibrateEach(float, pixels, count, plain, run));
  const quantizers = [];
  let inputs = found?.moments;
  for (const recipe of recipes) {
    if (recipe.observer !== 'search') {
      quantizers.push(found.quantizers[plain.indexOf(recipe)]);
      continue;
    }
    const { activationBits } = recipe;
    const best = await calibrateBest(float, pixels, count, { ...run, activationBits });
    quantizers.push(best.quantizers);
    inputs = best.moments;
  }
  return { quantizers, moments: inputs };
}

/** Scores of a calibrated integer model on all photos, and on those not used for calibration. */
export async function integerScores(set, { files, seed }, recipe, quantizers, moments, change = (m) => m) {
  const { float, images } = set;
  const full = { ...recipe, calibrationImages: count, seed, sourceSha256: '0'.repeat(64) };
  const integer = change(integerize(float, quantizers, full, moments));
  const model = await load(await seal(writeIntegerModel(integer)));
  const row = scores(images, files, ({ pixels }) => model.logitsOfPixels(pixels));
  model.dispose();
  return row;
}

/** Scores of `run` on all images, and on those not used for calibration. */
export function scores(images, calibration, run) {
  const answers = images.map((image) => ({ image, logits: run(image) }));
  const rest = answers.filter(({ image }) => !calibration.has(image.file));
  const row = score(answers);
  if (rest.length === answers.length) return row;
  const others = Object.entries(score(rest)).map(([key, value]) => [`${key} (others)`, value]);
  return { ...row, ...Object.fromEntries(others) };
}

function score(answers) {
  const percent = (test) => (100 * answers.filter(test).length) / answers.length;
  const kl = answers.reduce((sum, { image, logits }) => {
    const q = probabilities(logits);
    return probabilities(image.logits).reduce((s, p, i) => (p > 0 ? s + p * Math.log(p / q[i]) : s), sum);
  }, 0);
  return {
    top1: percent(({ image, logits }) => rankClasses(logits, 1)[0] === image.truth),
    agreement: percent(({ image, logits }) => rankClasses(logits, 1)[0] === rankClasses(image.logits, 1)[0]),
    kl: kl / answers.length,
  };
}

/**
 * Prints the mean of the rows of each name and, after ±, the largest distance of a row from it;
 * with --json all rows.
 */
export function reportSeeds(images, rows) {
  if (json) {
    console.log(
      JSON.stringify({ machine: machine(), images: images.length, calibrationImages: count, rows }),
    );
    return;
  }
  console.log(`${images.length} images, ${count} calibrate, seeds ${seeds.join(', ')}`);
  const names = [...new Set(rows.map(({ name }) => name))];
  console.table(Object.fromEntries(names.map((name) => [name, summary(rows, name)])));
}

function summary(rows, name) {
  const own = rows.filter((row) => row.name === name);
  const figures = Object.keys(own[0]).filter((key) => key !== 'name' && key !== 'seed');
  return Object.fromEntries(
    figures.map((key) => {
      const values = own.map((row) => row[key]);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const spread = Math.max(...values.map((value) => Math.abs(value - mean)));
      const digits = key.startsWith('kl') ? 4 : 2;
      return [key, `${mean.toFixed(digits)} ± ${spread.toFixed(digits)}`];
    }),
  );
}

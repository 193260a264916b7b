// Shared by the benches of accuracy: labelled photos with the float model's answers, recipes calibrated on some of them, scores.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeIntegerModel } from '../dist/checkpoint/integer-model.js';
import { readPixels } from '../dist/image/source.js';
import { load } from '../dist/index.js';
import { FloatRunner } from '../dist/models/float.js';
import { calibrateEach } from '../dist/quantize/calibrate.js';
import { drawOrder } from '../dist/quantize/draw.js';
import { readFloatModel } from '../dist/quantize/index.js';
import { integerize } from '../dist/quantize/integerize.js';
import { probabilities, ranked } from '../dist/rank.js';
import { option } from './support.mjs';

/** The float model of --reference, and the photos of --images and --labels with its logits. */
export async function labelledPhotos() {
  const file = option('reference');
  const float = readFloatModel(new Uint8Array(readFileSync(file)), { file });
  const wasm = readFileSync(new URL('../wasm/fqvit.float.wasm', import.meta.url));
  const rows = readFileSync(option('labels'), 'utf8')
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split(','));
  const runner = await FloatRunner.create(float, { wasm });
  const images = [];
  for (const [name, truth] of rows) {
    const pixels = await readPixels(join(option('images'), name), float.preprocessing);
    images.push({ file: name, truth: Number(truth), pixels, logits: runner.run([pixels])[0] });
  }
  runner.dispose();
  return { float, wasm, images };
}

/** Calibrates recipes on `count` of the photos that the seed picks; `moments` for error feedback. */
export async function calibrated({ float, wasm, images }, recipes, { seed, count, moments = false }) {
  const files = drawOrder(images.map(({ file }) => file).sort(), seed).slice(0, count);
  const pixelsOf = new Map(images.map(({ file, pixels }) => [file, pixels]));
  const found = await calibrateEach(
    float,
    files.map((file) => pixelsOf.get(file)),
    count,
    recipes,
    { wasm, moments },
  );
  return { ...found, seed, count, files: new Set(files) };
}

/** The integer model of a calibrated recipe, its scores on all photos and on those that did not calibrate. */
export async function integerScores({ float, images }, { files, count, seed }, recipe, quantizers, moments) {
  const full = { ...recipe, calibrationImages: count, seed, sourceSha256: '0'.repeat(64) };
  const model = await load(writeIntegerModel(integerize(float, quantizers, full, moments)));
  const row = scores(images, files, ({ pixels }) => model.logitsOfPixels(pixels));
  model.dispose();
  return row;
}

/** Scores of `run` on all images and on those that did not calibrate. */
export function scores(images, calibration, run) {
  const answers = images.map((image) => ({ image, logits: run(image) }));
  const rest = answers.filter(({ image }) => !calibration.has(image.file));
  const of = (part, label) =>
    Object.fromEntries(Object.entries(score(part)).map(([key, value]) => [`${key} ${label}`, value]));
  return { ...of(answers, `(${answers.length})`), ...of(rest, `(other ${rest.length})`) };
}

function score(answers) {
  const percent = (test) => +((100 * answers.filter(test).length) / answers.length).toFixed(1);
  const kl = answers.reduce((sum, { image, logits }) => {
    const q = probabilities(logits);
    return probabilities(image.logits).reduce((s, p, i) => (p > 0 ? s + p * Math.log(p / q[i]) : s), sum);
  }, 0);
  return {
    top1: percent(({ image, logits }) => ranked(logits, 1)[0] === image.truth),
    top5: percent(({ image, logits }) => ranked(logits, 5).includes(image.truth)),
    agreement: percent(({ image, logits }) => ranked(logits, 1)[0] === ranked(image.logits, 1)[0]),
    kl: +(kl / answers.length).toFixed(4),
  };
}

// The paper's table of methods on your own photos: every method calibrated on the same images, accuracy on all images and on
// those that did not calibrate.
//   npm run build && node bench/methods.mjs --reference FLOAT --images DIR --labels labels.csv [--calibration-images 256] [--seed 0]
//     [--methods "fq 8/8/4,omse"] [--json]
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
import { methodRecipe } from '../dist/quantize/recipe.js';
import { probabilities, ranked } from '../dist/rank.js';
import { json, machine, option } from './support.mjs';

const METHODS = {
  'fq 8/8/4': { method: 'fq' },
  'fq 8/8/8': { method: 'fq', attentionBits: 8 },
  minmax: { method: 'minmax' },
  ema: { method: 'ema' },
  percentile: { method: 'percentile' },
  omse: { method: 'omse' },
};
const seed = Number(option('seed', 0));
const count = Number(option('calibration-images', 256));
const names = option('methods', Object.keys(METHODS).join()).split(',');
const folder = option('images');
const float = readFloatModel(new Uint8Array(readFileSync(option('reference'))), {
  file: option('reference'),
});
const wasm = readFileSync(new URL('../wasm/fqvit.float.wasm', import.meta.url));

const rows = readFileSync(option('labels'), 'utf8')
  .trim()
  .split(/\r?\n/)
  .slice(1)
  .map((line) => line.split(','));
const calibration = new Set(drawOrder(rows.map(([file]) => file).sort(), seed).slice(0, count));
const runner = await FloatRunner.create(float, { wasm });
const images = [];
for (const [file, truth] of rows) {
  const pixels = await readPixels(join(folder, file), float.preprocessing);
  images.push({ file, truth: Number(truth), pixels, logits: runner.run([pixels])[0] });
}
runner.dispose();
const pixelsOf = new Map(images.map(({ file, pixels }) => [file, pixels]));

const recipes = names.map((name) => methodRecipe(METHODS[name]));
const { quantizers } = await calibrateEach(
  float,
  [...calibration].map((file) => pixelsOf.get(file)),
  count,
  recipes,
  { wasm },
);
const table = [{ name: 'float', ...both(({ logits }) => logits) }];
for (const [i, name] of names.entries()) {
  const recipe = { ...recipes[i], calibrationImages: count, seed, sourceSha256: '0'.repeat(64) };
  const model = await load(writeIntegerModel(integerize(float, quantizers[i], recipe)));
  table.push({ name, ...both(({ pixels }) => model.logitsOfPixels(pixels)) });
  model.dispose();
}
if (json)
  console.log(
    JSON.stringify({ machine: machine(), images: images.length, calibrationImages: count, seed, table }),
  );
else {
  console.log(`${images.length} images, ${count} calibrated (seed ${seed})`);
  console.table(table);
}

/** Scores on all images and on those that did not calibrate. */
function both(run) {
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

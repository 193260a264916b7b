// The paper's table of methods on your own photos: every method calibrated on the same images, accuracy on all images and on
// those that did not calibrate.
//   npm run build && node bench/methods.mjs --reference FLOAT --images DIR --labels labels.csv [--calibration-images 256] [--seed 0]
//     [--methods "fq 8/8/4,omse"] [--json]
import { methodRecipe } from '../dist/quantize/recipe.js';
import { calibrated, integerScores, labelledPhotos, scores } from './accuracy.mjs';
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
const recipes = names.map((name) => methodRecipe(METHODS[name]));

const set = await labelledPhotos();
const { images } = set;
const calibration = await calibrated(set, recipes, { seed, count });
const table = [{ name: 'float', ...scores(images, calibration.files, ({ logits }) => logits) }];
for (const [i, name] of names.entries()) {
  const row = await integerScores(set, calibration, recipes[i], calibration.quantizers[i]);
  table.push({ name, ...row });
}
if (json)
  console.log(
    JSON.stringify({ machine: machine(), images: images.length, calibrationImages: count, seed, table }),
  );
else {
  console.log(`${images.length} images, ${count} calibrated (seed ${seed})`);
  console.table(table);
}

// Accuracy by the bits of weights and activations (docs/widths.md): every width calibrated on the same images, weights rounded as
// `fqvit quantize` does, or all of them to nearest ("4/8 nearest") or with error feedback ("7/8 feedback").
//   npm run build && node bench/widths.mjs --reference FLOAT --images DIR --labels labels.csv [--calibration-images 256]
//     [--seeds 0,1,2] [--widths "8/8,4/8,4/8 nearest"] [--json]
import { FEEDBACK_BITS } from '../dist/quantize/feedback.js';
import { methodRecipe } from '../dist/quantize/recipe.js';
import { calibrated, integerScores, labelledPhotos } from './accuracy.mjs';
import { json, machine, option } from './support.mjs';

const WIDTHS = '8/8,7/8,6/8,5/8,4/8,4/8 nearest,8/7,7/7,6/7,4/7';
const seeds = option('seeds', '0').split(',').map(Number);
const count = Number(option('calibration-images', 256));
const widths = option('widths', WIDTHS).split(',');

const set = await labelledPhotos();
const activationBits = [8, 7];
const table = [];
for (const seed of seeds) {
  const recipes = activationBits.map((bits) => methodRecipe({ activationBits: bits }));
  const calibration = await calibrated(set, recipes, { seed, count, moments: true });
  for (const width of widths) {
    const [bits, rounding] = width.split(' ');
    const [weights, activations] = bits.split('/').map(Number);
    const recipe = methodRecipe({ weightBits: weights, activationBits: activations });
    const quantizers = calibration.quantizers[activationBits.indexOf(activations)];
    const fed = rounding === undefined ? weights <= FEEDBACK_BITS : rounding === 'feedback';
    const row = await integerScores(
      set,
      calibration,
      recipe,
      quantizers,
      fed ? calibration.moments : undefined,
    );
    table.push({ width, seed, ...row });
  }
}
if (json)
  console.log(
    JSON.stringify({ machine: machine(), images: set.images.length, calibrationImages: count, table }),
  );
else {
  console.log(`${set.images.length} images, ${count} calibrated`);
  console.table(table);
}

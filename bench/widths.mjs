// Accuracy by the bits of weights and activations (docs/widths.md). Every width is calibrated on
// the same images. Weights are rounded as `fqvit quantize` rounds them, or all to nearest
// ("4/8 nearest"), or all with error feedback ("7/8 feedback").
//   npm run build && node bench/widths.mjs --reference FLOAT --images DIR [--method best]
//     [--widths "8/8,4/8,4/8 nearest"] [options of accuracy.mjs]
import { FEEDBACK_BITS } from '../dist/layers/linear/feedback.js';
import { methodRecipe } from '../dist/quantize/recipe.js';
import { calibrated, drawn, integerScores, labelledPhotos, reportSeeds, seeds } from './accuracy.mjs';
import { list, option } from './support.mjs';

const method = option('method', 'fq');
const widths = list('widths', '8/8,7/8,6/8,5/8,4/8,4/8 nearest,8/7,7/7,6/7,4/7');

const set = await labelledPhotos();
const activationBits = [8, 7];
const rows = [];
for (const seed of seeds) {
  const draw = await drawn(set, seed);
  const recipes = activationBits.map((bits) => methodRecipe({ method, activationBits: bits }));
  const { quantizers, moments } = await calibrated(set, draw, recipes, { moments: true });
  for (const name of widths) {
    const [bits, rounding] = name.split(' ');
    const [weights, activations] = bits.split('/').map(Number);
    const recipe = methodRecipe({ method, weightBits: weights, activationBits: activations });
    const fed = rounding === undefined ? weights <= FEEDBACK_BITS : rounding === 'feedback';
    const found = quantizers[activationBits.indexOf(activations)];
    rows.push({ name, seed, ...(await integerScores(set, draw, recipe, found, fed ? moments : undefined)) });
  }
}
reportSeeds(set.images, rows);

// The paper's table of methods and our own, on your photos (docs/accuracy.md): each method is
// calibrated on the same images, for several seeds.
//   npm run build && node bench/methods.mjs --reference FLOAT --images DIR
//     [--methods "fq 8/8/4,best"] [options of accuracy.mjs]
import { methodRecipe } from '../dist/quantize/recipe.js';
import { calibrated, drawn, integerScores, labelledPhotos, reportSeeds, scores, seeds } from './accuracy.mjs';
import { list } from './support.mjs';

const METHODS = {
  minmax: { method: 'minmax' },
  ema: { method: 'ema' },
  percentile: { method: 'percentile' },
  omse: { method: 'omse' },
  'fq 8/8/8': { method: 'fq', attentionBits: 8 },
  'fq 8/8/4': { method: 'fq' },
  best: { method: 'best' },
};
const names = list('methods', Object.keys(METHODS).join());
const recipes = names.map((name) => methodRecipe(METHODS[name]));

const set = await labelledPhotos();
const { images } = set;
const rows = [];
for (const seed of seeds) {
  const draw = await drawn(set, seed);
  const { quantizers } = await calibrated(set, draw, recipes);
  rows.push({ name: 'float', seed, ...scores(images, draw.files, ({ logits }) => logits) });
  for (const [i, name] of names.entries()) {
    rows.push({ name, seed, ...(await integerScores(set, draw, recipes[i], quantizers[i])) });
    console.error(JSON.stringify(rows.at(-1)));
  }
}
reportSeeds(images, rows);

// The gain of each part of the method `best` (docs/accuracy.md): starts from the paper's 8/8/4,
// adds one part after the other, then tries what `best` does not use.
//   npm run build && node bench/ablation.mjs --reference FLOAT --images DIR
//     [options of accuracy.mjs]
import { FloatRunner } from '../dist/forward/float/runner.js';
import { exactExponentialTable } from '../dist/layers/softmax/exponential-table.js';
import { calibrateBest } from '../dist/quantize/best.js';
import { calibrateEach } from '../dist/quantize/calibrate.js';
import { methodRecipe } from '../dist/quantize/recipe.js';
import { count, drawn, integerScores, labelledPhotos, reportSeeds, seeds } from './accuracy.mjs';

const fq = methodRecipe({ method: 'fq' });
const eighths = methodRecipe({ method: 'fq', attentionBits: 7 });
const best = methodRecipe({ method: 'best' });

const set = await labelledPhotos();
const { float, wasm } = set;
const rows = [];
for (const seed of seeds) {
  const draw = await drawn(set, seed);
  const run = { wasm, moments: true };
  const paper = { observer: 'minmax', ptf: true };
  const { quantizers } = await calibrateEach(
    float,
    draw.pixels,
    count,
    [paper, { ...paper, channels: true }],
    run,
  );
  const [minmax, channels] = quantizers;
  if (channels.has('tokens')) channels.set('patch_embed.out', channels.get('tokens'));
  const searched = await calibrateBest(float, draw.pixels, count, { ...run, activationBits: 8 });
  const equal = equalised(float, await largest(draw.pixels));
  const again = await calibrateBest(equal, draw.pixels, count, { wasm, activationBits: 8 });

  const add = async (name, recipe, found, { moments, model = float, change } = {}) => {
    const part = { ...set, float: model };
    rows.push({ name, seed, ...(await integerScores(part, draw, recipe, found, moments, change)) });
    console.error(JSON.stringify(rows.at(-1)));
  };
  await add('fq 8/8/4', fq, minmax);
  await add('+ exact exponentials', fq, minmax, { change: withExactExponentials });
  await add('+ attention in eighths of an octave', eighths, minmax);
  await add('+ whole LayerNorm gains', best, minmax);
  await add('+ scales of channels before additions', best, channels);
  await add('+ ranges by the block output = best', best, searched.quantizers);
  await add('best, uniform 8-bit attention', { ...best, attention: 'uniform' }, searched.quantizers);
  await add('best, error feedback on 8-bit weights', best, searched.quantizers, {
    moments: searched.moments,
  });
  await add('best, channels equalised', best, again.quantizers, { model: equal });
}
reportSeeds(set.images, rows);

/** An integer model with exact exponentials instead of i-exp. */
function withExactExponentials(model) {
  const { layers, activations } = model.program;
  const tensors = new Map(model.tensors);
  for (const { kind, name, reads } of layers) {
    if (kind !== 'softmax') continue;
    const { scale, columns } = activations.get(reads[0]);
    tensors.set(`${name}.table`, exactExponentialTable(scale, columns));
  }
  return { ...model, tensors };
}

/** Largest magnitude of every channel after a LayerNorm, over the first photos. */
async function largest(pixels) {
  const found = new Map();
  const runner = await FloatRunner.create(float, { wasm, batchSize: 16 });
  for (let i = 0; i < Math.min(pixels.length, 64); i += 16) {
    runner.run(pixels.slice(i, i + 16), (name, values, shape) => {
      if (!/\.norm[12]\.out$/.test(name)) return;
      const channels = shape.at(-1);
      if (!found.has(name)) found.set(name, new Float64Array(channels));
      const most = found.get(name);
      for (let j = 0; j < values.length; j++) {
        const c = j % channels;
        most[c] = Math.max(most[c], Math.abs(values[j]));
      }
    });
  }
  runner.dispose();
  return found;
}

/**
 * The same function with rescaled channels between each LayerNorm and the next linear layer:
 * divided by t in the LayerNorm, multiplied by t in the layer, with t = max|x|^¾ / max|w|^¼
 * (SmoothQuant, arXiv 2211.10438).
 */
function equalised(model, most) {
  const tensors = new Map(model.tensors);
  const copy = (name) => {
    const tensor = tensors.get(name);
    const data = tensor.data.slice();
    tensors.set(name, { ...tensor, data });
    return data;
  };
  for (const [name, sizes] of most) {
    const norm = name.slice(0, -'.out'.length);
    const layer = norm.endsWith('norm1')
      ? norm.replace('norm1', 'attn.qkv')
      : norm.replace('norm2', 'mlp.fc1');
    const [gamma, beta, weight] = [`${norm}.weight`, `${norm}.bias`, `${layer}.weight`].map(copy);
    const heaviest = new Float64Array(sizes.length);
    weight.forEach((w, i) => {
      const c = i % sizes.length;
      heaviest[c] = Math.max(heaviest[c], Math.abs(w));
    });
    const t = sizes.map((size, c) => Math.max(size, 1e-6) ** 0.75 / Math.max(heaviest[c], 1e-6) ** 0.25);
    for (let c = 0; c < t.length; c++) {
      gamma[c] /= t[c];
      beta[c] /= t[c];
    }
    for (let i = 0; i < weight.length; i++) weight[i] *= t[i % t.length];
  }
  return { ...model, tensors };
}

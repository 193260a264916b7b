// Integer against float on this machine, in one process, turn by turn, on one image:
//   npm run build && node bench/model.mjs --model M.safetensors --reference FLOAT.safetensors [--runs 30] [--json]
import { readFileSync } from 'node:fs';
import { load } from '../dist/index.js';
import { FloatRunner } from '../dist/models/float.js';
import { readFloatModel } from '../dist/quantize/index.js';
import { json, machine, median, option } from './support.mjs';

const root = new URL('../', import.meta.url);
const model = option('model', new URL('models/deit_cifar10.safetensors', root));
const reference = option('reference');
const runs = Number(option('runs', 30));

const integer = await load(model);
const scalar = await load(model, { tier: 'scalar' });
const float =
  reference &&
  (await FloatRunner.create(readFloatModel(new Uint8Array(readFileSync(reference)), { file: reference }), {
    wasm: readFileSync(new URL('wasm/fqvit.float.wasm', root)),
  }));
const pixels = new Uint8Array(integer.info.preprocessing.imageSize ** 2 * 3).map(
  (_, i) => (i * 2654435761) >>> 24,
);
const contenders = {
  'integer simd': () => integer.codesOfPixels(pixels),
  'integer scalar': () => scalar.codesOfPixels(pixels),
  ...(float ? { float: () => float.run([pixels]) } : {}),
};
const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
for (let i = -3; i < runs; i++) {
  for (const [name, run] of Object.entries(contenders)) {
    if (name === 'integer scalar' && i >= 5) continue;
    const start = performance.now();
    run();
    if (i >= 0) times[name].push(performance.now() - start);
  }
}
const rows = Object.entries(times).map(([name, ms]) => ({
  name,
  medianMs: median(ms),
  minMs: Math.min(...ms),
  runs: ms.length,
}));
const ratio = float ? median(times.float.map((ms, i) => ms / times['integer simd'][i])) : undefined;
if (json)
  console.log(
    JSON.stringify({
      machine: machine(),
      model: integer.info.architecture.name,
      rows,
      floatOverInteger: ratio,
    }),
  );
else {
  console.log(integer.info.architecture.name, machine());
  console.table(
    rows.map((row) => ({ ...row, medianMs: +row.medianMs.toFixed(1), minMs: +row.minMs.toFixed(1) })),
  );
  if (ratio) console.log(`float / integer: ${ratio.toFixed(2)} (median of pairs; 3 warm-up rounds)`);
}

// All architectures of the README's table: parameters, checkpoint sizes, ms per image, peak memory; integer against float,
// in one process, turn by turn. The weights are generated (pseudo-random, of unit gain), the scales calibrated on noise:
// sizes, memory and time depend on neither.
//   npm run build && node bench/architectures.mjs [--only TIMM_NAME] [--runs 15] [--json]
import { readFileSync } from 'node:fs';
import { writeSafetensors } from '../dist/checkpoint/safetensors.js';
import { swinNames, swinShape } from '../dist/checkpoint/swin-names.js';
import { findArchitecture } from '../dist/checkpoint/timm-architectures.js';
import { vitNames, vitShape } from '../dist/checkpoint/vit-names.js';
import { load } from '../dist/index.js';
import { FloatRunner } from '../dist/models/float.js';
import { quantize, readFloatModel } from '../dist/quantize/index.js';
import { json, machine, median, option } from './support.mjs';

const NAMES = [
  'deit_tiny_patch16_224',
  'deit_small_patch16_224',
  'deit_base_patch16_224',
  'vit_base_patch16_224',
  'swin_tiny_patch4_window7_224',
  'swin_small_patch4_window7_224',
  'swin_base_patch4_window7_224',
];
const CLASSES = 1000;
const only = option('only');
const runs = Number(option('runs', 15));
const floatWasm = readFileSync(new URL('../wasm/fqvit.float.wasm', import.meta.url));

let state = 1;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 31 - 1;
};

/** A float checkpoint of this architecture: matrices of unit gain, LayerNorm weights about 1, everything else about 0. */
function floatCheckpoint(known) {
  const { family, dim, patchSize, imageSize, heads, window } = known;
  const sizes = {
    ...known,
    patches: (imageSize / patchSize) ** 2,
    mlpDim: 4 * dim,
    classes: CLASSES,
    ...(family === 'swin'
      ? { windows: heads.map((_, i) => Math.min(window, imageSize / patchSize / 2 ** i)) }
      : {}),
  };
  const names = family === 'swin' ? swinNames(known.depths) : vitNames(known.depth);
  const tensors = names.map((name) => {
    const shape = (family === 'swin' ? swinShape : vitShape)(name, sizes);
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
    const isNorm = /norm\d?\.weight$/.test(name);
    const spread = isNorm ? 0.5 : name.endsWith('.weight') ? Math.sqrt(3 / fanIn) : 0.2;
    for (let i = 0; i < data.length; i++) data[i] = Number(isNorm) + spread * random();
    return { name, dtype: 'F32', shape, data: new Uint8Array(data.buffer) };
  });
  return writeSafetensors(tensors, {});
}

const noise = (size) => ({
  width: size,
  height: size,
  data: Uint8Array.from({ length: 3 * size * size }, () => 128 + 127 * random()),
});

async function measure(name) {
  const known = findArchitecture(name);
  const file = floatCheckpoint(known);
  const reference = readFloatModel(file, { arch: name });
  const images = [noise(known.imageSize), noise(known.imageSize)];
  const { bytes } = await quantize(file, images, { arch: name });
  const integer = await load(bytes);
  const float = await FloatRunner.create(reference, { wasm: floatWasm });
  const pixels = images[0].data;
  const times = { integer: [], float: [] };
  for (let i = -3; i < runs; i++) {
    for (const [kind, run] of [
      ['integer', () => integer.codesOfPixels(pixels)],
      ['float', () => float.run([pixels])],
    ]) {
      const start = performance.now();
      run();
      if (i >= 0) times[kind].push(performance.now() - start);
    }
  }
  return {
    name,
    parameters: [...reference.tensors.values()].reduce((sum, { data }) => sum + data.length, 0),
    floatBytes: file.length,
    integerBytes: bytes.length,
    floatMs: median(times.float),
    integerMs: median(times.integer),
    floatOverInteger: median(times.float.map((ms, i) => ms / times.integer[i])),
    floatMemory: float.memoryBytes,
    integerMemory: integer.info.memoryBytes,
  };
}

const rows = [];
for (const name of only === undefined ? NAMES : [only]) {
  rows.push(await measure(name));
  if (!json) console.error(`${name} done`);
}
if (json) {
  console.log(JSON.stringify({ machine: machine(), weights: 'generated', runs, rows }));
} else {
  const mb = (bytes) => +(bytes / 1e6).toFixed(1);
  console.log('generated weights', machine());
  console.table(
    rows.map((row) => ({
      name: row.name,
      parameters: row.parameters,
      'float MB': mb(row.floatBytes),
      'integer MB': mb(row.integerBytes),
      'float ms': +row.floatMs.toFixed(1),
      'integer ms': +row.integerMs.toFixed(1),
      ratio: +row.floatOverInteger.toFixed(2),
      'float memory MB': mb(row.floatMemory),
      'integer memory MB': mb(row.integerMemory),
    })),
  );
}

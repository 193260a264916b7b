// All architectures of the README's table: parameters, checkpoint sizes, ms per image, peak memory; integer against float,
// in one process, turn by turn. The weights are generated (pseudo-random, of unit gain), the scales calibrated on noise:
// sizes, memory and time depend on neither.
//   npm run build && node bench/architectures.mjs [--only TIMM_NAME] [--runs 15] [--json]
import { readFileSync } from 'node:fs';
import { findArchitecture } from '../dist/checkpoint/timm-architectures.js';
import { load } from '../dist/index.js';
import { FloatRunner } from '../dist/models/float.js';
import { quantize, readFloatModel } from '../dist/quantize/index.js';
import { floatCheckpoint, noise } from './generated.mjs';
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
const only = option('only');
const runs = Number(option('runs', 15));
const floatWasm = readFileSync(new URL('../wasm/fqvit.float.wasm', import.meta.url));

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

// The float32 WebAssembly SIMD path that calibration runs on.
import { readFileSync } from 'node:fs';
import { FloatRunner } from '../../../dist/forward/float/runner.js';
import { readFloatModel } from '../../../dist/quantize/index.js';

export async function create(file, { threads }) {
  if (threads > 1) throw new Error('fqvit-float has one thread');
  const wasm = readFileSync(new URL('../../../wasm/fqvit.float.wasm', import.meta.url));
  const runner = await FloatRunner.create(readFloatModel(new Uint8Array(readFileSync(file)), { file }), {
    wasm,
  });
  return {
    version: 'this checkout',
    prepare: (pixels) => pixels,
    run: (pixels) => runner.run([pixels])[0],
  };
}

// TensorFlow.js with its WebAssembly backend: the forward pass in its operations, with the weights
// of the float checkpoint.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { readFloatModel } from '../../../dist/quantize/index.js';
import { channelsLast } from '../pixels.mjs';
import { forward } from './tfjs-forward.mjs';

const require = createRequire(import.meta.url);
const tf = require('@tensorflow/tfjs-core');
const wasm = require('@tensorflow/tfjs-backend-wasm');

export async function create(file, { threads }) {
  if (threads > 1) throw new Error('TensorFlow.js has one thread in Node');
  wasm.setWasmPaths(
    fileURLToPath(new URL('../node_modules/@tensorflow/tfjs-backend-wasm/dist/', import.meta.url)),
  );
  await tf.setBackend('wasm');
  await tf.ready();
  const model = readFloatModel(new Uint8Array(readFileSync(file)), { file });
  const run = forward(tf, model);
  return {
    version: wasm.version_wasm,
    prepare: (pixels) => tf.tensor(channelsLast(pixels), [1, 224, 224, 3]),
    run: async (input) => {
      const logits = tf.tidy(() => run(input));
      const values = await logits.data();
      logits.dispose();
      return values;
    },
  };
}

// LiteRT.js expects a browser: here `importScripts` is `require`. Its loader scripts are CommonJS
// in a "type": "module" package, so they are copied to a folder in which Node and its worker
// threads take them for CommonJS.
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { channelsLast } from '../pixels.mjs';

const installed = new URL('../node_modules/@litertjs/core/', import.meta.url);
const scripts = fileURLToPath(new URL('../node_modules/.litert-wasm/', import.meta.url));

/** Copies the scripts unless they are there; before a cold start is timed. */
export function copyScripts() {
  if (!existsSync(scripts)) cpSync(new URL('wasm/', installed), scripts, { recursive: true });
}

async function start(threads) {
  copyScripts();
  const require = createRequire(import.meta.url);
  globalThis.self = globalThis;
  globalThis.importScripts = (path) => {
    globalThis.ModuleFactory = require(path);
  };
  const litert = await import('@litertjs/core');
  await litert.loadLiteRt(scripts, { threads: threads > 1 });
  return litert;
}

let started; // LiteRT.js itself can be loaded once in a process

export async function create(file, { threads }) {
  started ??= start(threads);
  const { loadAndCompile, Tensor } = await started;
  const model = await loadAndCompile(new Uint8Array(readFileSync(file)), {
    accelerator: 'wasm',
    cpuOptions: { numThreads: threads },
  });
  return {
    version: JSON.parse(readFileSync(new URL('package.json', installed), 'utf8')).version,
    prepare: (pixels) => new Tensor(channelsLast(pixels), [1, 224, 224, 3]),
    run: async (input) => {
      const [output] = await model.run(input);
      const logits = (await output.data()).slice();
      output.delete();
      return logits;
    },
  };
}

// `node build.mjs`: bundles the worker into dist/worker.mjs, with its WebAssembly modules and its
// model next to it.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

await build({
  absWorkingDir: fileURLToPath(new URL('.', import.meta.url)),
  entryPoints: ['worker.js'],
  bundle: true,
  minify: true,
  format: 'esm',
  conditions: ['workerd'],
  loader: { '.wasm': 'copy', '.safetensors': 'copy' },
  assetNames: '[name]', // config.capnp names them
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  logLevel: 'info',
});

// `node build.mjs`: the worker in one file, dist/worker.mjs, with its modules of WebAssembly and its model beside it.
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

// Bundles parts of the compiled sources in dist/:
// - dist/image/png/inflate.js contains its library;
// - dist/pool/worker.js is one file;
// - dist/cjs is for `require`;
// - dist/browser is for pages without a bundler: minified, with the WebAssembly modules next to it.
import { chmodSync, copyFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { KERNEL_MODULES } from './kernel-modules.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

async function bundle(input, output) {
  const build = await rolldown(input);
  await build.write(output);
  await build.close();
}

for (const folder of ['cjs', 'browser']) rmSync(`dist/${folder}`, { recursive: true, force: true });

// Ships only the half of pako that inflates: the whole of it adds 0.6 MB to the package. The
// functions named here only set up the other half.
await bundle(
  {
    input: 'dist/image/png/inflate.js',
    platform: 'neutral',
    treeshake: { manualPureFunctions: ['Config', 'zero$1'] },
  },
  {
    file: 'dist/image/png/inflate.js',
    format: 'esm',
    banner: `/*! pako\n${readFileSync('node_modules/pako/LICENSE', 'utf8')}*/`,
  },
);

// A worker starts faster from one file, and opens no file later (src/pool/worker.ts).
await bundle(
  { input: 'dist/pool/worker.js', platform: 'node', external: 'undici' }, // only URLs need it
  { file: 'dist/pool/worker.js', format: 'esm', codeSplitting: false },
);

// the codecs and the hub's library are ES modules only, so import() must load them
await bundle(
  {
    input: {
      index: 'dist/index.js',
      float: 'dist/float.js',
      pool: 'dist/pool/index.js',
      quantize: 'dist/quantize/index.js',
      serve: 'dist/serve/index.js',
    },
    platform: 'node',
    external: (id) => /^[^.#/]/.test(id) && !id.startsWith('dist/'),
  },
  { dir: 'dist/cjs', format: 'cjs', strict: true, chunkFileNames: '[name].js' },
);
// TypeScript needs the declarations again, for CommonJS
for (const path of readdirSync('dist', { recursive: true }))
  if (path.endsWith('.d.ts') && !/^(bench|cjs|browser|cli|hub)\b/.test(path))
    cpSync(`dist/${path}`, `dist/cjs/${path}`);
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n');

const beside = {
  name: 'beside',
  transform: (code) => code.replaceAll("new URL('../../wasm/", "new URL('./"),
};
await bundle(
  {
    input: {
      fqvit: 'dist/index.js',
      float: 'dist/float.js',
      'worker-browser': 'dist/runtime/worker-browser.js',
    },
    platform: 'browser',
    plugins: [beside],
  },
  { dir: 'dist/browser', format: 'esm', minify: true, chunkFileNames: '[name].js' },
);
for (const name of [...KERNEL_MODULES, 'jpeg', 'webp'])
  copyFileSync(`wasm/${name}.wasm`, `dist/browser/${name}.wasm`);
// npm makes it executable in an installed package; in a clone `npx fqvit` runs this file
chmodSync('dist/cli/main.js', 0o755);

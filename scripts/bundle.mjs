// Makes of the compiled sources in dist/ what they cannot be themselves: dist/image/inflate.js with its library inside;
// dist/pool/worker.js as one file; dist/cjs, for `require`; and dist/browser, minified and with its modules beside it, for pages
// without a bundler.
import { chmodSync, copyFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

async function bundle(input, output) {
  const build = await rolldown(input);
  await build.write(output);
  await build.close();
}

for (const folder of ['cjs', 'browser']) rmSync(`dist/${folder}`, { recursive: true, force: true });

// Of pako only the half that inflates is shipped: whole, it adds 0.6 MB to the package. The functions named here only set up the
// other half.
await bundle(
  {
    input: 'dist/image/inflate.js',
    platform: 'neutral',
    treeshake: { manualPureFunctions: ['Config', 'zero$1'] },
  },
  {
    file: 'dist/image/inflate.js',
    format: 'esm',
    banner: `/*! pako\n${readFileSync('node_modules/pako/LICENSE', 'utf8')}*/`,
  },
);

// A worker starts faster with one file, and once it has started it opens none (src/pool/worker.ts).
await bundle(
  { input: 'dist/pool/worker.js', platform: 'node', external: 'undici' }, // which only addresses need
  { file: 'dist/pool/worker.js', format: 'esm', codeSplitting: false },
);

// the codecs and the hub's library are modules only: they stay behind import()
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
// the same declarations, as those of CommonJS
for (const path of readdirSync('dist', { recursive: true }))
  if (path.endsWith('.d.ts') && !/^(cjs|browser|cli|hub)\b/.test(path))
    cpSync(`dist/${path}`, `dist/cjs/${path}`);
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n');

const MODULES = ['scalar', 'simd', 'relaxed', 'simd-threads', 'relaxed-threads', 'probe', 'float'].map(
  (name) => `fqvit.${name}`,
);
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
for (const name of [...MODULES, 'jpeg', 'webp'])
  copyFileSync(`wasm/${name}.wasm`, `dist/browser/${name}.wasm`);
// npm does it where the package is installed; in a clone `npx fqvit` runs the file as it is
chmodSync('dist/cli/main.js', 0o755);

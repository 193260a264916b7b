// `node bundle.mjs vite|webpack|esbuild FOLDER OUT` bundles app.mjs of a folder with fqvit
// installed.
import { cpSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const [bundler, folder, out] = process.argv.slice(2);
const html = '<!doctype html><meta charset="utf-8"><script type="module" src="app.mjs"></script>';

const BUNDLERS = {
  async vite() {
    const { build } = await import('vite');
    writeFileSync(join(folder, 'index.html'), html);
    await build({
      root: folder,
      configFile: false,
      logLevel: 'warn',
      base: './',
      build: { outDir: out, emptyOutDir: true, modulePreload: { polyfill: false } },
    });
  },
  async webpack() {
    const { default: webpack } = await import('webpack');
    const compiler = webpack({
      mode: 'production',
      optimization: { minimize: false },
      context: folder,
      entry: './app.mjs',
      output: { path: out, filename: 'app.mjs', module: true, chunkFormat: 'module' },
      experiments: { outputModule: true },
    });
    await new Promise((resolve, reject) => {
      compiler.run((error, stats) => {
        const problem =
          error ?? (stats.hasErrors() || stats.hasWarnings() ? stats.toString('errors-warnings') : undefined);
        compiler.close(() => (problem ? reject(problem) : resolve()));
      });
    });
    writeFileSync(join(out, 'index.html'), html);
  },
  /**
   * It does not follow `new URL(…, import.meta.url)`: copy the whole prebuilt bundle next to its
   * output.
   */
  async esbuild() {
    const { build } = await import('esbuild');
    await build({
      absWorkingDir: folder,
      entryPoints: ['app.mjs'],
      bundle: true,
      minify: true,
      format: 'esm',
      splitting: true,
      alias: { fqvit: 'fqvit/browser' },
      outdir: out,
      outExtension: { '.js': '.mjs' },
      logLevel: 'warning',
    });
    const browser = dirname(createRequire(join(folder, 'app.mjs')).resolve('fqvit/browser'));
    cpSync(browser, out, { recursive: true });
    writeFileSync(join(out, 'index.html'), html);
  },
};

await BUNDLERS[bundler]();

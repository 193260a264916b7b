import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { describeWith, runtimePath } from '../support/runtimes.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const ESBUILD = runtimePath('esbuild/bin/esbuild');

/** The gzipped size of a file, in bytes. */
const gzipped = (path: string) => gzipSync(readFileSync(path), { level: 9 }).length;

describeWith('gzipped downloads', [ESBUILD], () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fqvit-budgets-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Bundles and minifies. @returns the files that a page or worker gets, and the inputs of each */
  function bundle(script: string, flags: readonly string[]) {
    const [entry, out, meta] = ['entry.mjs', 'out', 'meta.json'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(entry, script);
    rmSync(out, { recursive: true, force: true });
    const all = [
      '--bundle',
      '--minify',
      '--format=esm',
      '--splitting',
      `--outdir=${out}`,
      `--metafile=${meta}`,
    ];
    execFileSync(process.execPath, [ESBUILD, entry, ...all, '--log-level=error', ...flags], { cwd: folder });
    const { outputs } = JSON.parse(readFileSync(meta, 'utf8')) as {
      outputs: Record<string, { inputs: object; imports: { path: string; kind: string }[] }>;
    };
    return Object.entries(outputs).map(([path, { inputs, imports }]) => ({
      size: gzipped(join(folder, path)),
      inputs: Object.keys(inputs),
      path,
      statics: imports.filter(({ kind }) => kind === 'import-statement').map((one) => one.path),
    }));
  }

  /** The files that load before any `import()`. */
  function atOnce(files: ReturnType<typeof bundle>, entry: RegExp): ReturnType<typeof bundle> {
    const loaded = new Set(files.filter(({ path }) => entry.test(path)));
    for (const { statics } of loaded)
      for (const file of files) if (statics.includes(file.path)) loaded.add(file);
    return [...loaded];
  }

  const sum = (sizes: readonly number[]) => sizes.reduce((a, b) => a + b, 0);
  const wasm = (name: string) => gzipped(join(root, `wasm/${name}.wasm`));
  const PAGE = `export { load } from '${join(root, 'dist/index.js')}';`;

  test('a page has at most 40 KB for raw pixels, 250 KB with JPEG and PNG, no quantiser and no float kernel', () => {
    const files = bundle(PAGE, []);
    const core = sum(atOnce(files, /entry\.js$/).map(({ size }) => size));
    const kernels = wasm('fqvit.simd');
    const decoding = files.filter(({ path }) => !/worker/.test(path));
    const pictures = sum(decoding.map(({ size }) => size)) + kernels + wasm('jpeg');
    console.info(
      `gzipped: ${core} bytes of JavaScript + ${kernels} of kernels for raw pixels; ${pictures} with JPEG and PNG`,
    );
    expect(core + kernels).toBeLessThan(40e3);
    expect(pictures).toBeLessThan(250e3);
    const inputs = files.flatMap((file) => file.inputs);
    expect(
      inputs.filter((path) =>
        /dist\/(quantize|models\/float|hub\/(?!id)|cli|.*float-wasm|.*-node)/.test(path),
      ),
    ).toEqual([]);
    const first = atOnce(files, /entry\.js$/).flatMap((file) => file.inputs);
    expect(first.filter((path) => /image\/(decode|png|jpeg|webp|codec)|fflate/.test(path))).toEqual([]);
  });

  test('a worker with its model has at most 3 MB', () => {
    const model = join(root, 'models/deit_cifar10.safetensors');
    const files = bundle(`${PAGE}\nexport { default as model } from '${model}';`, [
      '--conditions=workerd',
      '--loader:.wasm=copy',
      '--loader:.safetensors=copy',
    ]);
    const all = sum(readdirSync(join(folder, 'out')).map((name) => gzipped(join(folder, 'out', name))));
    console.info(`gzipped: ${all} bytes of a worker with deit_cifar10 and all decoders`);
    expect(files.length).toBeGreaterThan(7);
    expect(all).toBeLessThan(3e6);
  });
});

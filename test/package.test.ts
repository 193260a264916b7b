import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ImageSource, load } from '../src/index.js';
import { CHROMIUM, openPage } from './runtimes/browser.js';
import { describeWith, runtimePath } from './support/runtimes.js';
import { RECIPE, tinyIntegerFile } from './support/tiny-integer.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const photo = join(root, 'examples/chelsea.png');

let folder: string;
let tarball: string;
/** A folder with nothing but the installed package. */
let app: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fqvit-package-'));
  const options = ['--silent', '--ignore-scripts', '--pack-destination', folder];
  const name = execFileSync('npm', ['pack', ...options], { cwd: root, encoding: 'utf8' });
  tarball = join(folder, name.trim());
  app = join(folder, 'app');
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{ "private": true }');
  const quiet = ['--silent', '--offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  execFileSync('npm', ['install', ...quiet, '--cache', join(folder, 'cache'), tarball], { cwd: app });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the package is at most 5 MB', () => {
  expect(statSync(tarball).size).toBeLessThan(5e6);
});

test('installs and classifies without a network and without a cache', () => {
  const stdout = execFileSync('npx', ['--offline', 'fqvit', 'classify', photo, '--json'], {
    cwd: app,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  expect(JSON.parse(stdout)).toMatchObject([
    { file: photo, predictions: [{ label: 'cat' }, {}, {}, {}, {}] },
  ]);
}, 60_000);

/** The expected codes. */
async function codesOf(model: Uint8Array | string, images: readonly ImageSource[]): Promise<string[]> {
  const loaded = await load(model);
  const codes: string[] = [];
  for (const image of images) codes.push(String(await loaded.codes(image)));
  loaded.dispose();
  return codes;
}

describe.each([
  [
    'an ES module',
    'use.mjs',
    "import { CheckpointError, ImageError, load } from 'fqvit'; import { quantize } from 'fqvit/quantize';",
  ],
  [
    'CommonJS',
    'use.cjs',
    "const { CheckpointError, ImageError, load } = require('fqvit'); const { quantize } = require('fqvit/quantize');",
  ],
])('installed in an empty folder, from %s', (_, file, imports) => {
  test('classifies, also with threads, and both entries throw the same errors', async () => {
    const script = `${imports}
      (async () => {
        const model = await load('deit_cifar10', { threads: 2 });
        const codes = String(await model.codes(${JSON.stringify(photo)}));
        const refused = await model.codes(new Uint8Array(9)).catch((error) => error instanceof ImageError);
        const quantised = await quantize(new Uint8Array(9), [new Uint8Array(9)]).catch((error) => error instanceof CheckpointError);
        console.log(JSON.stringify({ codes, threads: model.info.threads, refused, quantised }));
        model.dispose();
      })();`;
    writeFileSync(join(app, file), script);
    const { stdout, stderr } = spawnSync(process.execPath, [file], { cwd: app, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      codes: (await codesOf('deit_cifar10', [photo]))[0],
      threads: 2,
      refused: true,
      quantised: true,
    });
  });
});

describe('the types of the package', () => {
  const USE = `import { type ImageSource, ImageError, load, type Model, type Prediction } from 'fqvit';
import { quantize } from 'fqvit/quantize';

export async function use(bytes: Uint8Array): Promise<Prediction[]> {
  const model: Model = await load(bytes, { tier: 'simd', threads: 2, wasm: new URL('https://example.org/simd.wasm') });
  const source: ImageSource = (await quantize(bytes, [bytes])).bytes;
  const error: Error = new ImageError('IMAGE_EMPTY', 'empty');
  console.log(error.message);
  // @ts-expect-error a number is not an image
  await model.classify(5);
  // @ts-expect-error nor is an object with a name
  await model.classify({ name: 'photo' });
  return model.classify(source, { top: 1 });
}
`;
  const DOM = ['--lib', 'es2022,dom'];
  test.each([
    ['node16', 'node16', ['use.mts', 'use.cts'], DOM],
    ['nodenext', 'nodenext', ['use.mts', 'use.cts'], DOM],
    ['esnext', 'bundler', ['use.ts'], DOM],
    // Node's own types have neither pictures nor WebAssembly
    ['nodenext', 'nodenext', ['use.mts'], ['--lib', 'es2022', '--skipLibCheck']],
  ])('module %s, resolution %s, %p, %p', (module, resolution, files, flags) => {
    for (const file of files) writeFileSync(join(app, file), USE);
    const { stdout, status } = spawnSync(
      process.execPath,
      [
        join(root, 'node_modules/typescript/bin/tsc'),
        ...['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'es2022', ...flags],
        ...['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')],
        ...['--module', module, '--moduleResolution', resolution, ...files],
      ],
      { cwd: app, encoding: 'utf8' },
    );
    expect([stdout, status]).toEqual(['', 0]);
  });
});

const [PUBLINT, ATTW] = [
  runtimePath('publint/src/cli.js'),
  runtimePath('@arethetypeswrong/cli/dist/index.js'),
];
describeWith('checkers of packages', [PUBLINT, ATTW], () => {
  test.each([
    ['publint', [PUBLINT, '--strict']],
    // fqvit/browser is for pages: Node does not resolve it from CommonJS
    [
      'arethetypeswrong',
      [ATTW, '--profile', 'node16', '--exclude-entrypoints', './browser', './browser/float'],
    ],
  ])('%s finds no problem', (_, [script, ...flags]) => {
    const { stdout, status } = spawnSync(process.execPath, [script!, tarball, ...flags], {
      encoding: 'utf8',
    });
    expect([stdout, status]).toEqual([expect.any(String), 0]);
  });
});

const BUNDLERS = ['vite', 'webpack', 'esbuild'];
const needed = [CHROMIUM.path, ...BUNDLERS.map((name) => runtimePath(`${name}/package.json`))];
describeWith('the package in a page', needed, () => {
  const narrow = tinyIntegerFile({ grid: 4, classes: 9 }, { ...RECIPE, weightBits: 7 });
  beforeAll(() => {
    copyFileSync(join(root, 'test/runtimes/app.mjs'), join(app, 'app.mjs'));
    mkdirSync(join(folder, 'more'));
    writeFileSync(join(folder, 'more/narrow.safetensors'), narrow);
  });

  test.each(BUNDLERS)('bundled by %s, finds its modules and classifies', async (bundler) => {
    const out = join(folder, bundler);
    const script = join(root, 'test/runtimes/bundle.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, bundler, app, out], { encoding: 'utf8' });
    expect([stderr, status]).toEqual(['', 0]);
    const fixtures = join(root, 'test/image/fixtures');
    const result = await openPage(CHROMIUM, out, 'index.html', {
      package: root,
      fixtures,
      more: join(folder, 'more'),
    });
    const pictures = ['420.jpg', 'lossy.webp'].map((name) => readFileSync(join(fixtures, name)));
    const raw = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 40, 50, 60) };
    expect(result).toEqual({
      label: expect.any(String),
      codes: [...(await codesOf('deit_cifar10', pictures)), ...(await codesOf(narrow, [raw]))],
      threads: 2,
    });
  });
});

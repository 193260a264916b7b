import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { quantize } from '../../src/quantize/index.js';
import { tinyModel } from '../support/tiny-model.js';
import { findExamples, ROOT } from './examples.js';

const LABELS = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

/** Examples also use other engines, and modules that bundlers make. */
const AMBIENT = `
type Handler = (request: Request) => Response | Promise<Response>;
declare const Deno: { serve(handler: Handler): void; serve(options: object, handler: Handler): void };
declare const Bun: { serve(options: { fetch: Handler }): void };
declare module '*?url' { const url: string; export default url; }
declare module 'fqvit/models/*' { const model: ArrayBuffer; export default model; }
`;

const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    lib: ['es2022', 'dom'],
    module: 'nodenext',
    strict: true,
    skipLibCheck: true,
    types: ['node'],
    allowJs: true,
    checkJs: true,
    outDir: 'out',
    rootDir: '.',
  },
  include: ['*.ts', '*.mts', '*.js', '*.mjs'],
};

/** Imports the given files in turn, and prints what each printed or threw. */
const RUN = `
import { format } from 'node:util';
const results = {};
for (const file of process.argv.slice(2)) {
  const result = { output: '' };
  for (const call of ['log', 'warn']) console[call] = (...values) => { result.output += format(...values) + '\\n'; };
  results[file] = result;
  await import('./' + file).catch((error) => { result.error = error.stack; });
}
process.stdout.write(JSON.stringify(results), () => process.exit());
`;

const examples = findExamples().map((example) => {
  const name = example.place.replace(/[^\w]+/g, '-');
  return { ...example, name, file: `${name}.${example.extension}` };
});

let folder: string;
let diagnostics: string[];
let results: Record<string, { output: string; error?: string }>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fqvit-examples-'));
  await writeFixtures();
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  writeFileSync(join(folder, 'ambient.d.ts'), AMBIENT);
  for (const { file, code } of examples) writeFileSync(join(folder, file), code);
  const tsc = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc')], {
    cwd: folder,
    encoding: 'utf8',
  });
  diagnostics = `${tsc.stdout}${tsc.stderr}`.split(/^(?=\S)/m).filter((line) => line !== '');
  writeFileSync(join(folder, 'run.mjs'), RUN);
  const compiled = examples.filter(({ runs }) => runs).map(({ file }) => `out/${outputOf(file)}`);
  results = JSON.parse(
    execFileSync(process.execPath, ['run.mjs', ...compiled], { cwd: folder, encoding: 'utf8' }),
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const outputOf = (file: string) => file.replace(/ts$/, 'js');

/** The files that the examples name, and the packages that they import. */
async function writeFixtures(): Promise<void> {
  mkdirSync(join(folder, 'node_modules'));
  for (const name of readdirSync(join(ROOT, 'node_modules')))
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  symlinkSync(ROOT, join(folder, 'node_modules/fqvit'));
  mkdirSync(join(folder, 'photos'));
  for (const name of ['photo.jpg', 'a.jpg', 'b.jpg', 'photos/1.jpg', 'photos/2.jpg'])
    cpSync(join(ROOT, 'examples/chelsea.png'), join(folder, name));
  const config = { architecture: 'deit', num_heads: 3, labels: LABELS };
  const float = tinyModel(config, { patchSize: 16, dim: 192, classes: 10 });
  writeFileSync(join(folder, 'deit_tiny.safetensors'), float);
  const { bytes } = await quantize(float, [join(folder, 'photo.jpg')]);
  writeFileSync(join(folder, 'm.safetensors'), bytes);
  writeFileSync(join(folder, 'labels.txt'), LABELS.join('\n'));
}

test('there are examples in the README, in pages and in comments, and the compiler read them all', () => {
  const places = examples.map(({ place }) => place);
  for (const file of ['README.md', 'docs/', 'src/model/model.ts'])
    expect(places.some((place) => place.startsWith(file))).toBe(true);
  expect(diagnostics.filter((line) => !examples.some(({ file }) => line.startsWith(`${file}(`)))).toEqual([]);
});

describe.each(examples)('$place', ({ file, runs, output }) => {
  test('fits the types of the package', () => {
    expect(diagnostics.filter((line) => line.startsWith(`${file}(`))).toEqual([]);
  });

  if (!runs) return;
  test('runs and prints what the page says', () => {
    const result = results[`out/${outputOf(file)}`]!;
    expect(result.error).toBeUndefined();
    if (output !== undefined) expect(result.output).toBe(output);
  });
});

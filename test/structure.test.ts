/** Modules import only from below, no imports form a cycle, and type names are unique. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const src = fileURLToPath(new URL('../src', import.meta.url));

/**
 * From the bottom to the top: what each may import is in its own line or in a line above. The four
 * sides of a kind of layer (`layers/KIND/`) belong to what uses them.
 */
const LAYERS: readonly (readonly RegExp[])[] = [
  [/^errors\.ts$/],
  [/^text\//],
  [/^platform\//],
  [/^labels\//],
  [/^image\//],
  [/^runtime\//],
  [/^checkpoint\/safetensors\//],
  [/^layers\/(\w+\/)?(layer|layer-base|shape|shapes|windows|limits)\.ts$/],
  [/^architecture\//, /^networks\//],
  [
    /^checkpoint\/integer\//,
    /^layers\/([\w-]+\/)?(integer\S*|checked|tensor-spec|nibbles|attention-values)\.ts$/,
  ],
  [/^checkpoint\/(names|config|onnx|torch|float)\//],
  [/^forward\//, /^layers\/([\w-]+\/)?float\S*\.ts$/],
  [/^hub\//],
  [/^model\//],
  [/^pool\//],
  [/^quantize\//, /^layers\//],
  [/^(index|float)\.ts$/],
  [/^batch\//],
  [/^(serve|queue|bench)\//],
  [/^cli\//],
];

const levelOf = (file: string) => LAYERS.findIndex((layer) => layer.some((pattern) => pattern.test(file)));

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'));
const { imports: aliases } = JSON.parse(readFileSync(join(src, '../package.json'), 'utf8'));

/** The modules that a file imports. Those that differ between platforms count as all of them. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8');
  const specifiers = [...text.matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);
  return specifiers.flatMap((specifier) => {
    if (specifier.startsWith('#'))
      return Object.values<string>(aliases[specifier]).map((path) =>
        path.replace('./dist/', '').replace(/\.js$/, '.ts'),
      );
    if (!specifier.startsWith('.')) return [];
    const path = posix.join(dirname(file), specifier).replace(/\.js$/, '.ts');
    return path.startsWith('../') ? [] : [path];
  });
}

const graph = new Map(files.map((file) => [file, [...new Set(importsOf(file))]]));

test('every module has a place, and every import leads to a module', () => {
  expect(files.filter((file) => levelOf(file) < 0)).toEqual([]);
  expect([...graph.values()].flat().filter((file) => !graph.has(file))).toEqual([]);
});

test('no import points upward', () => {
  const upward = files.flatMap((file) =>
    graph
      .get(file)!
      .filter((other) => levelOf(other) > levelOf(file))
      .map((other) => `${file} -> ${other}`),
  );
  expect(upward).toEqual([]);
});

test('no imports form a cycle', () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    expect(path.includes(file) ? [...path.slice(path.indexOf(file)), file].join(' -> ') : '').toBe('');
    if (done.has(file)) return;
    for (const other of graph.get(file)!) visit(other, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
});

test('each type name stands for one thing', () => {
  const places = new Map<string, string[]>();
  for (const file of files) {
    const text = readFileSync(join(src, file), 'utf8');
    for (const [, name] of text.matchAll(/^(?:export )?(?:interface|type|(?:abstract )?class) (\w+)/gm))
      places.set(name!, [...(places.get(name!) ?? []), file]);
  }
  expect([...places].filter(([, list]) => list.length > 1)).toEqual([]);
});

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../../', import.meta.url));
const source = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => readFileSync(`${root}src/${path}`, 'utf8'))
  .join('\n');
const page = readFileSync(`${root}docs/errors.md`, 'utf8');
const listed = new Set([...page.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, code]) => code!));

/** Codes next to the constructor of an error, and those of families that helpers pass on. */
const thrown = new Set([
  ...[...source.matchAll(/new \w*Error\(\s*'([A-Z][A-Z0-9_]+)'/g)].map(([, code]) => code!),
  ...[
    ...source.matchAll(
      /'((?:CHECKPOINT|MODEL|IMAGE|HUB|QUEUE|CALIBRATION|QUANTIZER|REDIS|POOL|WASM)_[A-Z_]+)'/g,
    ),
  ].map(([, code]) => code!),
]);

test('docs/errors.md lists every code that the source throws', () => {
  expect(thrown.size).toBeGreaterThan(100);
  expect([...thrown].filter((code) => !listed.has(code))).toEqual([]);
});

test('docs/errors.md lists no other code', () => {
  const variables = ['HF_HUB_OFFLINE', 'HF_ENDPOINT'];
  const known = (code: string) => variables.includes(code) || source.includes(`'${code}'`);
  expect([...listed].filter((code) => !known(code) && !['JPEG', 'SIGTERM'].includes(code))).toEqual([]);
});

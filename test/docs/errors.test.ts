import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../../', import.meta.url));
const source = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => readFileSync(`${root}src/${path}`, 'utf8'))
  .join('\n');
const page = readFileSync(`${root}docs/errors.md`, 'utf8');
const codesIn = (text: string) => [...text.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, code]) => code!);
const listed = new Set(codesIn(page));

/** `Class CODE` next to the constructor of an error. */
const constructed = [...source.matchAll(/new (\w+Error)\(\s*'([A-Z][A-Z0-9_]+)'/g)].map(
  ([, name, code]) => [name!, code!] as const,
);
/** Codes given to a helper, and those of families that helpers pass on. */
const FAMILIES = 'CHECKPOINT|MODEL|IMAGE|HUB|QUEUE|CALIBRATION|QUANTIZER|REDIS|POOL|WASM';
const passed = [
  /\b(?:check|expect|refuse|fail)\w*\(\s*'([A-Z][A-Z0-9_]+)'/g,
  new RegExp(`'((?:${FAMILIES})_[A-Z_]+)'`, 'g'),
].flatMap((pattern) => [...source.matchAll(pattern)].map(([, code]) => code!));
const thrown = new Set([...constructed.map(([, code]) => code), ...passed]);

test('docs/errors.md lists every code that the source throws', () => {
  expect(thrown.size).toBeGreaterThan(100);
  expect([...thrown].filter((code) => !listed.has(code))).toEqual([]);
});

test('docs/errors.md lists every code under its class', () => {
  const sections = page.split(/^## /m).slice(1);
  const ofClass = (name: string) =>
    sections.filter((section) => section.startsWith(`${name}\n`)).flatMap(codesIn);
  const own = [...new Set(constructed.map(([name]) => name))].filter((name) => ofClass(name).length > 0);
  expect(own.length).toBeGreaterThan(5);
  const wrong = constructed.filter(([name, code]) => own.includes(name) && !ofClass(name).includes(code));
  expect(wrong).toEqual([]);
});

test('docs/errors.md lists no other code', () => {
  const variables = ['HF_HUB_OFFLINE', 'HF_ENDPOINT'];
  const known = (code: string) => variables.includes(code) || source.includes(`'${code}'`);
  expect([...listed].filter((code) => !known(code) && !['JPEG', 'SIGTERM'].includes(code))).toEqual([]);
});

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import {
  bundled,
  dependenciesPage,
  native,
  optional,
  PEERS,
  thirdPartyLicenses,
} from '../scripts/dependencies.mjs';
import { sbom } from '../scripts/sbom.mjs';
import { sharedCodecs } from '../src/image/codecs-node.js';

const root = new URL('../', import.meta.url);
const bytes = (path: string) => readFileSync(new URL(path, root));
const text = (path: string) => bytes(path).toString('utf8');
const json = (path: string) => JSON.parse(text(path));
const sha256 = (path: string) => createHash('sha256').update(bytes(path)).digest('hex');

const modules = native.flatMap((component) => Object.entries(component.modules ?? {}));

test.each(modules)('every copy of %s has the digest of codecs/components.json', (name, digest) => {
  expect(sha256(`codecs/${name}`)).toBe(digest);
  expect(sha256(`wasm/${name}`)).toBe(digest);
  if (name !== 'jpeg-encode.wasm') expect(sha256(`dist/browser/${name}`)).toBe(digest);
});

test.each(modules)('%s imports only its memory and two functions', async (name) => {
  const imports = WebAssembly.Module.imports(await WebAssembly.compile(bytes(`codecs/${name}`)));
  expect(imports.map((one) => `${one.module}.${one.name}`).sort()).toEqual([
    'env.emit',
    'env.fail',
    'env.memory',
  ]);
});

test('the decoders report the versions of codecs/components.json, which fix CVE-2023-4863', async () => {
  const version = (name: string) => native.find((component) => component.name === name)?.version;
  expect(await sharedCodecs.jpeg.version()).toBe(version('libjpeg-turbo'));
  expect(await sharedCodecs.webp.version()).toBe(version('libwebp'));
  const atLeast = (found: string, wanted: string) =>
    found.localeCompare(wanted, undefined, { numeric: true }) >= 0;
  expect(atLeast(await sharedCodecs.webp.version(), '1.3.2')).toBe(true);
  expect(atLeast(await sharedCodecs.jpeg.version(), '3.0.0')).toBe(true);
});

test('docs/dependencies.md and THIRD-PARTY-LICENSES match what is installed', () => {
  // node scripts/dependencies.mjs
  expect(text('docs/dependencies.md')).toBe(dependenciesPage());
  expect(text('THIRD-PARTY-LICENSES')).toBe(thirdPartyLicenses());
  for (const { name, version } of [...native, ...bundled])
    expect(text('THIRD-PARTY-LICENSES')).toContain(`\n${name} ${version} (`);
  expect(json('package.json').files).toEqual(expect.arrayContaining(['THIRD-PARTY-LICENSES', 'SECURITY.md']));
});

test('lists every shipped dependency at its installed version, none under the GPL', () => {
  const { dependencies, optionalDependencies } = json('package.json');
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);
  expect(names(bundled)).toEqual(expect.arrayContaining(Object.keys(dependencies)));
  expect(names(optional)).toEqual(expect.arrayContaining(Object.keys(optionalDependencies)));
  for (const { name, path, version } of bundled)
    expect({ name, version: json(`${path}/package.json`).version }).toEqual({ name, version });
  for (const { license } of [...native, ...bundled, ...optional]) expect(license).not.toMatch(/GPL/);
});

test('the range of a peer starts at its oldest tested version and ends after its newest major', () => {
  const { peerDependencies, devDependencies } = json('package.json');
  expect(Object.keys(PEERS)).toEqual(Object.keys(peerDependencies));
  for (const [name, { tested }] of Object.entries(PEERS)) {
    const newest = Number(/\d+/.exec(devDependencies[name]));
    expect(`${name} ${peerDependencies[name]}`).toBe(`${name} >=${tested[0]} <${newest + 1}`);
  }
});

test("the SBOM lists all of them, and no address except its own format's", () => {
  const bom = sbom();
  expect(bom.components.map(({ name, version }) => `${name}@${version}`)).toEqual(
    [...native, ...bundled, ...optional].map(({ name, version }) => `${name}@${version}`),
  );
  expect(JSON.stringify(bom).match(/https?:\/\/[^/"]+/g)).toEqual(['http://cyclonedx.org']);
});

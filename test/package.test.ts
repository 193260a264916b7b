import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('..', import.meta.url));

let folder: string;
let tarball: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fqvit-package-'));
  const options = ['--silent', '--ignore-scripts', '--pack-destination', folder];
  const name = execFileSync('npm', ['pack', ...options], { cwd: root, encoding: 'utf8' });
  tarball = join(folder, name.trim());
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the package is at most 5 MB', () => {
  expect(statSync(tarball).size).toBeLessThan(5e6);
});

test('on a machine without a network and without a cache it classifies at once', () => {
  const options = ['--yes', '--offline', '--cache', join(folder, 'cache')];
  const photo = join(root, 'examples/chelsea.png');
  const stdout = execFileSync('npx', [...options, `./${basename(tarball)}`, 'classify', photo, '--json'], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  expect(JSON.parse(stdout)).toMatchObject([
    { file: photo, predictions: [{ label: 'cat' }, {}, {}, {}, {}] },
  ]);
}, 60_000);

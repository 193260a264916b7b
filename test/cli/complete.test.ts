import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { fqvit } from './support.js';

const completions = async (...words: string[]) => {
  const { code, stdout } = await fqvit(['complete', '--', ...words]);
  expect(code).toBe(0);
  const lines = stdout.trim().split('\n');
  return { values: lines.slice(0, -1).map((line) => line.split('\t')[0]), files: lines.at(-1) === ':0' };
};

test.each([
  ['a command', ['quan'], ['quantize']],
  ['an option', ['classify', '--mod'], ['--model']],
  ['a bundled model', ['classify', '--model', ''], ['deit_cifar10', 'swin_cifar10']],
  ['a choice', ['quantize', 'x', '--method', 'm'], ['minmax']],
  ['a shell', ['complete', 'f'], ['fish']],
])('completes %s', async (_, words, values) => {
  expect(await completions(...words)).toEqual({ values, files: false });
});

test.each([
  ['photos', ['classify', 'ph']],
  ['a model that is not bundled', ['classify', '--model', './m']],
])('leaves %s to the shell', async (_, words) => {
  expect(await completions(...words)).toEqual({ values: [], files: true });
});

test('prints a script that bash accepts', async () => {
  const { code, stdout } = await fqvit(['complete', 'bash']);
  expect(code).toBe(0);
  execFileSync('bash', ['-n'], { input: stdout });
  expect(stdout).toMatch(/complete -o default -F __fqvit_complete fqvit\n$/);
});

test('refuses an unknown shell', async () => {
  const { code, stderr } = await fqvit(['complete', 'tcsh']);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('SHELL: expected one of') });
});

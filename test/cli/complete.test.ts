import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { COMPLETIONS } from '../../src/cli/completions.js';
import { fqvit, Scratch } from './support.js';

const scratch = new Scratch();

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

test("bash's completion runs nothing that is typed", async () => {
  const { stdout } = await fqvit(['complete', 'bash']);
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  const complete = (...words: string[]) =>
    execFileSync(
      'bash',
      [
        '-c',
        `fqvit() { "$NODE" "$MAIN" "$@"; }; ${stdout}
        source <(echo "$SCRIPT")
        COMP_WORDS=(fqvit "$@"); COMP_CWORD=$#; __fqvit_complete; printf '%s ' "\${COMPREPLY[@]}"`,
        'bash',
        ...words,
      ],
      { cwd: scratch.path, env: { ...process.env, NODE: process.execPath, MAIN: main, SCRIPT: stdout } },
    ).toString();
  scratch.write('out.json', 'precious');
  expect(complete('eval', 'm', '--json', '>', 'out.json', '--im')).toBe('--images ');
  expect(complete('classify', '$(touch pwned)', '--mo')).toBe('--model ');
  expect(complete('classify', '--model', '=', 'de')).toBe('deit_cifar10 ');
  expect(complete('classify', 'photos/')).toBe(' ');
  expect(new TextDecoder().decode(scratch.read('out.json'))).toBe('precious');
  expect(existsSync(scratch.at('pwned'))).toBe(false);
});

test('no script evaluates text', async () => {
  for (const script of Object.values(COMPLETIONS)) expect(script).not.toMatch(/\beval\b|Invoke-Expression/i);
});

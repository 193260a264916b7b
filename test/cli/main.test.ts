import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { COMMANDS } from '../../src/cli/commands.js';
import { fqvit, Scratch } from './support.js';

const scratch = new Scratch();

test('--help lists the commands on stdout', async () => {
  const run = await fqvit(['--help']);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  for (const [name, { summary }] of COMMANDS) expect(run.stdout).toContain(`  ${name}`.padEnd(12) + summary);
  expect(run.stdout).toMatch(/^Examples:$/m);
  expect(await fqvit(['-h'])).toEqual(run);
  expect(await fqvit(['help'])).toEqual(run);
});

test.each([...COMMANDS.keys()])(
  '%s --help shows arguments, options and examples, in 100 columns',
  async (name) => {
    const run = await fqvit([name, '--unknown', '--help']);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(new RegExp(`^Usage: fqvit ${name} `, 'm'));
    const takesArguments = /^Usage: fqvit \w+ (?!\[OPTIONS\])\[?[A-Z]/m.test(run.stdout);
    expect(/^Arguments:$/m.test(run.stdout)).toBe(takesArguments);
    expect(run.stdout).toMatch(/^ {2}-h, --help +Show this help$/m);
    expect(run.stdout).toMatch(new RegExp(`^ {2}fqvit ${name} `, 'm'));
    expect(run.stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
    expect(await fqvit(['help', name])).toEqual(run);
  },
);

test('--version prints the version of the package', async () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(await fqvit(['--version'])).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' });
});

test('without a command, the help goes to stderr', async () => {
  const run = await fqvit([]);
  expect(run).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^Commands:$/m) });
});

describe('wrong usage exits with 2, suggests a name, and points to the help', () => {
  test.each([
    [
      ['clasify', 'x'],
      /^fqvit: COMMAND: .*found "clasify"; did you mean classify\?\nTry `fqvit --help`\.\n$/,
    ],
    [
      ['measure'],
      /^fqvit: COMMAND: expected one of classify, batch, enqueue, work, queue, quantize, eval, features, serve, bench, inspect, complete, found "measure"\n/,
    ],
    [['--verison'], /^fqvit: COMMAND: .*did you mean --version\?/],
    [
      ['classify', 'x', '--modle', 'y'],
      /^fqvit: OPTION: .*did you mean --model\?\nTry `fqvit classify --help`\.\n$/,
    ],
    [['classify'], /^fqvit: ARGUMENT: expected IMAGE, found none\n/],
    [
      ['classify', 'x', '--top', '0'],
      /^fqvit: OPTION: option --top: expected an integer from 1, found "0"\n/,
    ],
    [['quantize', 'x', '--calibration', 'y'], /^fqvit: OPTION: expected option --output, found none\n/],
    [['inspect', 'x', 'y'], /^fqvit: ARGUMENT: expected 1 argument \(M\), found 2: "y" is too many\n/],
    [
      ['quantize', 'x', '--calibration', 'y', '-o', 'z', '--method', 'ema', '--observer', 'omse'],
      /^fqvit: METHOD: .*"ema" is its own observer, found "omse"\n/,
    ],
    [
      ['quantize', 'x', '--calibration', 'y', '-o', 'z', '--std', '0,1,1'],
      /option --std: expected three numbers above 0/,
    ],
    [
      ['eval', 'x', '--images', 'y', '--labels', 'z', '--limit', '1e3'],
      /option --limit: expected an integer from 1/,
    ],
  ])('%j', async (args, message) => {
    const run = await fqvit(args, { cwd: scratch.path });
    expect(run).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
  });
});

test('DEBUG=1 prints the stack of an error', async () => {
  const run = await fqvit(['inspect', 'nowhere'], { env: { DEBUG: '1' } });
  expect(run).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^fqvit: SOURCE: .*\nRuntimeError: .*\n {4}at /),
  });
});

(existsSync('/dev/full') ? test : test.skip)('a full disk as stdout is an error', async () => {
  const run = await fqvit(['--help'], { pipe: '> /dev/full' });
  expect(run).toEqual({
    code: 1,
    stdout: '',
    stderr: 'fqvit: OUTPUT: standard output: expected a writable stream, found ENOSPC\n',
  });
});

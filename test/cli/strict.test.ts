import { describe, expect, test } from '@jest/globals';
import { describeCommand } from '../../src/cli/command.js';
import { nearest } from '../../src/cli/nearest.js';
import { checkArguments } from '../../src/cli/strict.js';
import { fractionOption, integerOption, tripleOption } from '../../src/cli/values.js';
import { UsageError } from '../../src/errors.js';

const command = describeCommand({
  name: 'paint',
  summary: 'paint a wall',
  usage: 'WALL',
  args: {
    wall: { type: 'positional', required: true },
    colour: { type: 'enum', options: ['red', 'blue'] },
    output: { type: 'string', alias: 'o', required: true },
    coats: { type: 'string' },
    dry: { type: 'boolean' },
  },
  examples: [],
  run: async () => {},
});

function refusal(...args: string[]): string {
  try {
    checkArguments(command, args);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error(`accepted: ${args.join(' ')}`);
}

describe('arguments', () => {
  test.each([
    ['wall', '-o', 'x'],
    ['-ox', 'wall', '--dry', '--colour=red', '--coats', '-1'],
    ['--output=--odd', '--', '--wall'],
    ['-o', '-', 'wall'],
  ])('%j %j %j are accepted', (...args) => {
    checkArguments(command, args);
  });

  test.each([
    [['wall', '-o', 'x', '--colour', 'green'], 'option --colour: expected one of red, blue, found "green"'],
    [['wall', '-o', 'x', '--coat', '2'], /found none; did you mean --coats\?$/],
    [
      ['wall', '-o', 'x', '--__proto__', '2'],
      /^option "--__proto__": expected an option of `fqvit paint`, found none$/,
    ],
    [['wall', '-o', 'x', '--no-dry'], /^option "--no-dry": expected an option/],
    [['wall', '-o', 'x', '-d'], /^option "-d": expected an option/],
    [['wall', '-o', 'x', '--output', 'y'], 'option --output: expected once, found twice'],
    [['wall', '-o', 'x', '--dry', '--dry'], 'option --dry: expected once, found twice'],
    [['wall', '-o', 'x', '--dry=no'], 'option --dry: expected no value, found "no"'],
    [['wall', '-o', 'x', '--coats'], 'option --coats: expected a value, found none'],
    [['wall', '-o', 'x', '--coats='], 'option --coats: expected a value, found none'],
    [['wall', '-o', 'x', '--coats', ''], 'option --coats: expected a value, found none'],
    [['wall', '-o', '--dry'], 'option -o: expected a value, found the option "--dry"'],
    [['wall', '-o', '--', 'x'], 'option -o: expected a value, found the option "--"'],
    [['wall', '-o=x'], 'option -o: expected a value after a space, found "=x"'],
    [['wall'], 'expected option --output, found none'],
    [['-o', 'x'], 'expected WALL, found none'],
    [['', '-o', 'x'], 'expected WALL, found an empty argument'],
    [['wall', 'fence', '-o', 'x'], 'expected 1 argument (WALL), found 2: "fence" is too many'],
  ])('%j are refused', (args, message) => {
    const found = refusal(...args);
    if (typeof message === 'string') expect(found).toBe(message);
    else expect(found).toMatch(message);
  });
});

describe('values', () => {
  test('integers are read or refused', () => {
    expect(integerOption('n', '0', 0)).toBe(0);
    expect(integerOption('n', '4294967295', 0, 2 ** 32 - 1)).toBe(2 ** 32 - 1);
    for (const bad of ['-1', '1.5', '1e3', '0x10', ' 5', 'abc', '9007199254740992', '99999999999999999999']) {
      expect(() => integerOption('n', bad, 0)).toThrow(
        `option --n: expected an integer from 0, found "${bad}"`,
      );
    }
    expect(() => integerOption('n', '6', 1, 5)).toThrow('expected an integer from 1 to 5, found "6"');
  });

  test('fractions and triples are read or refused', () => {
    expect(fractionOption('crop', '.875')).toBe(0.875);
    for (const bad of ['0', '1.01', '-0.5', 'NaN', 'Infinity', '0x1', '1e400']) {
      expect(() => fractionOption('crop', bad)).toThrow('expected a number above 0 and at most 1');
    }
    expect(tripleOption('mean', '0,0.5,1')).toEqual([0, 0.5, 1]);
    expect(tripleOption('std', '0.1, 5e-1, 1.', { positive: true })).toEqual([0.1, 0.5, 1]);
    for (const bad of ['0.1', '1,2,3', '0.1,0.2', '0.1,0.2,0.3,0.4', '0.1,,0.3', 'a,b,c']) {
      expect(() => tripleOption('mean', bad)).toThrow(`three numbers from 0 to 1 as r,g,b, found "${bad}"`);
    }
    expect(() => tripleOption('std', '0,1,1', { positive: true })).toThrow('three numbers above 0');
  });
});

test('nearest finds the closest name, if any is close', () => {
  expect(nearest('quantise', ['classify', 'quantize'])).toBe('quantize');
  expect(nearest('calibrate', ['calibration', 'crop'])).toBe('calibration');
  expect(nearest('serve', ['eval', 'inspect'])).toBeUndefined();
  expect(nearest('o', ['top'])).toBe('top');
  expect(nearest('xyz', ['top'])).toBeUndefined();
});

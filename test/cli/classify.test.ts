import { mkdirSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { load } from '../../src/index.js';
import { fqvit, Scratch, withInteger } from './support.js';

const scratch = new Scratch();
let integer: string;
let float: string;
let photo: string;
let other: string;

beforeAll(async () => {
  ({ integer, float } = await withInteger(scratch));
  photo = scratch.photo('photo.png', 11);
  other = scratch.photo('other photo.png', 12);
});

test('prints one block per image: its name, then classes with percentages, best first', async () => {
  const { code, stdout, stderr } = await fqvit(['classify', photo, other, '--model', integer, '--top', '2']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [first, second, ...rest] = stdout.trimEnd().split('\n\n');
  expect(rest).toEqual([]);
  const row = / *\d+\.\d % {2}[█▏▎▍▌▋▊▉ ]{20} {2}(red|green|blue)/;
  for (const [block, file] of [
    [first!, photo],
    [second!, other],
  ] as const) {
    const [heading, ...rows] = block.split('\n');
    expect(heading).toMatch(/ {2}\([\d.]+ m?s\)$/);
    expect(heading!.startsWith(`${file}  (`)).toBe(true);
    expect(rows).toHaveLength(2);
    for (const text of rows) expect(text).toMatch(row);
  }
});

test('--json prints one document with the numbers of the library', async () => {
  const { code, stdout, stderr } = await fqvit([
    'classify',
    '--json',
    photo,
    `--model=${integer}`,
    '--',
    other,
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const model = await load(integer);
  const predictions = await model.classify([photo, other]);
  expect(predictions[0]).toHaveLength(3);
  expect(JSON.parse(stdout)).toEqual([
    { file: photo, model: integer, predictions: predictions[0], ms: expect.any(Number) },
    { file: other, model: integer, predictions: predictions[1], ms: expect.any(Number) },
  ]);
});

test('names bad images on stderr, classifies the others, and exits with 1', async () => {
  const empty = scratch.write('empty.jpg', '');
  const text = scratch.write('text.png', 'no picture');
  const files = [empty, photo, scratch.path, scratch.at('nowhere.png'), text, other];
  const { code, stdout, stderr } = await fqvit(['classify', ...files, '--model', integer, '--json']);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject([{ file: photo }, { file: other }]);
  const lines = stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(/^fqvit: IMAGE_\w+: .*empty\.jpg: /);
  expect(lines[1]).toBe(
    `fqvit: SOURCE: ${scratch.path}: expected a file, found a folder; name the photos in it, or run \`fqvit batch\``,
  );
  expect(lines[2]).toMatch(
    /^fqvit: SOURCE: .*nowhere\.png: expected a file, found nothing of that name \(ENOENT\)$/,
  );
  expect(lines[3]).toMatch(/^fqvit: IMAGE_\w+: .*text\.png: /);
});

test('prints an empty document without a good image', async () => {
  const run = await fqvit(['classify', scratch.at('nowhere.png'), '--model', integer, '--json']);
  expect(run).toMatchObject({ code: 1, stdout: '[]\n' });
});

test('escapes control characters in names and labels', async () => {
  const evil = scratch.write('evil.txt', `red\u001b[2Jdevil\ngreen\nblue\n`);
  const model = scratch.at('evil.st');
  const made = await fqvit([
    'quantize',
    ...[float, '--calibration', scratch.at('photos'), '-o', model, '--labels', evil],
  ]);
  expect(made).toMatchObject({ code: 0 });
  const name = scratch.photo('a\u001b]0;b.png', 13);
  const { stdout } = await fqvit(['classify', name, '--model', model]);
  expect(stdout).not.toContain('\u001b');
  expect(stdout).toContain('red\\x1b[2Jdevil');
  expect(stdout).toContain('a\\x1b]0;b.png');
});

describe('the model', () => {
  test.each([
    ['a float checkpoint', 'float.safetensors', /^fqvit: MODEL_KIND: .*float\.safetensors: .*/],
    ['a photo', 'photo.png', /^fqvit: CHECKPOINT_\w+: .*photo\.png: .*safetensors file/],
    ['a folder', 'photos', /^fqvit: SOURCE: .*photos: expected a file, found a folder\n$/],
    [
      'a float model in a folder',
      'model',
      /^fqvit: SOURCE: .*model: expected a file, found a folder; this is a float model: run `fqvit quantize .*model\/ -o m\.safetensors`/,
    ],
    ['nothing', 'nowhere', /^fqvit: SOURCE: .*nowhere: expected a file, found nothing of that name/],
  ])('is refused: %s', async (_, name, message) => {
    scratch.write('model/config.json', '{}');
    const run = await fqvit(['classify', photo, '--model', scratch.at(name)]);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test.each([
    ['deit_cifar10', []],
    ['swin_cifar10', ['--model', 'swin_cifar10']],
  ])('%s, which is bundled, warns of its ten classes in one line', async (name, options) => {
    const run = await fqvit(['classify', photo, '--json', ...options]);
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(
      /knows only 10 classes \(airplane … truck\); for 1000, run `fqvit quantize .*`\n$/,
    );
    expect(run.stderr.startsWith(`fqvit: ${name} knows`)).toBe(true);
    const [{ model, predictions }] = JSON.parse(run.stdout);
    expect(model).toBe(name);
    expect(predictions).toHaveLength(5);
  });

  test('is a bundled one by default, whatever is in the current folder', async () => {
    mkdirSync(scratch.at('cwd/swin_cifar10'), { recursive: true });
    scratch.write('cwd/deit_cifar10', 'no model');
    const run = (...args: string[]) => fqvit(['classify', photo, ...args], { cwd: scratch.at('cwd') });
    expect(await run()).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^fqvit: deit_cifar10 knows/),
    });
    expect(await run('--model', 'swin_cifar10')).toMatchObject({ code: 0 });
    const named = await run('--model', 'deit_cifar10');
    expect(named).toMatchObject({ code: 1, stdout: '' });
    expect(named.stderr).toMatch(
      /^fqvit: warning: deit_cifar10 is a file in the current folder.*\nfqvit: CHECKPOINT_/,
    );
  });
});

import { existsSync, readdirSync, symlinkSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readIntegerModel } from '../../src/checkpoint/integer/model.js';
import { tinyModel } from '../support/tiny-model.js';
import { elementsOf } from './report-page/well-formed.js';
import { fqvit, Scratch } from './support.js';

const scratch = new Scratch();
let float: string;
let photos: string;

beforeAll(() => {
  ({ float, photos } = scratch.fill());
});

/** Quantises the tiny model with four of six photos into `name`.st, with a page about it. */
const report = (name: string, ...options: string[]) =>
  fqvit([
    'quantize',
    ...[float, '--calibration', photos, '--calibration-images', '4', '--method', 'fq'],
    ...['-o', scratch.at(`${name}.st`), '--report', scratch.at(`${name}.html`), ...options],
  ]);

const pageOf = (name: string) => new TextDecoder().decode(scratch.read(`${name}.html`));

describe('--report', () => {
  test('writes a page with its scripts, and prints how close the model is to float', async () => {
    const run = await report('a');
    expect(run).toMatchObject({ code: 0 });
    expect(run.stderr).toMatch(
      /rounding weights 10\/10 .*\ncomparing with the float model 2 images\n.*2\/2 images, .*\nmeasuring layers 2 images\n.*2\/2 images, .*\n$/,
    );
    expect(run.stdout).toMatch(/report +.*a\.html \(\d+\.0 % of 2 photos in the same class as float\)\n/);
    const elements = elementsOf(pageOf('a'));
    const [library, script, ...rest] = elements.filter(({ name }) => name === 'script');
    expect(rest).toEqual([]);
    expect(library!.inner.includes('Copyright (c) 2022 Leon Sorokin')).toBe(true);
    expect(library!.inner.includes('var uPlot=')).toBe(true);
    expect(script!.inner.includes('new uPlot(')).toBe(true);
    expect(script!.inner).not.toMatch(/^import /m);
    const table = elements.find(({ attributes }) => attributes.get('id') === 'layers')!;
    expect(table.inner.match(/<tr data-kind/g)).toHaveLength(29);
    expect(pageOf('a')).toContain('<dt>Top-1</dt><dd><b>unknown</b>');
  });

  test('gives the same page for the same arguments, except for the times', async () => {
    const withoutTimes = () => pageOf('a').replace(/<dt>Time per image.*?<\/dd>/s, '');
    const first = withoutTimes();
    expect(first).not.toBe(pageOf('a'));
    expect(await report('a', '--force')).toMatchObject({ code: 0 });
    expect(withoutTimes() === first).toBe(true);
  });

  test('--json has the figures', async () => {
    const { stdout } = await report('json', '--json');
    const { report: figures } = JSON.parse(stdout);
    expect(figures).toMatchObject({
      file: scratch.at('json.html'),
      photos: 2,
      seen: false,
      agreement: expect.any(Number),
      kl: expect.any(Number),
      msPerImage: { integer: expect.any(Number), float: expect.any(Number) },
    });
    expect(figures.top1).toBeUndefined();
    expect(figures.worst).toHaveLength(10);
    expect(figures.worst[0]).toEqual({
      name: expect.stringMatching(/\.(softmax|out|context)$/),
      error: expect.any(Number),
      growth: expect.any(Number),
    });
    const errors = figures.worst.map(({ error }: { error: number }) => error);
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
  });
});

test.each(['subfolders', 'labels.csv'])('has top-1 and speed with %s', async (kind) => {
  const folder = scratch.at(`named-${kind}`);
  const photo = (i: number) => `${kind === 'subfolders' ? ['red', 'green', 'blue'][i % 3] : 'all'}/${i}.png`;
  for (let i = 0; i < 6; i++) scratch.photo(`named-${kind}/${photo(i)}`, i + 1);
  if (kind === 'labels.csv') {
    const rows = Array.from({ length: 6 }, (_, i) => `${photo(i)},${i % 3}\n`);
    scratch.write(`named-${kind}/labels.csv`, `file,class\n${rows.join('')}`);
  }
  const run = await fqvit([
    'quantize',
    ...[float, '--calibration', folder, '--calibration-images', '3', '--method', 'fq', '--force'],
    ...['-o', scratch.at('named.st'), '--report', scratch.at('named.html')],
  ]);
  expect(run.stdout).toMatch(/^top-1 +[\d.]+ %, float [\d.]+ %\nper image +[\d.]+ ms, float [\d.]+ ms$/m);
  expect(pageOf('named')).toMatch(/<dt>Top-1<\/dt><dd><b>[\d.]+ %<\/b>.*float [\d.]+ %/);
  expect(pageOf('named')).toMatch(/<dt>Time per image<\/dt><dd><b>[\d.]+ ms<\/b>/);
});

test('a faulty labels.csv is refused before the work, and is not replaced', async () => {
  scratch.photo('faulty/1.png', 1);
  const quantize = (...more: string[]) =>
    fqvit(['quantize', float, '--calibration', scratch.at('faulty'), '-o', scratch.at('faulty.st'), ...more]);
  scratch.write('faulty/labels.csv', 'file,class\n1.png,99\n');
  expect(await quantize('--report', scratch.at('faulty.html'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('labels.csv:2: expected a class from 0 to 2, found 99'),
  });
  expect(await quantize('--report', scratch.at('faulty/labels.csv'), '--force')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('found the input itself'),
  });
});

describe('--report is refused before any work', () => {
  beforeAll(() => {
    scratch.write('there.html', 'kept');
    symlinkSync('photos', scratch.at('way'));
  });

  test.each([
    ['a file that is there', 'x.st', 'there.html', /OUTPUT_EXISTS: .*there\.html: expected a free name/],
    [
      'the checkpoint',
      'x.st',
      'x.st',
      /OUTPUT: .*x\.st: expected a different file for each output, found the same/,
    ],
    [
      'the checkpoint by another way',
      'photos/x.st',
      'way/x.st',
      /way\/x\.st: expected a different file for each output/,
    ],
    ['a folder that is missing', 'x.st', 'nowhere/x.html', /nowhere: expected a folder for the output/],
  ])('%s', async (_, output, page, message) => {
    const args = ['-o', scratch.at(output), '--report', scratch.at(page)];
    const run = await fqvit(['quantize', float, '--calibration', photos, ...args]);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
    expect(run.stderr).not.toMatch(/calibrating/);
    expect(existsSync(scratch.at(output))).toBe(false);
    expect(new TextDecoder().decode(scratch.read('there.html'))).toBe('kept');
  });

  test('an input, even with --force', async () => {
    const args = ['-o', scratch.at('x.st'), '--report', float, '--force'];
    const run = await fqvit(['quantize', float, '--calibration', photos, ...args]);
    expect(run).toMatchObject({ code: 1, stderr: expect.stringMatching(/a file other than the input/) });
    expect(scratch.read('float.safetensors')).toEqual(tinyModel());
  });

  test('the checkpoint that is there, with --force', async () => {
    scratch.write('old.st', 'old');
    symlinkSync('old.st', scratch.at('old.html'));
    const run = await report('old', '--force');
    expect(run).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/expected a different file for each output/),
    });
  });
});

test('a report that fails leaves the checkpoint, and a message says so', async () => {
  scratch.photo('many/0.png', 1);
  for (let i = 1; i < 300; i++) symlinkSync('0.png', scratch.at(`many/${i}.png`));
  const [output, page] = [scratch.at('late.st'), scratch.at('late.html')];
  const running = fqvit([
    'quantize',
    ...[float, '--calibration', scratch.at('many'), '--calibration-images', '4', '--method', 'fq'],
    ...['-o', output, '--report', page],
  ]);
  while (!existsSync(output)) await setTimeout(1);
  scratch.write('late.html', 'of another run');
  const run = await running;
  expect(run).toMatchObject({ code: 1, stdout: '' });
  expect(run.stderr).toMatch(
    /fqvit: warning: .*late\.st is complete, but the report is not:\nfqvit: OUTPUT_EXISTS: .*late\.html/,
  );
  expect(readIntegerModel(scratch.read('late.st')).recipe.calibrationImages).toBe(4);
  expect(new TextDecoder().decode(scratch.read('late.html'))).toBe('of another run');
  expect(readdirSync(scratch.path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

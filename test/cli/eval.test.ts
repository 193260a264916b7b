import { readdirSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { load } from '../../src/index.js';
import { type ClassificationReport, evaluate, readFloatModel } from '../../src/quantize/index.js';
import { tinyModel } from '../support/tiny-model.js';
import { fqvit, type Run, Scratch, withInteger } from './support.js';

const scratch = new Scratch();
let integer: string;
let float: string;
let photos: string;
let labels: string;
let rows: { image: string; class: number }[];

beforeAll(async () => {
  ({ integer, float, photos } = await withInteger(scratch));
  rows = ['even', 'odd'].flatMap((folder) =>
    readdirSync(scratch.at(`photos/${folder}`)).map((name, i) => ({
      image: `${folder}/${name}`,
      class: i % 3,
    })),
  );
  labels = scratch.write('labels.csv', csv(rows.map((row) => `${row.image},${row.class}`)));
});

function csv(lines: readonly string[], end = '\n'): string {
  return ['file,class', ...lines].map((line) => line + end).join('');
}

function evaluation(...options: string[]): Promise<Run> {
  return fqvit(['eval', integer, '--images', photos, '--labels', labels, ...options]);
}

test('--json prints the numbers of the library', async () => {
  const { code, stdout, stderr } = await evaluation('--reference', float, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('warning') });
  const expected = (await evaluate(
    await load(integer),
    rows.map((row) => ({ ...row, image: scratch.at(`photos/${row.image}`) })),
    { reference: readFloatModel(tinyModel()) },
  )) as ClassificationReport;
  const { top1, top5, agreement, kl } = expected.reference!;
  expect(JSON.parse(stdout)).toEqual({
    output: 'softmax',
    images: 6,
    top1: expected.top1,
    top5: 100,
    classes: expected.classes,
    reference: { top1, top5, agreement, kl, msPerImage: expect.any(Number) },
    msPerImage: expect.any(Number),
  });
  expect(agreement).toBeGreaterThan(80);
  expect(kl).toBeLessThan(0.05);
});

test('prints a summary, with progress on stderr', async () => {
  const { code, stdout, stderr } = await evaluation('--reference', float);
  expect(code).toBe(0);
  expect(stdout).toMatch(/6 images\n/);
  expect(stdout).toMatch(/^ +top-1 +top-5 +ms\/image$/m);
  expect(stdout).toMatch(/^integer +\d+\.\d\d % +100\.00 % +\d+\.\d\d$/m);
  expect(stdout).toMatch(/^float +\d+\.\d\d % +100\.00 % +\d+\.\d\d$/m);
  expect(stdout).toMatch(/^class +images +top-1 +float$/m);
  expect(stdout).toMatch(/^red +\d +\d+\.\d % +\d+\.\d %$/m);
  expect(stdout).toMatch(/^agreement +\d+\.\d\d %/m);
  expect(stdout).toMatch(/^KL +\d\.\d{4} nats/m);
  expect(stderr).toMatch(/^evaluating 6 images\n/);
});

describe('--rows and --confusion', () => {
  test('write one line per photo, and count each pair of true and predicted class', async () => {
    const file = scratch.at('rows.jsonl');
    const options = ['--reference', float, '--rows', file, '--confusion', '--json'];
    const { code, stdout } = await evaluation(...options);
    expect(code).toBe(0);
    const lines = new TextDecoder().decode(scratch.read('rows.jsonl')).trimEnd().split('\n');
    const written = lines.map((line) => JSON.parse(line));
    expect(written.map((row) => [row.file, row.truth])).toEqual(rows.map((row) => [row.image, row.class]));
    const model = await load(integer);
    for (const row of written) {
      const [best] = await model.classify(scratch.at(`photos/${row.file}`), { top: 1 });
      expect(row.integer).toEqual(best);
      expect(row.reference).toMatchObject({ index: expect.any(Number), probability: expect.any(Number) });
    }
    model.dispose();
    const { confusion } = JSON.parse(stdout);
    const pair = (one: { class: number; predicted: number }) => `${one.class} ${one.predicted}`;
    const pairs = written.map((row) => pair({ class: row.truth, predicted: row.integer.index }));
    for (const one of confusion) {
      expect(one.images).toBe(pairs.filter((other) => other === pair(one)).length);
    }
    expect(confusion).toHaveLength(new Set(pairs).size);
  });

  test('show the most frequent mistakes', async () => {
    const { stdout } = await evaluation('--confusion');
    expect(stdout).toMatch(/^(class +taken for +images\n(\w+ +\w+ +\d\n)+|no confused classes\n)$/m);
  });

  test('refuse a file that exists, and the labels or a photo as the file', async () => {
    const file = scratch.write('there.jsonl', 'kept');
    expect(await evaluation('--rows', file)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('OUTPUT_EXISTS'),
    });
    expect(new TextDecoder().decode(scratch.read('there.jsonl'))).toBe('kept');
    const photo = scratch.at(`photos/${rows[0]!.image}`);
    for (const input of [labels, photo]) {
      expect(await evaluation('--rows', input, '--force')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('found the input itself'),
      });
    }
    expect(await evaluation('--rows', file, '--force')).toMatchObject({ code: 0 });
  });
});

test('--limit takes the first rows; without --reference the report has none', async () => {
  const { stdout } = await evaluation('--limit', '2', '--json');
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ images: 2 });
  expect(report).not.toHaveProperty('reference');
  expect(JSON.parse((await evaluation('--limit', '100', '--json')).stdout)).toMatchObject({ images: 6 });
});

describe('without a table, the subfolders are the classes', () => {
  test('--limit spreads the photos over them', async () => {
    for (const [i, file] of ['red/1.png', 'red/2.png', 'red/deep/3.png', 'blue/1.png'].entries()) {
      scratch.photo(`classes/${file}`, i);
    }
    const table = scratch.write('spread.csv', csv(['red/1.png,0', 'blue/1.png,2']));
    const folders = scratch.at('classes');
    const two = await fqvit(['eval', integer, '--images', folders, '--limit', '2', '--json']);
    const same = await fqvit(['eval', integer, '--images', folders, '--labels', table, '--json']);
    const { top1, images } = JSON.parse(two.stdout);
    expect(JSON.parse(same.stdout)).toMatchObject({ top1, images });
    expect(JSON.parse((await fqvit(['eval', integer, '--images', folders, '--json'])).stdout).images).toBe(4);
  });

  test('folders with other names are the classes in their order, with a warning', async () => {
    for (const name of ['n01', 'n02', 'n03']) scratch.photo(`unnamed/${name}/1.png`, 1);
    const run = await fqvit(['eval', integer, '--images', scratch.at('unnamed'), '--json']);
    expect(run).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        /warning: .*the sorted folders are taken as the classes in their order \("n01" is "red", "n02" is "green", "n03" is "blue"\)/,
      ),
    });
    expect(JSON.parse(run.stdout).images).toBe(3);
  });

  test.each(['other/1.png', '1.png'])('refuses the photo %s', async (file) => {
    const folder = scratch.at(`refused-${file[0]}`);
    scratch.photo(`refused-${file[0]}/${file}`, 1);
    const run = await fqvit(['eval', integer, '--images', folder]);
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expect(run.stderr).toMatch(
      /LABELS: .*expected subfolders named as the classes of the model \("red", "green", "blue"\), or --labels; found/,
    );
  });
});

describe('the reference', () => {
  test('may be another model of the same sizes, with a warning', async () => {
    const other = scratch.write('other.safetensors', tinyModel(undefined, { seed: 2 }));
    const run = await evaluation('--reference', other);
    expect(run).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/warning: .*other\.safetensors is not the file/),
    });
  });

  test.each([
    ['classes', { classes: 4 }, { labels: ['a', 'b', 'c', 'd'] }, /classes: expected 3, .*, found 4/],
    ['imageSize', { grid: 3 }, {}, /imageSize: expected 16, .*, found 24/],
  ])('is refused with other %s', async (name, sizes, config, message) => {
    const path = scratch.write(`${name}.st`, tinyModel({ num_heads: 2, ...config }, sizes));
    const run = await evaluation('--reference', path);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
  });
});

describe('a bad table is refused', () => {
  test.each([
    ['no header', 'even/0.png,1\n', 1, /expected the header file,class, found "even\/0\.png,1"/],
    ['empty', '', 1, /expected the header file,class, found none/],
    ['no rows', csv([]), 2, /expected at least one row FILE,CLASS, found none/],
    [
      'a class that is no index',
      csv(['even/0.png,red']),
      2,
      /expected FILE,CLASS .*, found "even\/0\.png,red"/,
    ],
    ['a negative class', csv(['even/0.png,0', 'even/0.png,-1']), 3, /expected FILE,CLASS/],
    [
      'a class out of range',
      csv(['even/0.png,0', '', 'even/0.png,3']),
      4,
      /expected a class from 0 to 2, found 3/,
    ],
    ['NUL in a path', csv(['even/0\0.png,0']), 2, /expected FILE,CLASS .*, found "even\/0\\u0000\.png,0"/],
    ['no file', csv([',0']), 2, /expected FILE,CLASS/],
    ['three columns', csv(['a.png,0,1']), 2, /expected FILE,CLASS/],
    [
      'a photo that is missing',
      csv(['even/0.png,0', 'even/9.png,0']),
      3,
      /expected a photo at .*even\/9\.png, found nothing/,
    ],
    ['a folder as a photo', csv(['even,0']), 2, /expected a photo at .*even, found a folder/],
  ])('%s', async (_, text, line, message) => {
    const table = scratch.write('bad.csv', text);
    const run = await fqvit(['eval', integer, '--images', photos, '--labels', table, '--json']);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
    expect(run.stderr.startsWith(`fqvit: LABELS: ${table}:${line}: expected`)).toBe(true);
  });
});

describe('multi-label and regression', () => {
  let several: string;
  let value: string;
  beforeAll(async () => {
    const quantized = async (name: string, file: string, ...options: string[]) => {
      const args = ['quantize', file, '--calibration', photos, '--method', 'minmax', '-o', scratch.at(name)];
      const run = await fqvit([...args, ...options]);
      expect({ code: run.code, stderr: run.stderr }).toMatchObject({ code: 0 });
      return { path: scratch.at(name), run };
    };
    const made = await quantized('several.safetensors', float, '--logits', 'sigmoid');
    expect(made.run.stdout).toMatch(/^logits +multi-label classification \(sigmoid\)$/m);
    several = made.path;
    const config = { num_heads: 2, crop_pct: 1, labels: ['age'] };
    const one = scratch.write('one.safetensors', tinyModel(config, { classes: 1 }));
    value = (await quantized('value.safetensors', one, '--logits', 'value')).path;
  });
  const evaluated = (model: string, table: string, ...options: string[]) =>
    fqvit(['eval', model, '--images', photos, '--labels', scratch.write('table.csv', table), ...options]);

  test('a file may have several classes, in one row or more, or none', async () => {
    const inRows = csv(['even/0.png,0 2', 'odd/1.png,', 'even/2.png,1', 'odd/3.png,2']);
    const repeated = csv(['even/0.png,2', 'odd/1.png,', 'even/2.png,1', 'odd/3.png,2', 'even/0.png,0']);
    const expected = await evaluate(await load(several), [
      { image: scratch.at('photos/even/0.png'), class: [0, 2] },
      { image: scratch.at('photos/odd/1.png'), class: [] },
      { image: scratch.at('photos/even/2.png'), class: 1 },
      { image: scratch.at('photos/odd/3.png'), class: [2] },
    ]);
    for (const table of [inRows, repeated]) {
      const { code, stdout } = await evaluated(several, table, '--json');
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual({ ...expected, msPerImage: expect.any(Number) });
    }
    expect(expected).toMatchObject({
      output: 'sigmoid',
      images: 4,
      classes: [{ index: 0, images: 1 }, {}, {}],
    });
  });

  test('the summary has the mAP of both models', async () => {
    const { code, stdout, stderr } = await evaluated(
      several,
      csv(['even/0.png,0 2', 'odd/1.png,1']),
      ...['--reference', float],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('warning') });
    expect(stdout).toMatch(/^ +mAP +ms\/image$/m);
    expect(stdout).toMatch(/^integer +\d+\.\d\d % +\d+\.\d\d$/m);
    expect(stdout).toMatch(/^float +\d+\.\d\d % +\d+\.\d\d$/m);
    expect(stdout).toMatch(/^class +images +AP +float$/m);
    expect(stdout).toMatch(/^blue +1 +\d+\.\d % +\d+\.\d %$/m);
    expect(stdout).toMatch(/^agreement +\d+\.\d\d % of decisions equal/m);
    expect(stdout).not.toMatch(/top-1/);
  });

  test('a regression has errors and no classes', async () => {
    const table = ['file,value', 'even/0.png,1.5', 'odd/1.png,-2e-1', ''].join('\n');
    const { code, stdout } = await evaluated(value, table, '--reference', scratch.at('one.safetensors'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ +MAE +RMSE +ms\/image$/m);
    expect(stdout).toMatch(/^integer +[\d.e-]+ +[\d.e-]+ +\d+\.\d\d$/m);
    expect(stdout).toMatch(/^difference +[\d.e-]+ between the models on average$/m);
    const report = JSON.parse((await evaluated(value, table, '--json')).stdout);
    expect(report).toEqual({
      ...{ output: 'value', images: 2 },
      ...{ mae: expect.any(Number), rmse: expect.any(Number), msPerImage: expect.any(Number) },
    });
  });

  test('a regression needs a table', async () => {
    const run = await fqvit(['eval', value, '--images', photos]);
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expect(run.stderr).toMatch(/LABELS: .*expected --labels CSV with the header file,value/);
  });

  test.each([
    [
      'two classes where the model is single-label',
      () => integer,
      csv(['even/0.png,0', 'odd/1.png,0 2']),
      3,
      /one class, as the model/,
    ],
    [
      'two rows of one photo where the model is single-label',
      () => integer,
      csv(['a.png,0', 'b.png,1', 'a.png,2']),
      4,
      /each file once, found "a.png" again, after line 2/,
    ],
    [
      'two names of one file',
      () => integer,
      csv(['a.png,0', './even//../a.png,2']),
      3,
      /each file once, found ".\/even\/\/..\/a.png" again, after line 2/,
    ],
    [
      'no class where the model is single-label',
      () => integer,
      csv(['even/0.png,']),
      2,
      /expected FILE,CLASS with the index of a class/,
    ],
    ['a class beyond', () => several, csv(['even/0.png,0 3']), 2, /expected a class from 0 to 2, found 3/],
    [
      'another separator',
      () => several,
      csv(['even/0.png,0;2']),
      2,
      /indices of classes, separated by spaces/,
    ],
    [
      'classes of a regression',
      () => value,
      csv(['even/0.png,0']),
      1,
      /expected the header file,value, found "file,class"/,
    ],
    ['values of classes', () => several, 'file,value\neven/0.png,0\n', 1, /expected the header file,class/],
    ['no number', () => value, 'file,value\neven/0.png,old\n', 2, /expected FILE,VALUE with a number/],
    [
      'an infinite one',
      () => value,
      'file,value\neven/0.png,1e999\n',
      2,
      /expected FILE,VALUE with a number/,
    ],
  ])('%s: the message names the line', async (_, model, table, line, message) => {
    const run = await evaluated(model(), table);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
    expect(run.stderr).toContain(`fqvit: LABELS: ${scratch.at('table.csv')}:${line}: expected`);
  });

  test('classify, batch and inspect show the outputs', async () => {
    const photo = scratch.at('photos/even/0.png');
    const shown = await fqvit(['classify', photo, '--model', value]);
    expect(shown.stdout).toMatch(/\)\n -?[\d.e-]+ +age\n$/);
    const [{ predictions }] = JSON.parse(
      (await fqvit(['classify', photo, '--model', value, '--json'])).stdout,
    );
    expect(predictions).toEqual([{ index: 0, label: 'age', value: expect.any(Number) }]);
    const list = await fqvit(['batch', photos, '-o', '-', '--format', 'csv', '--model', value]);
    expect(list.stdout).toMatch(/^index,file,error,label_1,value_1\n0,.*,,age,-?[\d.e-]+\n/);
    const each = JSON.parse((await fqvit(['classify', photo, '--model', several, '--json'])).stdout);
    const model = await load(several);
    const logits = await model.logits(photo);
    for (const { index, probability } of each[0].predictions)
      expect(probability).toBeCloseTo(1 / (1 + Math.exp(-logits[index]!)), 12);
    expect((await fqvit(['inspect', several])).stdout).toMatch(/^logits +multi-label classification/m);
    expect(JSON.parse((await fqvit(['inspect', several, '--json'])).stdout).output).toBe('sigmoid');
  });
});

test('a table may have quotes, Windows line ends and a byte order mark', async () => {
  scratch.photo('photos/odd/a, "b".png', 9);
  const table = scratch.write(
    'windows.csv',
    `\ufeff${csv(['"odd/a, ""b"".png",2', 'even/0.png,1'], '\r\n')}`,
  );
  const run = await fqvit(['eval', integer, '--images', photos, '--labels', table, '--json']);
  expect(run.code).toBe(0);
  expect(JSON.parse(run.stdout)).toMatchObject({ images: 2 });
});

test('an unreadable photo ends the evaluation with one line', async () => {
  scratch.write('photos/text.png', 'no picture');
  const table = scratch.write('text.csv', csv(['even/0.png,0', 'text.png,0']));
  const run = await fqvit(['eval', integer, '--images', photos, '--labels', table, '--json']);
  expect(run).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/fqvit: IMAGE_\w+: .*text\.png/),
  });
});

test('refuses folders and files in the wrong places', async () => {
  for (const [args, message] of [
    [
      [scratch.path, '--images', photos, '--labels', labels],
      /: expected a file, found a folder; name the checkpoint in it; if it is a float model, run `fqvit /,
    ],
    [[integer, '--images', labels, '--labels', labels], /labels\.csv: expected a folder, found a file/],
    [[integer, '--images', photos, '--labels', photos], /photos: expected a file, found a folder/],
    [[integer, '--images', photos, '--labels', integer], /integer\.safetensors: expected UTF-8 text/],
  ] as const) {
    const run = await fqvit(['eval', ...args]);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
  }
});

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readIntegerModel } from '../../src/checkpoint/integer/model.js';
import { load } from '../../src/index.js';
import { TINY_SWIN } from '../checkpoint/tiny-swin.js';
import { TINY_CONFIG, tinyModel, tinySwinModel } from '../support/tiny-model.js';
import { fqvit, type Run, Scratch } from './support.js';

const scratch = new Scratch();
let float: string;
let photos: string;

beforeAll(() => {
  ({ float, photos } = scratch.fill());
});

/** Quantises the tiny model into `name`. */
function quantize(name: string, ...options: string[]): Promise<Run> {
  return fqvit(['quantize', float, '--calibration', photos, '-o', scratch.at(name), ...options]);
}

/** All files that a run may leave: its output and temporary files. */
function outputs(folder = scratch.path): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.tmp') || name.startsWith('out-'));
}

describe('a checkpoint', () => {
  test('is valid and the same for the same arguments; a summary describes it', async () => {
    const first = await quantize('a.safetensors');
    const second = await quantize('b.safetensors');
    expect(first).toMatchObject({ code: 0 });
    expect(second).toMatchObject({ code: 0 });
    expect(scratch.read('a.safetensors')).toEqual(scratch.read('b.safetensors'));
    expect(readIntegerModel(scratch.read('a.safetensors'))).toMatchObject({
      labels: TINY_CONFIG.labels,
      recipe: { method: 'best', observer: 'search', attention: 'eighths', calibrationImages: 6, seed: 0 },
    });
    expect(first.stdout).toMatch(/integer .*a\.safetensors \(\d\.\d times smaller\)/);
    expect(first.stdout).toMatch(/images +6 used, 0 skipped/);
    expect(first.stderr).toMatch(
      /^calibrating 6 images\ncalibrating 6\/6 images, .*\nsearching for ranges 222 image runs\nsearching for ranges 222\/222 image runs, .*\nrounding weights 10 layers\nrounding weights 10\/10 layers, .*\n$/,
    );
    expect(outputs()).toEqual([]);
  });

  test('--json describes it', async () => {
    const { code, stdout } = await quantize(
      'json.safetensors',
      '--json',
      '--calibration-images',
      '4',
      '--seed',
      '7',
    );
    expect(code).toBe(0);
    const { length } = scratch.read('json.safetensors');
    expect(JSON.parse(stdout)).toEqual({
      file: scratch.at('json.safetensors'),
      bytes: length,
      source: { file: float, bytes: tinyModel().length, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      architecture: expect.objectContaining({ family: 'deit', imageSize: 16, dim: 16, heads: 2, classes: 3 }),
      preprocessing: expect.objectContaining({ imageSize: 16, cropPct: 1 }),
      output: 'softmax',
      recipe: expect.objectContaining({ calibrationImages: 4, seed: 7 }),
      images: 4,
      skipped: [],
      warnings: [],
      ms: expect.any(Number),
    });
  });

  test.each([
    [['--method', 'fq'], { method: 'fq', observer: 'minmax', ptf: true, attention: 'log2' }],
    [['--attention-bits', '7', '--observer', 'ema'], { method: 'fq', observer: 'ema', attention: 'eighths' }],
    [['--method', 'minmax'], { method: 'minmax', observer: 'minmax', ptf: false, attention: 'uniform' }],
    [['--method', 'omse', '--attention-bits', '4'], { method: 'omse', observer: 'omse', attention: 'log2' }],
    [
      ['--observer', 'percentile', '--attention-bits', '8'],
      { method: 'fq', observer: 'percentile', attention: 'uniform' },
    ],
    [['--weight-bits', '4', '--activation-bits', '7'], { method: 'best', weightBits: 4, activationBits: 7 }],
    [['--weight-bits', '6'], { weightBits: 6, activationBits: 8 }],
  ])('has the recipe of %j', async (options, recipe) => {
    expect(await quantize('method.safetensors', '--force', ...options)).toMatchObject({ code: 0 });
    expect(readIntegerModel(scratch.read('method.safetensors')).recipe).toMatchObject(recipe);
  });

  test('takes preprocessing, labels and architecture from options', async () => {
    const bare = scratch.write('bare.safetensors', tinyModel(null, { dim: 192, mlpDim: 64 }));
    const labels = scratch.write('names.txt', 'one\ntwo\nthree\n');
    const run = await fqvit([
      'quantize',
      ...[bare, '--calibration', photos, '-o', scratch.at('options.safetensors'), '--labels', labels],
      ...['--arch', 'vit_tiny_patch16_224', '--crop', '0.5', '--mean', '0.1,0.2,0.3', '--std', '.4, 5e-1, 1'],
    ]);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stderr).toMatch(/^fqvit: warning: vit_tiny_patch16_224 has image 224/);
    expect(readIntegerModel(scratch.read('options.safetensors'))).toMatchObject({
      architecture: { family: 'vit', heads: 3 },
      preprocessing: { cropPct: 0.5, mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 1] },
      labels: ['one', 'two', 'three'],
    });
  });

  test('keeps the WordNet ids of --labels, and eval matches folders by them', async () => {
    const classIndex = { 0: ['n03', 'tench'], 1: ['n01', 'goldfish'], 2: ['n02', 'hen'] };
    const ids = JSON.stringify(classIndex).replaceAll(/n0/g, 'n0000000');
    const labels = scratch.write('class_index.json', ids);
    const out = scratch.at('wnids.safetensors');
    const made = await fqvit(['quantize', float, '--calibration', photos, '-o', out, '--labels', labels]);
    expect(made).toMatchObject({ code: 0 });
    expect(readIntegerModel(scratch.read('wnids.safetensors'))).toMatchObject({
      labels: ['tench', 'goldfish', 'hen'],
      wnids: ['n00000003', 'n00000001', 'n00000002'],
    });
    for (const name of ['n00000001', 'n00000002_hen', 'tench']) scratch.photo(`wnids/${name}/1.png`, 1);
    const run = await fqvit(['eval', out, '--images', scratch.at('wnids'), '--json']);
    expect(run).toMatchObject({ code: 0, stderr: expect.not.stringContaining('warning') });
    expect(JSON.parse(run.stdout).classes.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2]);
  });

  test('--labels in an unknown form is refused before any work', async () => {
    const labels = scratch.write('labels.yaml', 'names:\n  0: person\n');
    const run = await quantize('out-yaml', '--labels', labels);
    expect(run).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^fqvit: LABELS: .*labels\.yaml:1: expected a label, found code or YAML/),
    });
  });

  test("takes the image size of a Swin from timm's config.json, and so does its reference", async () => {
    scratch.write('swin/model.safetensors', tinySwinModel({ crop_pct: 1 }));
    const pretrained_cfg = { input_size: [3, 32, 32], interpolation: 'bilinear' };
    const architecture = 'swin_tiny_patch4_window7_224';
    const model_args = { embed_dim: TINY_SWIN.dim, patch_size: 2, window_size: 4 };
    scratch.write('swin/config.json', JSON.stringify({ architecture, model_args, pretrained_cfg }));
    const model = scratch.at('swin.st');
    const run = await fqvit(['quantize', scratch.at('swin'), '--calibration', photos, '-o', model]);
    expect(run).toMatchObject({ code: 0, stderr: expect.not.stringContaining('image size') });
    expect(readIntegerModel(scratch.read('swin.st')).architecture).toMatchObject({
      family: 'swin',
      imageSize: 32,
    });
    const labels = scratch.write('swin.csv', 'file,class\neven/0.png,1\n');
    const reference = scratch.at('swin/model.safetensors');
    const args = ['eval', model, '--images', photos, '--labels', labels, '--reference', reference, '--json'];
    const report = await fqvit(args);
    expect(report).toMatchObject({ code: 0, stderr: expect.not.stringContaining('image size') });
    expect(JSON.parse(report.stdout)).toMatchObject({ images: 1, reference: { kl: expect.any(Number) } });
  });

  test("may come from a folder with model.safetensors and timm's config.json", async () => {
    const { labels: _, ...config } = TINY_CONFIG;
    scratch.write('timm/model.safetensors', tinyModel({ num_heads: config.num_heads, architecture: 'deit' }));
    scratch.write(
      'timm/config.json',
      JSON.stringify({
        architecture: 'deit_tiny_patch16_224',
        model_args: { embed_dim: 16, num_heads: 2, patch_size: 8, img_size: 16 },
        num_classes: 3,
        pretrained_cfg: {
          crop_pct: 0.75,
          interpolation: 'bilinear',
          mean: [0.5, 0.5, 0.5],
          std: [0.5, 0.5, 0.5],
        },
      }),
    );
    const run = await fqvit([
      'quantize',
      scratch.at('timm'),
      '--calibration',
      photos,
      '-o',
      scratch.at('timm.st'),
    ]);
    expect(run).toMatchObject({ code: 0, stderr: expect.stringContaining('there are no class names') });
    expect(readIntegerModel(scratch.read('timm.st'))).toMatchObject({
      preprocessing: { cropPct: 0.75, interpolation: 'bilinear', mean: [0.5, 0.5, 0.5] },
      labels: ['class 0', 'class 1', 'class 2'],
    });
  });
});

describe('a Swin', () => {
  test.each([
    [['--method', 'fq'], 'log2'],
    [['--method', 'omse', '--attention-bits', '8'], 'uniform'],
  ])('%j: goes from a float checkpoint to classes', async (options, attention) => {
    const bytes = tinySwinModel();
    const source = scratch.write('swin.safetensors', bytes);
    const integer = scratch.at(`swin-${attention}.safetensors`);
    const made = await fqvit([
      'quantize',
      ...[source, '--calibration', photos, '-o', integer, '--json', ...options],
    ]);
    expect(made).toMatchObject({ code: 0 });
    expect(JSON.parse(made.stdout)).toMatchObject({
      architecture: { family: 'swin', imageSize: 16, depths: [2, 2], heads: [2, 4], window: 4 },
      images: 6,
      skipped: [],
      warnings: [],
    });
    const model = readIntegerModel(scratch.read(`swin-${attention}.safetensors`));
    expect(model.recipe).toMatchObject({ attention, calibrationImages: 6 });
    expect(model.program.activations.has('layers.1.blocks.1.attn.qk')).toBe(true);

    const photo = scratch.photo('photo.png', 11);
    const classified = await fqvit(['classify', photo, '--model', integer, '--top', '3', '--json']);
    expect(classified).toMatchObject({ code: 0, stderr: '' });
    const predictions = (await (await load(integer)).classify([photo], { top: 3 }))[0]!;
    const text = JSON.stringify(JSON.parse(classified.stdout));
    for (const { label } of predictions) expect(text).toContain(`"${label}"`);
    expect(predictions.map(({ label }) => label).sort()).toEqual(['label 0', 'label 1', 'label 2']);

    const rows = readdirSync(scratch.at('photos/even')).map((name, i) => `even/${name},${i % 3}`);
    const labels = scratch.write('swin.csv', `file,class\n${rows.join('\n')}\n`);
    const evaluated = await fqvit([
      'eval',
      ...[integer, '--images', photos, '--labels', labels, '--reference', source, '--json'],
    ]);
    expect(evaluated).toMatchObject({ code: 0 });
    const { images, reference } = JSON.parse(evaluated.stdout);
    expect(images).toBe(3);
    expect(reference.agreement).toBe(100);
    expect(reference.kl).toBeLessThan(0.05);
  });

  test('is refused before any work if its windows fit no stage', async () => {
    const source = scratch.write(
      'swin-12.safetensors',
      tinySwinModel({ architecture: 'swin', image_size: 12 }),
    );
    const run = await fqvit(['quantize', source, '--calibration', photos, '-o', scratch.at('out-swin')]);
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expect(run.stderr).toMatch(/^fqvit: CHECKPOINT_\w+: .*swin-12\.safetensors: .*stage 0/);
    expect(run.stderr).not.toMatch(/calibrating/);
    expect(outputs()).toEqual([]);
  });
});

describe('without photos', () => {
  test('synthetic pictures calibrate, with a warning', async () => {
    const output = scratch.at('synthetic.safetensors');
    const run = await fqvit(['quantize', float, '-o', output, '--calibration-images', '8']);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/images +8 synthetic pictures/);
    expect(run.stderr).toMatch(
      /^fqvit: warning: calibrating on synthetic pictures; for better accuracy, pass your own photos with --calibration DIR/,
    );
    expect(run.stderr).toMatch(/\ncalibrating 8\/8 images, /);
    expect((await fqvit(['inspect', output])).stdout).toMatch(/calibration +8 synthetic pictures, seed 0/);
    const again = [
      'quantize',
      float,
      '-o',
      output,
      '--calibration-images',
      '8',
      '--seed',
      '2',
      '--force',
      '--json',
    ];
    const json = JSON.parse((await fqvit(again)).stdout);
    expect(json).toMatchObject({ images: 8, recipe: { calibration: 'synthetic', seed: 2 } });
    expect(json.warnings).toEqual([expect.stringContaining('synthetic pictures')]);
  });

  test('--report has sizes, and names the synthetic pictures', async () => {
    const page = scratch.at('synthetic.html');
    const output = scratch.at('reported.safetensors');
    const run = await fqvit(['quantize', float, '-o', output, '--calibration-images', '4', '--report', page]);
    expect(run).toMatchObject({ code: 0 });
    expect(new TextDecoder().decode(scratch.read('synthetic.html'))).toContain(
      '4 synthetic pictures, seed 0',
    );
  });
});

describe('calibration photos', () => {
  test('are skipped and listed if unreadable', async () => {
    scratch.photo('mixed/good.png', 1);
    scratch.write('mixed/empty.jpg', '');
    scratch.write('mixed/text.png', 'no picture');
    symlinkSync('nowhere', scratch.at('mixed/broken.webp'));
    const args = ['quantize', float, '--calibration', scratch.at('mixed'), '-o', scratch.at('mixed.st')];
    const { code, stdout, stderr } = await fqvit(args);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/images +1 used, 3 skipped/);
    for (const name of ['empty.jpg', 'text.png', 'broken.webp']) {
      expect(stderr).toMatch(new RegExp(`fqvit: skipped: .*mixed/${name}: expected`));
    }
    const json = await fqvit([...args, '--force', '--json']);
    const { images, skipped } = JSON.parse(json.stdout);
    expect(images).toBe(1);
    expect(skipped).toHaveLength(3);
    expect(skipped).toContainEqual({
      file: scratch.at('mixed/empty.jpg'),
      code: expect.stringMatching(/^IMAGE_/),
      message: expect.stringContaining('mixed/empty.jpg'),
    });
  });

  test('are refused if none is readable', async () => {
    scratch.write('unreadable/a.jpg', 'no');
    scratch.write('unreadable/b.png', 'no');
    const run = await fqvit([
      'quantize',
      float,
      '--calibration',
      scratch.at('unreadable'),
      '-o',
      scratch.at('out-1'),
    ]);
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expect(run.stderr).toMatch(/fqvit: CALIBRATION_IMAGES: /);
    expect(run.stderr).toMatch(/unreadable\/a\.jpg/);
    expect(run.stderr).toMatch(/unreadable\/b\.png/);
    expect(outputs()).toEqual([]);
  });

  test.each([
    ['an empty folder', 'void', [], /void: expected images \(\.jpg, \.jpeg, \.png, \.webp\), found none/],
    [
      'more than there are',
      'photos',
      ['--calibration-images', '7'],
      /photos: expected the 7 images of .*, found 6/,
    ],
    ['a file', 'float.safetensors', [], /expected a folder, found a file/],
    ['nothing', 'nowhere', [], /nowhere: expected a folder, found nothing of that name \(ENOENT\)/],
  ])('are refused: %s', async (_, folder, options, message) => {
    mkdirSync(scratch.at('void'), { recursive: true });
    const run = await fqvit([
      'quantize',
      float,
      '--calibration',
      scratch.at(folder),
      '-o',
      scratch.at('out-2'),
      ...options,
    ]);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
    expect(outputs()).toEqual([]);
  });

  test('are refused if fewer are readable than requested', async () => {
    scratch.photo('few/a.png', 1);
    scratch.write('few/b.png', 'no');
    const run = await fqvit([
      'quantize',
      ...[float, '--calibration', scratch.at('few'), '-o', scratch.at('out-3'), '--calibration-images', '2'],
    ]);
    expect(run).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/CALIBRATION_IMAGES: .*2.*found 1/),
    });
    expect(run.stderr).not.toContain('searching');
    expect(outputs()).toEqual([]);
  });
});

describe('the output', () => {
  test.each([
    ['weights of any name', 'weights.safetensors', ''],
    ['a config', 'preprocessor_config.json', ''],
    ['the weights as a URL', 'weights.safetensors', 'file://'],
  ])('never replaces a file that was read, even with --force: %s', async (_, name, scheme) => {
    const folder = mkdtempSync(scratch.at('folder-'));
    writeFileSync(`${folder}/weights.safetensors`, tinyModel());
    writeFileSync(`${folder}/config.json`, '{"model_type":"deit","num_attention_heads":2}');
    writeFileSync(`${folder}/preprocessor_config.json`, '{"size":16,"do_center_crop":false}');
    const source = scheme ? `${scheme}${folder}/${name}` : folder;
    const before = readFileSync(`${folder}/${name}`);
    for (const option of ['-o', '--report']) {
      const others = option === '-o' ? [] : ['-o', `${folder}/o.st`];
      const run = await fqvit([
        'quantize',
        ...[source, option, `${folder}/${name}`, ...others],
        ...['--force', '--method', 'fq', '--calibration-images', '2'],
      ]);
      expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('a file other than the input') });
    }
    expect(readFileSync(`${folder}/${name}`)).toEqual(before);
    expect(readdirSync(folder)).toHaveLength(3);
  });

  test('is refused as a link to itself', async () => {
    symlinkSync('loop.st', scratch.at('loop.st'));
    const run = await quantize('loop.st', '--force');
    expect(run).toMatchObject({ code: 1, stderr: expect.stringMatching(/OUTPUT: .*loop\.st: .*ELOOP/) });
  });

  test('is not replaced without --force', async () => {
    scratch.write('kept.st', 'precious');
    const refused = await quantize('kept.st');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(
      /^fqvit: OUTPUT_EXISTS: .*kept\.st: expected a free name, found a file; --force/,
    );
    expect(new TextDecoder().decode(scratch.read('kept.st'))).toBe('precious');
    expect(await quantize('kept.st', '--force')).toMatchObject({ code: 0 });
    readIntegerModel(scratch.read('kept.st'));
  });

  test.each([
    [
      'a folder that is missing',
      'nowhere/out.st',
      /nowhere: expected a folder for the output, found nothing/,
    ],
    ['a folder', 'photos', /photos: expected a file to write, found a folder/],
    ['a file as its folder', 'float.safetensors/out.st', /found a file/],
    ['the input', 'float.safetensors', /expected a file other than the input/],
  ])('%s is refused before any work', async (_, name, message) => {
    const run = await quantize(name, '--force');
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expect(run.stderr).toMatch(message);
    expect(run.stderr).not.toMatch(/calibrating/);
    expect(scratch.read('float.safetensors')).toEqual(tinyModel());
  });
});

describe('interrupted', () => {
  beforeAll(() => {
    scratch.photo('many/0.png', 1);
    for (let i = 1; i < 4000; i++) symlinkSync('0.png', scratch.at(`many/${i}.png`));
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s leaves nothing behind', async (signal, code) => {
    const run = await fqvit(
      [
        'quantize',
        ...[float, '--calibration', scratch.at('many'), '--calibration-images', '4000'],
        ...['--observer', 'omse', '-o', scratch.at('out-4')],
      ],
      { interrupt: signal },
    );
    expect(run).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(/fqvit: interrupted\n$/) });
    expect(run.stderr).not.toMatch(/4,000\/4,000/);
    expect(outputs()).toEqual([]);
  });
});

test('refuses what is not a float checkpoint', async () => {
  writeFileSync(scratch.at('empty.safetensors'), '');
  for (const [file, message] of [
    ['empty.safetensors', /^fqvit: CHECKPOINT_TRUNCATED: .*empty\.safetensors: /],
    ['photos', /^fqvit: SOURCE: .*photos: expected one of model\.safetensors, .*, found none\n$/],
    [
      'nowhere',
      /^fqvit: SOURCE: .*nowhere: expected a file, a folder or a model on the hub, found nothing of that name/,
    ],
  ] as const) {
    const run = await fqvit([
      'quantize',
      scratch.at(file),
      '--calibration',
      photos,
      '-o',
      scratch.at('out-5'),
    ]);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
  }
  expect(outputs()).toEqual([]);
});

test('refuses another number of labels than classes', async () => {
  const labels = scratch.write('two.json', '["one", "two"]');
  const run = await quantize('out-6', '--labels', labels);
  expect(run).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^fqvit: CHECKPOINT_LABELS: .*expected 3 labels/),
  });
});

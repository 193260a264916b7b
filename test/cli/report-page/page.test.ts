import { createHash } from 'node:crypto';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readFloatModel } from '../../../src/checkpoint/float/model.js';
import { writeIntegerModel } from '../../../src/checkpoint/integer/model.js';
import { readSafetensors, writeSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { interval } from '../../../src/cli/report-page/interval.js';
import { type PageSource, renderPage } from '../../../src/cli/report-page/page.js';
import {
  type ClassAgreement,
  measureQuality,
  type Quality,
  type ValueAgreement,
} from '../../../src/cli/report-page/quality.js';
import { partSizes } from '../../../src/cli/report-page/sizes.js';
import { load } from '../../../src/model/model.js';
import { drawOrder } from '../../../src/quantize/draw.js';
import {
  type ClassificationReport,
  evaluate,
  type QuantizeOptions,
  quantize,
  type ValueReport,
} from '../../../src/quantize/index.js';
import { noiseImage, rgbPng } from '../../image/support.js';
import {
  sealed,
  tinyFloatFile,
  tinySwin,
  tinySwinFile,
  tinySwinInteger,
} from '../../support/tiny-integer.js';
import { Scratch } from '../support.js';
import { type Element, elementsOf } from './well-formed.js';

const HOSTILE = '"><script>alert(1)</script><img src=https://example.org/x onerror=alert(1)>';
const LABELS = [`${HOSTILE} a`, "b' onload='x", '& <b>c</b> \u202e'];
const ASSETS = { style: 'p{}', plotter: 'var uPlot;', script: 'uPlot;' };

const scratch = new Scratch();
const folder = scratch.at('photos');
const photos = Array.from({ length: 12 }, (_, i) => {
  const name = i % 2 ? `<script>'&"${i}.png` : `plain/${i}.png`;
  return scratch.write(join('photos', name), rgbPng(noiseImage(20, 18, i + 1)));
});

/** The subject of a page. */
async function made(
  options: QuantizeOptions = { calibrationImages: 4 },
  float = tinyFloatFile({ config: { crop_pct: 1 } }),
): Promise<PageSource> {
  const all = { method: 'fq', weightBits: 4, labels: LABELS, ...options } as const;
  const result = await quantize(float, photos, all);
  const model = readFloatModel(float, all);
  const names = { source: `float${HOSTILE}`, output: 'integer.safetensors', sourceBytes: float.length };
  return { float: model, result, folder, images: photos, ...names };
}

let source: PageSource;
let quality: Quality & { agreement: ClassAgreement };
let page: string;
let elements: Element[];
beforeAll(async () => {
  // measured against another model of the same shape, so that there are differences
  const other = readFloatModel(tinyFloatFile({ seed: 5, config: { crop_pct: 1 } }), { labels: LABELS });
  source = { ...(await made()), float: other };
  quality = (await measureQuality(source)) as typeof quality;
  page = renderPage(source, quality, ASSETS);
  elements = elementsOf(page);
});

/** Like `toContain`, but without the page in the message. */
const shows = (html: string, text: string) => expect([text, html.includes(text)]).toEqual([text, true]);

const all = (name: string) => elements.filter((element) => element.name === name);

describe('the page', () => {
  test('shows hostile labels, file names and paths as text', () => {
    expect(quality.agreement.differences.length).toBeGreaterThan(0);
    expect(all('script').map(({ inner }) => inner)).toEqual([ASSETS.plotter, ASSETS.script]);
    for (const { attributes } of elements)
      for (const name of attributes.keys()) expect(name).not.toMatch(/^on/);
    expect(all('dd').some(({ inner }) => inner.startsWith('float&quot;&gt;&lt;script&gt;alert(1)'))).toBe(
      true,
    );
    const labels = all('strong').map(({ inner }) => inner);
    expect(labels.length).toBeGreaterThan(1);
    for (const label of labels)
      expect(label).toMatch(/&lt;img src=https|^b&#39; onload|^&amp; &lt;b&gt;c&lt;\/b&gt; \\x202e$/);
    const captions = all('figcaption').map(({ inner }) => inner);
    for (const caption of captions)
      expect(caption).toMatch(/^(plain\/|&lt;script&gt;&#39;&amp;&quot;)\d+\.png<br>/);
  });

  test('loads nothing from elsewhere', () => {
    for (const { name, attributes } of elements) {
      for (const key of ['src', 'href', 'action', 'srcset', 'data', 'style'])
        if (attributes.has(key)) expect([name, key]).toEqual(['img', 'src']);
    }
    const images = all('img').map(({ attributes }) => attributes.get('src')!);
    expect(images.length).toBeGreaterThan(0);
    for (const image of images) {
      expect(image).toMatch(/^data:image\/jpeg;base64,\/9j\//);
      expect(image.length).toBeLessThan(12e3);
    }
  });

  test('has a policy that allows only its own style and scripts', () => {
    const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    const meta = all('meta').find(({ attributes }) => attributes.has('http-equiv'))!;
    expect(meta.attributes.get('content')!.replaceAll('&#39;', "'")).toBe(
      `default-src 'none'; img-src data:; style-src ${hash(ASSETS.style)}; script-src ${hash(ASSETS.plotter)} ` +
        `${hash(ASSETS.script)}; base-uri 'none'; form-action 'none'`,
    );
    expect(page.indexOf('Content-Security-Policy')).toBeLessThan(page.indexOf('<style>'));
  });

  test('has a table of every activation, in order of execution', () => {
    const table = all('table').find(({ attributes }) => attributes.get('id') === 'layers')!;
    const names = elementsOf(table.inner).filter(({ attributes }) => attributes.get('class') === 'name');
    const { activations } = source.result.model.program;
    const expected = [...activations].flatMap(([name, { element }]) => (element === 'fine' ? [] : [name]));
    const found = names.map(({ inner }) => inner);
    for (const name of expected) expect(found).toContain(name);
    expect(found).toEqual(quality.layers.map(({ name }) => name));
    expect(found[0]).toBe('input');
    expect(found.at(-1)).toBe('logits');
    const rows = elementsOf(table.inner).filter(({ attributes }) => attributes.has('data-error'));
    rows.forEach(({ attributes }, i) => {
      expect(Number(attributes.get('data-error'))).toBeCloseTo(quality.layers[i]!.error, 3);
      expect(attributes.get('data-kind')).toBe(quality.layers[i]!.kind);
    });
  });

  test('shows accuracy, speed and sizes', () => {
    const { agreement, photos: compared } = quality;
    shows(page, `${agreement.same} of ${compared}; 95 % interval`);
    const percent = (100 * agreement.same) / compared;
    shows(page, `<b>${percent.toFixed(percent === 100 || percent === 0 ? 0 : 1)} %</b>same class as float`);
    shows(page, `<b>${agreement.kl.toFixed(4)}</b>mean KL from float, nats`);
    shows(page, 'Measured on 8 photos of the calibration folder that did not calibrate.');
    shows(page, '<dd>4 photos of 12, seed 0</dd>');
  });

  test('is the same for the same inputs, except for the times', async () => {
    const again = { ...(await made()), float: source.float };
    const withoutTimes = (text: string) => text.replace(/<dt>Time per image.*?<\/dd>/s, '');
    const other = renderPage(again, await measureQuality(again), ASSETS);
    expect(withoutTimes(other) === withoutTimes(page)).toBe(true);
  });

  test('has only sizes without photos', () => {
    const { model } = source.result;
    const recipe = { ...model.recipe, calibration: 'synthetic' as const };
    const result = { ...source.result, model: { ...model, recipe } };
    const sizes = renderPage({ ...source, result, images: [] }, undefined, ASSETS);
    const found = elementsOf(sizes);
    expect(found.filter(({ name }) => name === 'script')).toEqual([]);
    shows(sizes, 'There are no photos to compare the models on');
    shows(sizes, '<dd>4 synthetic pictures, seed 0</dd>');
    expect(found.filter(({ name }) => name === 'progress').length).toBeGreaterThan(5);
    expect(sizes.includes('id="layers"')).toBe(false);
  });

  test('stays small with long labels and many differences', async () => {
    const label = '\u{1f40e}'.repeat(5000);
    const labels = Array.from({ length: 3 }, () => label);
    const thumbnail = `data:image/jpeg;base64,${'A'.repeat(8000)}`;
    const choice = (index: number) => ({ index: index % 3, probability: 0.5 });
    const differences = Array.from({ length: 200 }, (_, i) => ({
      photo: 'x'.repeat(4000),
      thumbnail,
      float: choice(i),
      integer: choice(i + 1 + (i % 2)),
    }));
    const result = { ...source.result, model: { ...source.result.model, labels } };
    const long = renderPage(
      { ...source, result },
      { ...quality, agreement: { ...quality.agreement, differences } },
      ASSETS,
    );
    elementsOf(long);
    expect(long.length).toBeLessThan(0.5e6);
    shows(long, `${'\u{1f40e}'.repeat(119)}…`);
    shows(long, '34 photos');
  });
});

describe('quality', () => {
  test('has agreement and KL of the photos that did not calibrate, equal to eval', async () => {
    const unseen = drawOrder(photos, 0).slice(4);
    const model = await load(source.result.bytes);
    const labelled = unseen.map((image) => ({ image, class: 0 }));
    const report = await evaluate(model, labelled, { reference: source.float });
    const { reference } = report as ClassificationReport;
    expect(quality).toMatchObject({ photos: 8, available: 8, seen: false, unreadable: 0, measured: 8 });
    expect((100 * quality.agreement.same) / 8).toBeCloseTo(reference!.agreement, 10);
    expect(quality.agreement.kl).toBeCloseTo(reference!.kl, 10);
    for (const { photo, float, integer } of quality.agreement.differences) {
      const [best] = await model.classify(join(folder, photo), { top: 1 });
      expect(integer).toEqual({ index: best!.index, probability: expect.closeTo(best!.probability, 6) });
      expect(float.index).not.toBe(integer.index);
    }
    model.dispose();
  });

  test('has decisions and no confused classes for a multi-label model', async () => {
    const several = await made({ calibrationImages: 4, output: 'sigmoid' });
    const measured = (await measureQuality(several))!;
    expect(measured.agreement).toEqual({
      output: 'sigmoid',
      agreement: expect.any(Number),
      kl: expect.any(Number),
    });
    const shown = renderPage(several, measured, ASSETS);
    shows(shown, '</b>same decisions as float');
    shows(shown, '<dt>Logits</dt><dd>multi-label classification (sigmoid)</dd>');
    for (const absent of ['Confused classes', 'Margin', 'Same class'])
      expect(shown.includes(absent)).toBe(false);
  });

  test('has the distance of the values for a regression model', async () => {
    const float = tinyFloatFile({ classes: 1, config: { crop_pct: 1 } });
    const one = await made({ calibrationImages: 4, output: 'value', labels: ['age'] }, float);
    const measured = (await measureQuality(one))!;
    const model = await load(one.result.bytes);
    const images = drawOrder(photos, 0)
      .slice(4)
      .map((image) => ({ image, value: 0 }));
    const { reference } = (await evaluate(model, images, { reference: one.float })) as ValueReport;
    const { difference, largest } = measured.agreement as ValueAgreement;
    expect(difference).toBeCloseTo(reference!.difference, 10);
    expect(largest).toBeGreaterThanOrEqual(difference);
    const shown = renderPage(one, measured, ASSETS);
    shows(shown, '</b>mean distance from float');
    for (const absent of ['Mean KL', 'Confused classes']) expect(shown.includes(absent)).toBe(false);
  });

  test('uses calibration photos if there are no others, and the page says so', async () => {
    const seen = await made({});
    const measured = (await measureQuality(seen))!;
    expect(measured).toMatchObject({ photos: 12, seen: true });
    shows(renderPage(seen, measured, ASSETS), '<strong>Measured on 12 photos that calibrated</strong>');
  });

  test('uses at most 200 photos, and 16 for every activation', async () => {
    const many = Array.from({ length: 220 }, (_, i) => {
      const path = scratch.at(`many-${i}.png`);
      symlinkSync(photos[i % 12]!, path);
      return path;
    });
    const measured = (await measureQuality({ ...source, images: many }))!;
    expect(measured).toMatchObject({ photos: 200, available: 216, measured: 16, seen: false });
    shows(renderPage(source, measured, ASSETS), 'that did not calibrate (the seed chose them from 216).');
  });

  test('counts unreadable photos', async () => {
    const broken = scratch.write('photos/broken.png', 'no picture');
    const images = [...photos, broken];
    const seed = Array.from({ length: 50 }, (_, n) => n).find(
      (n) => drawOrder(images, n).indexOf(broken) > 4,
    )!;
    const { result } = await made({ calibrationImages: 4, seed });
    const recipe = { ...result.model.recipe, seed };
    const other = { ...source, images, result: { ...result, model: { ...result.model, recipe } } };
    const measured = (await measureQuality(other))!;
    expect(measured).toMatchObject({ photos: 8, available: 9, unreadable: 1 });
    shows(renderPage(other, measured, ASSETS), '1 photo could not be read.');
    const none = { ...other, images: [broken], result: { ...other.result, skipped: [] } };
    expect(await measureQuality(none)).toBeUndefined();
  });

  test('has errors and no agreement for a backbone', async () => {
    const { tensors, metadata } = readSafetensors(tinyFloatFile({ config: { crop_pct: 1 } }));
    const body = [...tensors.values()].filter(({ name }) => !name.startsWith('head.'));
    const headless = writeSafetensors(body, metadata);
    const backbone = await made({ labels: undefined, calibrationImages: 4 }, headless);
    const measured = (await measureQuality(backbone))!;
    expect(measured).not.toHaveProperty('agreement');
    const html = renderPage(backbone, measured, ASSETS);
    elementsOf(html);
    shows(html, 'A backbone has no classes to agree on');
    shows(html, 'error of the features');
  });
});

test('the sizes of the parts add up to the whole file', () => {
  const integer = tinySwinInteger();
  const file = sealed(writeIntegerModel(integer));
  const float = tinySwin();
  const parts = partSizes(float, integer, file.length);
  expect(parts.map(({ part }) => part)).toEqual([
    'patch embedding',
    'position embedding',
    'tables',
    'attention',
    'MLP',
    'patch merging',
    'LayerNorm',
    'head',
    'additions',
    'description',
  ]);
  const sum = (of: 'bytes' | 'parameters') => parts.reduce((total, part) => total + part[of], 0);
  expect(sum('bytes')).toBe(file.length);
  expect(sum('parameters')).toBe([...float.tensors.values()].reduce((n, { data }) => n + data.length, 0));
  const bytes = (name: string) => integer.tensors.get(name)!.byteLength;
  expect(parts.find(({ part }) => part === 'head')!.bytes).toBe(
    bytes('head.weight') + bytes('head.bias') + bytes('head.multiplier'),
  );
  expect(tinySwinFile().length).toBeGreaterThan(file.length);
});

test.each([
  [0, 10, 0, 0.2775],
  [5, 10, 0.2366, 0.7634],
  [10, 10, 0.7225, 1],
  [195, 200, 0.9428, 0.9893],
])('95 %% interval of %i of %i: %f to %f', (hits, count, low, high) => {
  const [from, to] = interval(hits, count);
  expect(from).toBeCloseTo(low, 4);
  expect(to).toBeCloseTo(high, 4);
});

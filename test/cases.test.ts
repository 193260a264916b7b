// The inputs of ../shared/cases that fqvit once got wrong, each with the answer of the library that
// defines its format.
import { afterAll, expect, test } from '@jest/globals';
import { readFloatSource } from '../src/cli/float-source.js';
import { loadFloat } from '../src/float.js';
import { parseLabels } from '../src/labels/parse.js';
import { load } from '../src/model/model.js';
import { quantize } from '../src/quantize/index.js';
import { describeWithShared, readShared, shared } from './support/shared.js';

const PHOTO = 'cases/p_plain.png';
const FILES = [
  ...['bgr', 'clipint', 'ema', 'lightning_criterion', 'multilabel', 'offset', 'oneclass', 'p_plain.png'],
  ...['plain', 'st_module', 'st_origmod', 'swa', 'timm_args', 'timm_avgmax', 'timm_border', 'timm_new'],
  ...['timm_old', 'yrevar.txt'],
].map((name) => `cases/${name}`);
const MINMAX = { method: 'minmax', calibrationImages: 4 } as const;

interface Case {
  readonly weights?: string;
  readonly output?: 'value';
}

async function sourceOf(name: string) {
  return readFloatSource(`${shared}cases/${name}`);
}

/** Logits of the float model. */
async function floatLogits(name: string): Promise<number[]> {
  const { bytes, options } = await sourceOf(name);
  const model = await loadFloat(bytes as Uint8Array, options);
  const logits = await model.logits(readShared(PHOTO));
  model.dispose();
  return [...logits];
}

/** Predictions of the integer model in the order of the classes, and the warnings. */
async function classified(name: string, { weights, output }: Case = {}) {
  const { bytes, options } = await sourceOf(name);
  const made = await quantize(bytes, 'synthetic', { ...options, ...MINMAX, weights, output });
  const model = await load(made.bytes);
  const predictions = await model.classify(readShared(PHOTO));
  model.dispose();
  return {
    predictions: predictions.sort((a, b) => a.index - b.index),
    warnings: made.warnings.join('\n'),
    info: model.info,
  };
}

const refused = async (name: string) => {
  const error = await sourceOf(name).then(
    () => 'it was read',
    (thrown: Error) => thrown.message,
  );
  return error;
};

describeWithShared('models that fqvit once got wrong', 19, FILES, () => {
  const written: string[] = [];
  const stderr = process.stderr.write;
  process.stderr.write = ((text: string) => written.push(text) > 0) as typeof process.stderr.write;
  afterAll(() => {
    process.stderr.write = stderr;
  });

  const probabilities = async (name: string, options?: Case) =>
    (await classified(name, options)).predictions.map(({ probability }) => probability);
  const close = (found: readonly (number | undefined)[], expected: readonly number[]) => {
    expect(found).toHaveLength(expected.length);
    for (const [i, value] of expected.entries()) expect(Math.abs(found[i]! - value)).toBeLessThan(0.002);
  };

  test('plain gives a softmax', async () => {
    close(await probabilities('plain'), [0.4955, 0.4955, 0.0091]);
  });

  test('multilabel gives a sigmoid for each class', async () => {
    close(await probabilities('multilabel'), [0.8808, 0.8808, 0.1192]);
  });

  test('oneclass gives a sigmoid, or the value of a regression', async () => {
    close(await probabilities('oneclass'), [0.5]);
    const { predictions } = await classified('oneclass', { output: 'value' });
    expect(predictions).toEqual([{ index: 0, label: 'defect', value: expect.any(Number) }]);
    expect(Math.abs(predictions[0]!.value!)).toBeLessThan(0.01);
  });

  // from timm 1.0.31: mean of the patches and GELU by tanh; the preprocessing of the file
  test.each([
    ['timm_args', [1.8991859, -0.2527881, -0.615541]],
    ['timm_old', [0.0394318, 1.0569843, 0.4848554]],
    ['timm_new', [0.0394318, 1.0569843, 0.4848554]],
  ])('%s', async (name, logits) => {
    const found = await floatLogits(name);
    for (const [i, value] of logits.entries()) expect(Math.abs(found[i]! - value)).toBeLessThan(1e-5);
  });

  test('timm_old has the labels and preprocessing of the flat form', async () => {
    const { info } = await classified('timm_old');
    expect(info.labels).toEqual(['a', 'b', 'c']);
    expect(info.preprocessing).toEqual({
      ...{ imageSize: 32, cropPct: 0.8, interpolation: 'bilinear' },
      ...{ mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] },
    });
  });

  test.each([
    ['timm_avgmax', /config\.json: global_pool: expected "token" or "avg", found "avgmax"/],
    ['timm_border', /config\.json: pretrained_cfg: crop_mode: expected "center" or "squash", found "border"/],
    ['bgr', /preprocessor_config\.json: do_flip_channel_order: expected false, found true/],
    ['offset', /preprocessor_config\.json: rescale_offset: expected false, found true/],
  ])('%s: refused by name', async (name, message) => {
    expect(await refused(name)).toMatch(message);
  });

  test('clipint resizes the short side, then crops', async () => {
    const { info } = await classified('clipint');
    expect(info.preprocessing).toMatchObject({ imageSize: 32, cropPct: 1, cropRounding: 'down' });
    expect(info.preprocessing).not.toHaveProperty('squash');
  });

  // transformers on the weights under plain names
  test.each(['st_origmod', 'st_module', 'swa', 'lightning_criterion'])('%s is read', async (name) => {
    const logits = await floatLogits(name);
    const powers = logits.map(Math.exp);
    const sum = powers.reduce((total, power) => total + power, 0);
    close(
      powers.map((power) => power / sum),
      [0.1246, 0.3152, 0.5601],
    );
  });

  test('names leftover tensors', async () => {
    expect((await classified('swa')).warnings).toContain('"n_averaged"');
    expect((await classified('lightning_criterion')).warnings).toContain('criterion.weight');
  });

  test('ema: takes the averaged weights with a warning, and the others by name', async () => {
    const best = ({ predictions }: Awaited<ReturnType<typeof classified>>) =>
      predictions.reduce((a, b) => (b.probability > a.probability ? b : a)).label;
    const averaged = await classified('ema');
    expect(best(averaged)).toBe('c');
    expect(averaged.warnings).toMatch(/state_dict_ema.*state_dict/);
    expect(best(await classified('ema', { weights: 'state_dict' }))).toBe('a');
  });

  test('yrevar.txt is read as a Python dict of labels', () => {
    const { labels } = parseLabels(new TextDecoder().decode(readShared('cases/yrevar.txt')), 'yrevar.txt');
    expect(labels[0]).toBe('tench, Tinca tinca');
  });
});

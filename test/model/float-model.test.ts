import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { readFloatModel } from '../../src/checkpoint/float/model.js';
import { CheckpointError, ImageError, RuntimeError, UsageError } from '../../src/errors.js';
import { type FloatClassifier, type FloatLoadOptions, loadFloat } from '../../src/float.js';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { readPixels } from '../../src/image/source.js';
import { load } from '../../src/model/model.js';
import { rankClasses } from '../../src/model/rank.js';
import { tinyShapes } from '../checkpoint/tiny-float.js';
import { randomPixels, wasm } from '../forward/float/support.js';
import { refusal } from '../support/refusal.js';
import { modelFile, TINY_CONFIG, tinyModel, tinySwinModel } from '../support/tiny-model.js';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const cat = path('examples/chelsea.png');
const bundled = path('training/weights/deit_cifar10.safetensors');

const models: FloatClassifier[] = [];
async function loaded(source: Parameters<typeof loadFloat>[0], options?: FloatLoadOptions) {
  const model = await loadFloat(source, options);
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

test.each([
  ['DeiT', tinyModel()],
  ['Swin', tinySwinModel()],
])('the logits of a %s are those of the runner, its classes their softmax', async (_, file) => {
  const checkpoint = readFloatModel(file);
  const runner = await FloatRunner.create(checkpoint, { wasm });
  const model = await loaded(file);
  for (const image of [cat, { width: 9, height: 14, data: randomPixels(9 * 14 * 3, 1) }]) {
    const pixels = await readPixels(image, checkpoint.preprocessing);
    const [logits] = runner.run([pixels]);
    expect(await model.logits(image)).toEqual(logits);
    expect(model.logitsOfPixels(pixels)).toEqual(logits);
    const found = await model.classify(image, { top: 2 });
    expect(found.map(({ index }) => index)).toEqual(rankClasses(logits!, 2));
    const sum = logits!.reduce((total, logit) => total + Math.exp(logit), 0);
    for (const { index, label, probability } of found) {
      expect(label).toBe(checkpoint.labels[index]);
      expect(probability).toBeCloseTo(Math.exp(logits![index]!) / sum, 6);
    }
  }
  runner.dispose();
});

test('sees the same pixels and class as the integer model made from it', async () => {
  const float = await loaded(bundled);
  const integer = await load('deit_cifar10');
  const { labels, preprocessing } = integer.info;
  expect(float.info).toMatchObject({ labels, preprocessing, warnings: [], bytes: 2_419_860 });
  expect(float.info.memoryBytes).toBeGreaterThan(integer.info.memoryBytes);
  const [a, b] = [await float.classify([cat, cat]), await integer.classify([cat, cat])];
  expect(a.map(([best]) => best!.label)).toEqual(['cat', 'cat']);
  expect(b.map(([best]) => best!.label)).toEqual(['cat', 'cat']);
  expect(Math.abs(a[0]![0]!.probability - b[0]![0]!.probability)).toBeLessThan(0.05);
  integer.dispose();
});

test('takes options of the checkpoint, a kernel module and onProgress', async () => {
  const file = tinyModel({ ...TINY_CONFIG, labels: ['x', 'y', 'z'] });
  const seen: [number, number | undefined][] = [];
  const response = new Response(Uint8Array.from(file), {
    headers: { 'content-length': String(file.length) },
  });
  const onProgress = (loaded: number, total?: number) => seen.push([loaded, total]);
  const model = await loaded(response, { labels: ['a', 'b', 'c'], cropPct: 0.5, wasm, onProgress });
  expect(model.info.labels).toEqual(['a', 'b', 'c']);
  expect(model.info.preprocessing.cropPct).toBe(0.5);
  expect(seen.at(-1)).toEqual([file.length, file.length]);
});

test('its info is frozen', async () => {
  const { info } = await loaded(tinyModel());
  expect(() => Object.assign(info.preprocessing, { imageSize: 1 })).toThrow(TypeError);
});

test('refuses a file that is not a float checkpoint', async () => {
  const integer = path('models/deit_cifar10.safetensors');
  expect(await refusal(loadFloat(integer), CheckpointError, 'MODEL_KIND')).toBe(
    `${integer}: expected a float checkpoint, found an integer checkpoint: load it directly`,
  );
  const cut = readFileSync(bundled).subarray(0, 1000);
  await refusal(loadFloat(cut), CheckpointError, 'CHECKPOINT_TRUNCATED');
  await refusal(loadFloat(path('absent.safetensors')), RuntimeError, 'SOURCE');
  await refusal(loadFloat(tinyModel(), { arch: 'resnet50' }), UsageError, 'MODEL_OPTION');
  await refusal(loadFloat(tinyModel(), { wasm: new Uint8Array(8) }), RuntimeError, 'WASM');
});

test('an aborted load rejects with the reason', async () => {
  const reason = new Error('enough');
  await expect(loadFloat(tinyModel(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

test('refuses bad calls and keeps working', async () => {
  const model = await loaded(tinyModel());
  expect(await refusal(model.classify(cat, { top: 0 }), UsageError, 'TOP')).toBe(
    'top: expected a positive integer, found 0',
  );
  await refusal(model.classify(new Uint8Array(3)), ImageError, 'IMAGE_FORMAT');
  const pixels = Promise.resolve().then(() => model.logitsOfPixels(new Uint8Array(7)));
  expect(await refusal(pixels, UsageError, 'PIXELS')).toBe('pixels: expected 16×16×3 = 768 bytes, found 7');
  expect(await model.classify(cat)).toHaveLength(3);
  model.dispose();
  model.dispose();
  await refusal(model.classify(cat), UsageError, 'DISPOSED');
  await refusal(model.logits(cat), UsageError, 'DISPOSED');
});

test('a backbone refuses to classify', async () => {
  const shapes = tinyShapes();
  for (const name of ['head.weight', 'head.bias']) shapes.delete(name);
  const model = await loaded(modelFile(shapes, { architecture: 'deit', num_heads: 2 }, 1));
  const message = await refusal(model.classify(cat), UsageError, 'CLASSES');
  expect(message).toBe('model: expected one with classes, found a backbone: it has features only');
});

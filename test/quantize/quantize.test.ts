import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { FloatModel } from '../../src/checkpoint/float/model.js';
import type { Recipe } from '../../src/checkpoint/integer/description.js';
import {
  type IntegerModel,
  readIntegerModel,
  writeIntegerModel,
} from '../../src/checkpoint/integer/model.js';
import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../src/checkpoint/safetensors/safetensors.js';
import { CheckpointError, QuantizeError, RuntimeError, UsageError } from '../../src/errors.js';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { IntegerRunner } from '../../src/forward/integer/runner.js';
import type { ImageSource } from '../../src/image/source.js';
import { load } from '../../src/model/model.js';
import { calibrate } from '../../src/quantize/calibrate.js';
import { type QuantizeOptions, quantize, readFloatModel } from '../../src/quantize/index.js';
import { integerize } from '../../src/quantize/integerize.js';
import { ATTENTION_BITS, METHODS, methodRecipe } from '../../src/quantize/recipe.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { tinyFile, tinyShapes, zeros } from '../checkpoint/tiny-float.js';
import { random, randomPixels } from '../forward/float/support.js';
import { refusal } from '../support/refusal.js';
import {
  EIGHTHS,
  RECIPE,
  sealed,
  tinyFloat,
  tinyFloatFile,
  tinyIntegerFile,
  tinyQuantizers,
  tinySwin,
  tinySwinFile,
  UNIFORM,
} from '../support/tiny-integer.js';

const float = tinyFloatFile();

/** Pictures of 8×8 pixels, which the tiny models see uncropped. */
const pictures = (count: number, side = 8) =>
  Array.from({ length: count }, (_, i) => ({
    width: side,
    height: side,
    data: randomPixels(side * side * 3, i + 1),
  }));
const three = pictures(3);

/**
 * Loads both tiers, runs them over the pictures, and expects the same bits; the logits of the last
 * picture.
 */
async function runs(file: Uint8Array): Promise<Float32Array> {
  const models = await Promise.all([load(file, { tier: 'scalar' }), load(file)]);
  let last: Float32Array = new Float32Array();
  for (const picture of pictures(2)) {
    const [scalar, simd] = [await models[0].logits(picture), await models[1].logits(picture)];
    expect(simd).toEqual(scalar);
    last = simd;
  }
  for (const model of models) model.dispose();
  return last;
}

describe('the integer model is close to the float model', () => {
  const sizes = { classes: 10, dim: 32, mlpDim: 64, grid: 3, config: { crop_pct: 1 } };
  const images = pictures(32, 12);
  /**
   * Root mean square of the differences of the logits, as a part of their range. Measured: up to
   * 0.040 and 0.022.
   */
  const LARGEST_ERROR = { 4: 0.05, 7: 0.03, 8: 0.03 };

  const rms = (a: readonly Float32Array[], b: readonly Float32Array[]) => {
    const all = a.flatMap((logits) => [...logits]);
    const range = Math.max(...all) - Math.min(...all);
    const squares = all.map((x, i) => (x - b[Math.floor(i / 10)]![i % 10]!) ** 2);
    return Math.sqrt(squares.reduce((x, y) => x + y) / squares.length) / range;
  };

  describe.each([
    ['deit', tinyFloatFile({ family: 'deit', ...sizes })],
    ['vit', tinyFloatFile({ family: 'vit', ...sizes })],
    ['swin', tinySwinFile({ imageSize: 12, window: 3, classes: 10, dim: 32, mlpDim: 64 })],
  ])('%s', (_, file) => {
    let expected: Float32Array[];
    beforeAll(async () => {
      const runner = await FloatRunner.create(readFloatModel(file), { wasm: await readWasm('float') });
      expected = images.map(({ data }) => runner.run([data])[0]!);
    });

    test.each(METHODS.flatMap((method) => ATTENTION_BITS.map((bits) => [method, bits] as const)))(
      '%s, attention in %d bits',
      async (method, attentionBits) => {
        const { bytes, model } = await quantize(file, images, { method, attentionBits });
        expect(model.recipe).toMatchObject({
          ...methodRecipe({ method }),
          attention: { 4: 'log2', 7: 'eighths', 8: 'uniform' }[attentionBits],
        });
        const integer = await load(bytes);
        const found = images.map(({ data }) => integer.logitsOfPixels(data));
        expect(rms(expected, found)).toBeLessThan(LARGEST_ERROR[attentionBits]);
        // The bound means something: the logits of the neighbouring picture are far off.
        expect(rms(expected, [...found.slice(1), found[0]!])).toBeGreaterThan(0.1);
      },
    );
  });

  test('all bits and methods give different checkpoints', async () => {
    const options: QuantizeOptions[] = METHODS.flatMap((method) =>
      ATTENTION_BITS.map((attentionBits) => ({ method, attentionBits })),
    );
    options.push({ observer: 'ema' }, { observer: 'omse' }, { observer: 'percentile' });
    const tensors = [];
    for (const option of options) {
      const { bytes, model } = await quantize(float, pictures(20), option);
      const data = Buffer.from(writeSafetensors(readSafetensors(bytes).tensors.values(), {}));
      tensors.push(JSON.stringify(model.program.layers) + data.toString('base64'));
    }
    expect(new Set(tensors).size).toBe(options.length);
  });
});

describe('weights of 4 bits', () => {
  const sizes = { classes: 10, dim: 32, mlpDim: 64 };
  test.each([
    ['deit', tinyFloatFile({ grid: 3, config: { crop_pct: 1 }, ...sizes }), 12],
    ['swin', tinySwinFile({ imageSize: 16, ...sizes }), 16],
  ])(
    '%s: error feedback is closer to float than rounding to nearest, and as repeatable',
    async (_, file, side) => {
      const images = pictures(64, side);
      const model = readFloatModel(file);
      const wasm = await readWasm('float');
      const runner = await FloatRunner.create(model, { wasm });
      const seen = pictures(96, side)
        .slice(64)
        .map(({ data }) => data);
      const expected = seen.map((data) => runner.run([data])[0]!);
      const error = async (bytes: Uint8Array) => {
        const integer = await load(bytes);
        const squares = seen.map((data, i) =>
          integer.logitsOfPixels(data).reduce((sum, x, c) => sum + (x - expected[i]![c]!) ** 2, 0),
        );
        return squares.reduce((a, b) => a + b);
      };
      const options = { method: 'fq', weightBits: 4, seed: null } as const;
      const { bytes, model: fed } = await quantize(file, images, options);
      expect((await quantize(file, images, options)).bytes).toEqual(bytes);
      const data = images.map((image) => image.data);
      const { quantizers } = await calibrate(model, data, 64, { observer: 'minmax', ptf: true, wasm });
      const nearest = sealed(writeIntegerModel(integerize(model, quantizers, fed.recipe)));
      expect(nearest).toHaveLength(bytes.length);
      expect(await error(bytes)).toBeLessThan(0.8 * (await error(nearest)));
    },
  );

  test('rounds 7 and 8 bits to nearest, 6 and 5 with error feedback', async () => {
    const file = tinyFloatFile({ config: { crop_pct: 1 } });
    const source = readFloatModel(file);
    const wasm = await readWasm('float');
    const data = three.map((image) => image.data);
    const run = { observer: 'minmax', ptf: true, wasm } as const;
    for (const weightBits of [8, 7, 6, 5] as const) {
      const { bytes, model } = await quantize(file, three, { method: 'fq', weightBits, seed: null });
      const { quantizers } = await calibrate(source, data, 3, run);
      const nearest = sealed(writeIntegerModel(integerize(source, quantizers, model.recipe)));
      expect(Buffer.compare(bytes, nearest) === 0).toBe(weightBits > 6);
    }
  });
});

describe('the bytes of the checkpoint', () => {
  test('are equal for equal input, and read back as the same model', async () => {
    const { bytes, model, warnings, skipped } = await quantize(float, three);
    expect((await quantize(new Uint8Array(float), [...three])).bytes).toEqual(bytes);
    expect(readIntegerModel(bytes)).toEqual({ ...model, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(sealed(writeIntegerModel(readIntegerModel(bytes)))).toEqual(bytes);
    expect({ warnings, skipped }).toEqual({ warnings: [], skipped: [] });
  });

  test('state the SHA-256 of the float checkpoint, the number of images and the seed', async () => {
    const { model } = await quantize(float, three, { seed: 7 });
    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(float))).toString('hex');
    expect(model.recipe).toEqual({
      ...methodRecipe({ method: 'best' }),
      calibrationImages: 3,
      seed: 7,
      sourceSha256: digest,
    });
  });

  test('depend on the seed, which picks the images', async () => {
    const images = pictures(40);
    const of = async (seed: number | null) =>
      (await quantize(float, images, { seed, calibrationImages: 4 })).bytes;
    expect(await of(5)).toEqual(await of(5));
    const tables = await Promise.all(
      [0, 1, 2, null].map(async (seed) =>
        String(readIntegerModel(await of(seed)).program.activations.get('logits')!.scale),
      ),
    );
    expect(new Set(tables).size).toBe(4);
  });

  test('seed null takes the list in its order', async () => {
    const images = pictures(40);
    const explicit = await quantize(float, images, { seed: null, calibrationImages: 4 });
    expect(explicit.model.recipe).toMatchObject({ seed: null, calibrationImages: 4 });
    expect((await quantize(float, images.slice(0, 4), { seed: null })).bytes).toEqual(explicit.bytes);
    // The moving average depends on the order of the batches of 16.
    const ema = async (list: ImageSource[]) =>
      (await quantize(float, list, { seed: null, method: 'ema' })).bytes;
    expect(await ema([...images].reverse())).not.toEqual(await ema(images));
  });

  test('contain labels, preprocessing and options', async () => {
    const labels = ['a', 'b', '\ud83d\udc1c'];
    const { model } = await quantize(float, three, { labels, cropPct: 0.7, mean: [0.1, 0.2, 0.3] });
    expect(model.labels).toEqual(labels);
    expect(model.preprocessing).toMatchObject({ cropPct: 0.7, mean: [0.1, 0.2, 0.3] });
  });
});

describe('calibration images', () => {
  const broken = [
    Uint8Array.of(1, 2, 3),
    join('no', 'such', 'file.jpg'),
    { width: 1, height: 1, data: new Uint8Array(2) },
  ];

  test('an unreadable image is skipped and replaced', async () => {
    const images = [broken[0]!, three[0]!, broken[1]!, three[1]!, broken[2]!, three[2]!];
    const { bytes, skipped, model } = await quantize(float, images, { seed: null, calibrationImages: 2 });
    expect(bytes).toEqual((await quantize(float, three.slice(0, 2), { seed: null })).bytes);
    expect(model.recipe.calibrationImages).toBe(2);
    expect(skipped.map(({ image }) => image)).toEqual(broken.slice(0, 2));
    expect(skipped.map(({ error }) => error.code)).toEqual(['IMAGE_FORMAT', 'SOURCE']);
  });

  test('without a number, all readable images are used', async () => {
    const { model, skipped } = await quantize(float, [...broken, ...three]);
    expect(model.recipe.calibrationImages).toBe(3);
    expect(skipped).toHaveLength(3);
  });

  test('refuses no images, no readable ones, and fewer than requested', async () => {
    const code = 'CALIBRATION_IMAGES';
    expect(await refusal(quantize(float, []), QuantizeError, code)).toBe(
      'calibration: expected 1 readable image, found 0',
    );
    const none = await refusal(quantize(float, broken, { seed: null }), QuantizeError, code);
    expect(none).toMatch(/^calibration: expected 1 readable image, found 0\n {2}skipped: bytes: /);
    expect(none.split('\n')).toHaveLength(4);
    expect(none).toContain('skipped: no');
    expect(none).toContain('skipped: pixels: expected 1×1');
    const many = await refusal(quantize(float, Array(25).fill(broken[0])), QuantizeError, code);
    expect(many.split('\n')).toHaveLength(12);
    expect(many).toMatch(/\n {2}and 15 more$/);
    expect(await refusal(quantize(float, three, { calibrationImages: 4 }), QuantizeError, code)).toBe(
      'calibration: expected 4 readable images, found 3',
    );
    const some = quantize(float, [...three, broken[0]!], { calibrationImages: 4 });
    expect(await refusal(some, QuantizeError, code)).toMatch(
      /expected 4 readable images, found 3\n {2}skipped: /,
    );
  });

  test('reports progress, and can be aborted before and during a run', async () => {
    const seen: unknown[][] = [];
    await quantize(float, pictures(40), {
      method: 'fq',
      onProgress: (...progress) => seen.push(progress),
    });
    expect(seen).toEqual([
      [16, 40, 'calibrating'],
      [32, 40, 'calibrating'],
      [40, 40, 'calibrating'],
      ...Array.from({ length: 11 }, (_, layer) => [layer, 10, 'rounding']),
    ]);
    const reason = new Error('enough');
    await expect(quantize(float, three, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const onProgress = () => controller.abort(reason);
    const run = quantize(float, pictures(40), { signal: controller.signal, onProgress });
    await expect(run).rejects.toBe(reason);
    const rounding = new AbortController();
    const late = quantize(float, three, {
      ...{ method: 'fq', weightBits: 4, signal: rounding.signal },
      onProgress: (done, _, phase) => phase === 'rounding' && done === 5 && rounding.abort(reason),
    });
    await expect(late).rejects.toBe(reason);
  });
});

describe('synthetic pictures', () => {
  const recipeOf = async (options: QuantizeOptions) =>
    (await quantize(float, 'synthetic', options)).model.recipe;

  test('the seed decides the bytes, and the recipe states it', async () => {
    const [once, again, other] = [
      await quantize(float, 'synthetic', { calibrationImages: 8, seed: 3 }),
      await quantize(float, 'synthetic', { calibrationImages: 8, seed: 3 }),
      await quantize(float, 'synthetic', { calibrationImages: 8, seed: 4 }),
    ];
    expect(again.bytes).toEqual(once.bytes);
    expect(other.bytes).not.toEqual(once.bytes);
    expect(readIntegerModel(once.bytes).recipe).toMatchObject({
      calibration: 'synthetic',
      calibrationImages: 8,
      seed: 3,
    });
    await runs(once.bytes);
  });

  test('by default there are 128, with seed 0', async () => {
    expect(await recipeOf({ method: 'minmax' })).toMatchObject({ calibrationImages: 128, seed: 0 });
  });

  test('a recipe with photos does not say where they are from', async () => {
    expect((await quantize(float, three)).model.recipe).not.toHaveProperty('calibration');
  });

  test('need a seed', async () => {
    expect(await refusal(quantize(float, 'synthetic', { seed: null }), UsageError, 'SEED')).toBe(
      'seed: expected an integer from 0 to 2^32 - 1, found null',
    );
  });

  test('any other word is refused', async () => {
    expect(await refusal(quantize(float, 'photos' as never), UsageError, 'IMAGES')).toBe(
      'images: expected a list or "synthetic", found "photos"',
    );
  });
});

describe('refusals', () => {
  test.each<[name: string, options: object, code: string, message: string]>([
    [
      'method',
      { method: 'ptf' },
      'METHOD',
      'method: expected one of fq, best, minmax, ema, percentile, omse, found "ptf"',
    ],
    ['observer', { observer: 'mean' }, 'METHOD', 'observer: expected one of minmax, ema, percentile, omse'],
    ['observer of another method', { method: 'ema', observer: 'omse' }, 'METHOD', 'is its own observer'],
    ['attention bits', { attentionBits: 6 }, 'METHOD', 'attentionBits: expected one of 4, 7, 8, found 6'],
    ['weight bits', { weightBits: 3 }, 'METHOD', 'weightBits: expected one of 8, 7, 6, 5, 4, found 3'],
    ['activation bits', { activationBits: 4 }, 'METHOD', 'activationBits: expected one of 8, 7, found 4'],
    ['no images', { calibrationImages: 0 }, 'CALIBRATION_COUNT', 'expected a positive integer, found 0'],
    ['half an image', { calibrationImages: 1.5 }, 'CALIBRATION_COUNT', 'found 1.5'],
    ['NaN images', { calibrationImages: Number.NaN }, 'CALIBRATION_COUNT', 'found NaN'],
    [
      'a seed below 0',
      { seed: -1 },
      'SEED',
      'seed: expected an integer from 0 to 2^32 - 1 or null, found -1',
    ],
    ['a seed of 2^32', { seed: 2 ** 32 }, 'SEED', 'found 4294967296'],
    ['a seed of 0.5', { seed: 0.5 }, 'SEED', 'found 0.5'],
    ['a name', { arch: 'resnet50' }, 'MODEL_OPTION', 'arch: expected a ViT, DeiT or Swin of timm'],
    ['no name', { arch: null as never }, 'MODEL_OPTION', 'found null'],
    ['a number for a name', { arch: 5 as never }, 'MODEL_OPTION', 'found 5'],
  ])('option: %s', async (_, options, code, message) => {
    expect(await refusal(quantize(float, three, options), UsageError, code)).toContain(message);
  });

  test('anything except the bytes of a float checkpoint', async () => {
    for (const source of ['model.safetensors', new ArrayBuffer(8), null, undefined, [1, 2]]) {
      const message = await refusal(quantize(source as unknown as Uint8Array, three), UsageError, 'BYTES');
      expect(message).toContain('expected the bytes of a file (a Uint8Array), found [object ');
    }
    await refusal(quantize(new Uint8Array(4), three), CheckpointError, 'CHECKPOINT_TRUNCATED');
    const message = await refusal(quantize(tinyIntegerFile(), three), CheckpointError, 'MODEL_KIND');
    expect(message).toContain('expected a float checkpoint, found an integer checkpoint');
  });

  test('a crop that needs too large a picture, before an image is read', async () => {
    const untouched = new Proxy({}, { has: () => expect(true).toBe(false) as never }) as ImageSource;
    const run = quantize(float, [untouched], { cropPct: 0.001, file: 'a.safetensors' });
    expect(await refusal(run, UsageError, 'MODEL_OPTION')).toContain(
      'expected a number from 0.01 to 1, found 0.001',
    );
  });

  test('a module that is not the float module', async () => {
    const wasm = await readWasm('simd');
    await refusal(quantize(float, three, { wasm }), RuntimeError, 'WASM');
  });

  test('weights so large that the activations overflow', async () => {
    const file = changed((_, x) => x * 3e37);
    const error = await quantize(file, three).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(QuantizeError);
    expect(['CALIBRATION_NOT_FINITE', 'QUANTIZER_RANGE']).toContain((error as QuantizeError).code);
  });

  test.each([
    ['infinite', { scale: Number.POSITIVE_INFINITY, zeroPoint: 0 }],
    ['NaN', { scale: Number.NaN, zeroPoint: 0 }],
    ['0', { scale: 0, zeroPoint: 0 }],
    ['with a zero point of 256', { scale: 1, zeroPoint: 256 }],
    ['with a zero point of NaN', { scale: 1, zeroPoint: Number.NaN }],
  ])('a quantiser that is %s', (_, quantizer) => {
    const model = tinyFloat();
    const quantizers = tinyQuantizers(model, RECIPE).set('blocks.1.attn.scores', quantizer);
    expect(() => integerize(model, quantizers, RECIPE)).toThrow(
      expect.objectContaining({
        code: 'QUANTIZER_RANGE',
        message: expect.stringContaining('blocks.1.attn.scores'),
      }),
    );
    quantizers.delete('blocks.1.attn.scores');
    expect(() => integerize(model, quantizers, RECIPE)).toThrow(
      expect.objectContaining({ code: 'QUANTIZER_MISSING' }),
    );
  });
});

/** The float file with every weight changed. */
function changed(change: (name: string, x: number, i: number) => number, file = float): Uint8Array {
  return withTensors(file, ({ name, data }) => {
    const values = new Float32Array(data.buffer);
    values.forEach((x, i) => {
      values[i] = change(name, x, i);
    });
    return {};
  });
}

/** The float file with copies of its tensors, changed and with other fields. */
function withTensors(
  file: Uint8Array,
  change: (tensor: Tensor & { data: Uint8Array<ArrayBuffer> }) => Partial<Tensor>,
): Uint8Array {
  const { tensors, metadata } = readSafetensors(file);
  const copies = [...tensors.values()].map((tensor) => {
    const copy = { ...tensor, data: new Uint8Array(tensor.data) };
    return { ...copy, ...change(copy) };
  });
  return writeSafetensors(copies, metadata);
}

function scaleOf({ program }: IntegerModel, name: string) {
  const { scale, zeroPoint } = program.activations.get(name)!;
  return { scale, zeroPoint };
}

describe('degenerate models', () => {
  test.each(METHODS)('all weights 0: equal activations get scale 1 (%s)', async (method) => {
    const { bytes, model } = await quantize(tinyFile(), three, { method });
    for (const name of ['patch_embed.out', 'blocks.0.attn.scores', 'blocks.1.mlp.fc2.out', 'logits']) {
      const zeroPoint = method === 'best' && /^patch|fc2/.test(name) ? 128 : 0; // scales of channels
      expect([name, scaleOf(model, name)]).toEqual([name, { scale: 1, zeroPoint }]);
    }
    expect(await runs(bytes)).toEqual(new Float32Array(3));
    const narrow = await quantize(tinyFile(), three, { method, weightBits: 4 });
    expect(await runs(narrow.bytes)).toEqual(new Float32Array(3));
  });

  test("with only the head's biases, they are the logits", async () => {
    const head = zeros(tinyShapes(), 'F32', ({ name, data }) => {
      if (name === 'head.bias') new Float32Array(data.buffer).set([-1, 0.5, 2]);
    });
    const logits = await runs((await quantize(tinyFile(undefined, head), three)).bytes);
    [-1, 0.5, 2].forEach((bias, i) => {
      expect(Math.abs(logits[i]! - bias)).toBeLessThan(3 / 255);
    });
  });

  test.each([0, 1e-38, 1e-20, 1e-12, 1e-9, 1e-7])(
    'a channel whose weights are about %d has the output of its bias',
    async (size) => {
      const channel = (i: number) => i >= 16 && i < 32;
      const file = changed((name, x, i) =>
        name === 'head.weight' && channel(i) ? x * size : name === 'head.bias' && i === 1 ? 1.7 : x,
      );
      const { bytes, model } = await quantize(file, three);
      if (size === 0) {
        expect(new Set(model.tensors.get('head.weight')!.subarray(16, 32))).toEqual(new Set([0]));
      }
      const { scale } = scaleOf(model, 'logits');
      expect(Math.abs((await runs(bytes))[1]! - 1.7)).toBeLessThan(0.6 * scale!);
    },
  );

  test('accepts equal pictures of one colour', async () => {
    const grey = { width: 8, height: 8, data: new Uint8Array(192).fill(128) };
    await runs((await quantize(float, [grey, grey])).bytes);
  });

  test('accepts weights from 1e-30 to 1e9', async () => {
    for (const size of [1e-30, 1e-9, 1e4, 1e9]) {
      const file = changed((name, x) => (name.includes('norm') ? x : x * size));
      await runs((await quantize(file, three)).bytes);
      await runs((await quantize(file, three, { weightBits: 4, activationBits: 7 })).bytes);
    }
  });
});

describe('sources', () => {
  test('a ViT with mean and deviation 0.5 takes its pixels as codes', async () => {
    const { model } = await quantize(tinyFloatFile({ family: 'vit' }), three);
    const pixels = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(model.tensors.get('input.table')).toEqual(Uint8Array.from([...pixels, ...pixels, ...pixels]));
    // (p/255 - 1/2) / (1/2) = (p - 127.5)·2/255: the half goes into the bias
    expect(scaleOf(model, 'input')).toEqual({ scale: 2 / 255, zeroPoint: 128 });
    const bias = model.tensors.get('patch_embed.proj.bias')!;
    const codes = model.tensors.get('patch_embed.proj.weight')!;
    const source = readFloatModel(tinyFloatFile({ family: 'vit' })).tensors;
    const weight = source.get('patch_embed.proj.weight')!.data;
    const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);
    for (let o = 0; o < 16; o++) {
      const row = weight.subarray(o * 48, (o + 1) * 48);
      const s = Math.fround(Math.max(...row.map(Math.abs)) / 127.5);
      const expected = source.get('patch_embed.proj.bias')!.data[o]! / ((2 / 255) * s);
      expect(
        Math.abs(bias[o]! - expected - 0.5 * sum(codes.subarray(o * 48, (o + 1) * 48))),
      ).toBeLessThanOrEqual(0.51);
    }
  });

  test('a DeiT, and a ViT whose channels differ, quantise their input', async () => {
    for (const config of [{}, { mean: [0.5, 0.5, 0.4] }]) {
      const family = 'mean' in config ? 'vit' : 'deit';
      const { model } = await quantize(tinyFloatFile({ family, config }), three);
      expect(model.tensors.get('input.table')!.subarray(0, 256)).not.toEqual(
        Uint8Array.from({ length: 256 }, (_, i) => i),
      );
    }
  });

  /** What is kept of a float32: its first bits. */
  const halves = {
    BF16: (bits: number) => ({ kept: bits & 0xffff0000, half: bits >>> 16 }),
    F16: (bits: number) => {
      const exponent = ((bits >>> 23) & 255) - 127 + 15;
      if (exponent < 1 || exponent > 30) return { kept: 0, half: 0 };
      const half = ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff);
      return { kept: bits & ~0x1fff, half };
    },
  };

  test.each(['BF16', 'F16'] as const)('%s weights give the same as F32 weights', async (dtype) => {
    const half = withTensors(float, ({ data, shape }) => {
      const bits = new Uint32Array(data.buffer);
      const codes = Uint16Array.from(bits, (b) => halves[dtype](b).half);
      return { dtype, shape, data: new Uint8Array(codes.buffer) };
    });
    const full = withTensors(float, ({ data }) => {
      const bits = new Uint32Array(data.buffer);
      bits.forEach((b, i) => {
        bits[i] = halves[dtype](b).kept;
      });
      return {};
    });
    expect(half.length).toBeLessThan(0.7 * full.length);
    const [a, b] = [await quantize(half, three), await quantize(full, three)];
    expect(a.model.recipe.sourceSha256).not.toBe(b.model.recipe.sourceSha256);
    expect(a.model.tensors).toEqual(b.model.tensors);
    expect(a.model.program.layers).toEqual(b.model.program.layers);
    await runs(a.bytes);
  });
});

test('any calibration gives a checkpoint that loads and gives equal bits on both tiers', async () => {
  const [scalar, simd] = [await readWasm('scalar'), await readWasm('simd')];
  const exponent = fc.integer({ min: -44, max: 35 });
  const model = (family: 'deit' | 'swin', seed: number, size: number): FloatModel => {
    const made =
      family === 'deit'
        ? tinyFloat({ seed, classes: 9 })
        : tinySwin({ seed, classes: 9, imageSize: 8, window: 2 });
    const tensors = new Map(
      [...made.tensors].map(([name, { shape, data }]) => [name, { shape, data: data.map((x) => x * size) }]),
    );
    return { ...made, tensors };
  };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('deit', 'swin'),
      fc.constantFrom<Recipe>(RECIPE, UNIFORM, EIGHTHS),
      fc.integer({ min: 1, max: 1e6 }),
      fc.oneof(fc.constant(0), exponent),
      fc.array(exponent, { minLength: 40, maxLength: 40 }),
      fc.boolean(),
      async (family, recipe, seed, size, exponents, wild) => {
        const source = model(family, seed, 10 ** size);
        const next = random(seed);
        const quantizers = tinyQuantizers(source, recipe);
        for (const [i, [name, quantizer]] of [...quantizers].entries()) {
          if (!wild && next() > 0) continue;
          const zeroPoint = Math.floor(128 + 128 * next());
          quantizers.set(name, { ...quantizer, scale: 10 ** exponents[i % 40]!, zeroPoint });
        }
        const checkpoint = readIntegerModel(
          sealed(writeIntegerModel(integerize(source, quantizers, recipe))),
        );
        const pixels = randomPixels(192, seed);
        const [a, b] = [
          await IntegerRunner.create(checkpoint, scalar),
          await IntegerRunner.create(checkpoint, simd),
        ];
        expect(b.run(pixels)).toEqual(a.run(pixels));
      },
    ),
    { numRuns: 120 },
  );
});

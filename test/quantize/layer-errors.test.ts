import { describe, expect, test } from '@jest/globals';
import { pooledTokens, VIT_POOLS } from '../../src/architecture/architecture.js';
import { type FloatModel, readFloatModel } from '../../src/checkpoint/float/model.js';
import type { Recipe } from '../../src/checkpoint/integer/description.js';
import { type IntegerModel, writeIntegerModel } from '../../src/checkpoint/integer/model.js';
import { CheckpointError, ImageError, UsageError } from '../../src/errors.js';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { IntegerRunner } from '../../src/forward/integer/runner.js';
import { calibrateBest } from '../../src/quantize/best.js';
import { calibrate } from '../../src/quantize/calibrate.js';
import { integerize } from '../../src/quantize/integerize.js';
import { type LayerError, layerErrors } from '../../src/quantize/layer-errors.js';
import type { Quantizer } from '../../src/quantize/observers.js';
import { methodRecipe } from '../../src/quantize/recipe.js';
import { tinyShapes } from '../checkpoint/tiny-float.js';
import { randomPixels, wasm } from '../forward/float/support.js';
import { refusal } from '../support/refusal.js';
import { readModule } from '../support/tiers.js';
import { type Json, sealed, withDescription } from '../support/tiny-integer.js';
import { modelFile, tinyModel, tinySwinModel } from '../support/tiny-model.js';

const SIZES = { dim: 16, depth: 2, patchSize: 4, grid: 3, mlpDim: 32, classes: 5 };

function vit(config: object, change: (shapes: Map<string, number[]>) => void = () => {}): FloatModel {
  const shapes = tinyShapes(SIZES);
  change(shapes);
  const whole = { num_heads: 2, crop_pct: 1, architecture: 'vit', ...config };
  return uneven(readFloatModel(modelFile(shapes, whole, 3)));
}

/**
 * Channels of the residual stream of very different size, so that their scales and factors differ.
 */
function uneven(model: FloatModel): FloatModel {
  const tensors = [...model.tensors].map(([name, { shape, data }]) => {
    const inside = data.length / shape[0]!;
    const channelOf = /^(pos_embed|cls_token)$/.test(name)
      ? (i: number) => i % shape.at(-1)!
      : /(attn\.proj|mlp\.fc2|patch_embed\.proj|reduction)\./.test(name)
        ? (i: number) => Math.floor(i / inside)
        : () => 2;
    return [name, { shape, data: data.map((x, i) => (x * 2 ** (channelOf(i) % 4)) / 4) }] as const;
  });
  return { ...model, tensors: new Map(tensors) };
}

/** Its tokens before the patches, and what the head reads. */
const MODELS: [name: string, model: FloatModel][] = [
  ['a DeiT', vit({ architecture: 'deit' })],
  ['a ViT', vit({})],
  [
    'a DeiT with two heads',
    vit({ architecture: 'deit' }, (shapes) =>
      shapes
        .set('dist_token', [1, 1, 16])
        .set('pos_embed', [1, 11, 16])
        .set('head_dist.weight', [5, 16])
        .set('head_dist.bias', [5]),
    ),
  ],
  ['a ViT that reads the mean of its patches', vit({ global_pool: 'avg' })],
  [
    'a ViT without a class token, fc_norm',
    vit({}, (shapes) => {
      shapes.delete('cls_token');
      shapes.set('pos_embed', [1, 9, 16]);
      for (const parameter of ['weight', 'bias']) {
        shapes.set(`fc_norm.${parameter}`, [16]);
        shapes.delete(`norm.${parameter}`);
      }
    }),
  ],
  [
    'a backbone with tanh GELU',
    vit({ activation: 'tanh' }, (shapes) => {
      for (const parameter of ['weight', 'bias']) shapes.delete(`head.${parameter}`);
    }),
  ],
  ['a Swin', uneven(readFloatModel(tinySwinModel()))],
];

const METHODS = [
  { method: 'best' },
  { method: 'fq' },
  { method: 'omse' },
  { method: 'best', weightBits: 4, activationBits: 7 },
  { method: 'fq', weightBits: 6, activationBits: 7, attentionBits: 8 },
] as const;

const picture = (size: number, seed: number) => ({
  width: size,
  height: size,
  data: randomPixels(3 * size ** 2, seed),
});

function scaleOf({ program }: IntegerModel, name: string) {
  const { scale, zeroPoint } = program.activations.get(name)!;
  return { scale, zeroPoint };
}

interface Made {
  readonly integer: IntegerModel;
  /** What the calibration found, of which the checkpoint keeps one scale each. */
  readonly quantizers: ReadonlyMap<string, Quantizer>;
}

async function make(float: FloatModel, options: (typeof METHODS)[number]): Promise<Made> {
  const method = methodRecipe(options);
  const { observer, ptf, activationBits } = method;
  const pixels = Array.from({ length: 8 }, (_, i) => picture(float.architecture.imageSize, i).data);
  async function* images() {
    yield* pixels;
  }
  const { quantizers } =
    observer === 'search'
      ? await calibrateBest(float, images(), 8, { activationBits, wasm })
      : await calibrate(float, images(), 8, { observer, ptf, activationBits, wasm });
  const recipe: Recipe = { ...method, calibrationImages: 8, seed: null, sourceSha256: '0'.repeat(64) };
  return { integer: integerize(float, quantizers, recipe), quantizers };
}

/**
 * ‖integer - float‖ / ‖float‖ of every activation, element by element, with the quantisers of the
 * calibration.
 */
async function expectedErrors(float: FloatModel, { integer, quantizers }: Made, images: Uint8Array[]) {
  const { architecture, recipe } = integer;
  const runner = await IntegerRunner.create(integer, readModule('scalar'));
  const reference = await FloatRunner.create(float, { wasm });
  const sums = new Map<string, { difference: number; float: number }>();
  for (const pixels of images) {
    const codes = new Map<string, Uint8Array>();
    runner.write('pixels', pixels);
    for (const step of runner.steps) {
      step.run(runner.kernels);
      codes.set(step.output, runner.read(step.output));
    }
    reference.run([pixels], (name, values, shape) => {
      const found = codes.get(name) ?? runner.read(name);
      const quantizer = quantizers.get(name);
      const sum = sums.get(name) ?? { difference: 0, float: 0 };
      sums.set(name, sum);
      for (const { at, index, channel } of elements(name, shape)) {
        const expected = values[at]!;
        const distance = real(name, found[index]!, channel, quantizer) - expected;
        sum.difference += distance ** 2;
        sum.float += expected ** 2;
      }
    });
  }
  runner.dispose();
  return new Map([...sums].map(([name, sum]) => [name, Math.sqrt(sum.difference / sum.float)]));

  function real(name: string, code: number, channel: number, quantizer: Quantizer | undefined): number {
    if (name === 'input' && architecture.family === 'vit') {
      const { mean, std } = float.preprocessing;
      return (code / 255 - mean[0]) / std[0];
    }
    if (name.endsWith('probs') && recipe.attention === 'log2') return code > 15 ? 0 : 1 / 2 ** code;
    if (name.endsWith('probs') && recipe.attention === 'eighths')
      return code > 127 ? 0 : Math.exp((-code * Math.LN2) / 8);
    const { scale, zeroPoint, factors, scales } = quantizer!;
    return (scales?.[channel] ?? scale * (1 << (factors?.[channel] ?? 0))) * (code - zeroPoint);
  }

  /** The elements of a float tensor that the integer model makes too: where both have them. */
  function* elements(name: string, shape: readonly number[]) {
    if (name === 'input') {
      const [, size, , channels] = shape as [number, number, number, number];
      const { patchSize: p } = architecture;
      const length = 3 * p * p;
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++)
          for (let c = 0; c < channels; c++) {
            const patch = Math.floor(y / p) * (size / p) + Math.floor(x / p);
            const index = patch * length + c * p * p + (y % p) * p + (x % p);
            yield { at: (y * size + x) * 3 + c, index, channel: c };
          }
      return;
    }
    const isLast = architecture.family !== 'swin' && name.startsWith(`blocks.${architecture.depth - 1}.`);
    const wanted = isLast ? pooledTokens(architecture) : 0;
    const [channels, rows = 1, ...outer] = [...shape].reverse() as [number, ...number[]];
    const hasAll = /norm1|qkv/.test(name) || wanted === 0;
    const made = hasAll ? rows : wanted;
    const blocks = outer.reduce((product, side) => product * side, 1);
    for (let block = 0; block < blocks; block++)
      for (let row = 0; row < made; row++)
        for (let c = 0; c < channels; c++) {
          // the last block has q for the tokens that the head reads alone
          if (name.endsWith('qkv.out') && wanted > 0 && row >= wanted && c < channels / 3) continue;
          const at = (block * rows + row) * channels + c;
          yield { at, index: (block * made + row) * channels + c, channel: c };
        }
  }
}

describe.each(MODELS)('%s', (_, float) => {
  const { imageSize } = float.architecture;
  const images = [picture(imageSize, 11), picture(imageSize, 12)];

  test('its channels differ', async () => {
    const { quantizers } = await make(float, { method: 'best' });
    const streams = [...quantizers].filter(([, { factors }]) => factors !== undefined);
    expect(streams.length).toBeGreaterThan(3);
    for (const [, { factors }] of streams) expect(new Set(factors).size).toBeGreaterThan(1);
  });

  test.each(METHODS)('%j: every activation equals a plain computation', async (options) => {
    const made = await make(float, options);
    const found = await layerErrors(float, sealed(writeIntegerModel(made.integer)), images);
    const expected = await expectedErrors(
      float,
      made,
      images.map(({ data }) => data),
    );
    expect(found.map(({ name }) => name)).toEqual([...expected.keys()]);
    for (const { name, error } of found) {
      const { [name]: wanted } = Object.fromEntries(expected);
      // scales of channels are read back from multipliers of at least 10 bits
      expect({ name, apart: Math.abs(error - wanted!) <= 1e-3 * wanted! + 1e-6 }).toEqual({
        name,
        apart: true,
      });
      // an activation in the wrong order would be as far away as another one: 1.4
      expect({ name, small: error < 0.7 }).toEqual({ name, small: true });
    }
  });
});

test('every way of pooling', () => {
  const pools = MODELS.map(([, { architecture: a }]) => (a.family === 'swin' ? 'swin' : (a.pool ?? 'token')));
  expect(new Set(pools)).toEqual(new Set([...VIT_POOLS, 'swin']));
});

describe('of a layer', () => {
  const [[, deit]] = MODELS as [[string, FloatModel]];
  const of = async (float: FloatModel, options: (typeof METHODS)[number]) => {
    const { integer } = await make(float, options);
    const images = [picture(float.architecture.imageSize, 11)];
    const errors = await layerErrors(float, sealed(writeIntegerModel(integer)), images);
    return { errors: new Map(errors.map((one) => [one.name, one])), integer };
  };
  const growth = (layer: LayerError, ...read: LayerError[]) =>
    expect(layer.growth).toBeCloseTo(layer.error / Math.max(...read.map(({ error }) => error)), 10);

  test('kind, bits, scale and zero point', async () => {
    const { errors, integer } = await of(deit, METHODS[4]);
    const kinds = ['input', 'tokens', 'pos_embed', 'blocks.0.norm1.out', 'blocks.0.attn.qkv.out'];
    expect(kinds.map((name) => errors.get(name)!.kind)).toEqual([
      'other',
      'other',
      'other',
      'layernorm',
      'linear',
    ]);
    const block = ['scores', 'probs', 'context', 'proj.out'].map((name) => `blocks.0.attn.${name}`);
    expect(block.map((name) => errors.get(name)!.kind)).toEqual(['product', 'softmax', 'product', 'linear']);
    expect(errors.get('blocks.0.mlp.gelu.out')).toMatchObject({ kind: 'gelu', bits: 7 });
    expect(errors.get('blocks.0.residual1.out')).toMatchObject({
      kind: 'addition',
      bits: 8,
      perChannel: true,
    });
    expect(errors.get('blocks.0.norm1.out')).toMatchObject({
      ...scaleOf(integer, 'blocks.0.norm1.out'),
      bits: 7,
      perChannel: false,
    });
    expect(errors.get('blocks.0.attn.probs')).toMatchObject({
      ...scaleOf(integer, 'blocks.0.attn.probs'),
      bits: 8,
    });
  });

  test.each([
    [METHODS[1], 4],
    [METHODS[0], 7],
  ])('attention codes that are logarithms have no scale: %j', async (options, bits) => {
    const { errors } = await of(deit, options);
    expect(errors.get('blocks.0.attn.probs')).toMatchObject({ kind: 'softmax', bits });
    expect(errors.get('blocks.0.attn.probs')).not.toHaveProperty('scale');
  });

  test('growth is the error over the largest error of its inputs', async () => {
    const { errors } = await of(deit, METHODS[1]);
    const at = (name: string) => errors.get(name)!;
    expect(at('input')).not.toHaveProperty('growth');
    expect(at('pos_embed')).not.toHaveProperty('growth');
    growth(at('stem.out'), at('tokens'), at('pos_embed'));
    growth(at('blocks.0.attn.context'), at('blocks.0.attn.probs'), at('blocks.0.attn.qkv.out'));
    growth(at('blocks.0.mlp.gelu.out'), at('blocks.0.norm2.out'));
    growth(at('blocks.1.residual1.out'), at('blocks.0.residual2.out'), at('blocks.1.attn.proj.out'));
    growth(at('logits'), at('norm.out'));
  });

  test('growth in a Swin counts the position bias as an input of the scores', async () => {
    const swin = readFloatModel(tinySwinModel());
    const { integer, quantizers } = await make(swin, METHODS[1]);
    const coarse = { scale: 0.5, zeroPoint: 128 };
    const others = new Map(quantizers).set('layers.0.blocks.0.attn.bias_table', coarse);
    const file = sealed(writeIntegerModel(integerize(swin, others, integer.recipe)));
    const found = await layerErrors(swin, file, [picture(16, 11)]);
    const errors = new Map(found.map((one) => [one.name, one]));
    const at = (of: string) => errors.get(`layers.0.blocks.0.attn.${of}`)!;
    expect(at('bias_table').kind).toBe('other');
    expect(at('bias_table').error).toBeGreaterThan(at('qk').error);
    growth(at('scores'), at('qk'), at('bias_table'));
  });

  test("a ViT's pixels are exact, so the next layer has no growth", async () => {
    const { errors } = await of(MODELS[1]![1], METHODS[0]);
    expect(errors.get('input')!.error).toBeLessThan(1e-6);
    expect(errors.get('patch_embed.out')!.error).toBeGreaterThan(1e-4);
    expect(errors.get('patch_embed.out')).not.toHaveProperty('growth');
  });
});

describe('refusals', () => {
  test('float bytes in place of the model, and no list of images', async () => {
    const some = { architecture: {} } as FloatModel;
    for (const wrong of [new Uint8Array(8), undefined, null, 'model.safetensors']) {
      const run = layerErrors(wrong as unknown as FloatModel, new Uint8Array(8), []);
      expect(await refusal(run, UsageError, 'FLOAT_MODEL')).toContain('expected what readFloatModel gives');
    }
    for (const wrong of [undefined, null, 'photos', { length: 1 }, new Set([1])]) {
      await refusal(layerErrors(some, new Uint8Array(8), wrong as never), UsageError, 'IMAGES');
    }
  });

  const float = readFloatModel(tinyModel());
  const integer = make(float, METHODS[1]).then((made) => sealed(writeIntegerModel(made.integer)));

  test('no images', async () => {
    const message = await refusal(layerErrors(float, await integer, []), UsageError, 'IMAGES');
    expect(message).toBe('images: expected a list of at least one, found none');
  });

  test('a file that is not an image', async () => {
    const images = [new TextEncoder().encode('no picture')];
    expect(await refusal(layerErrors(float, await integer, images), ImageError, 'IMAGE_FORMAT')).toMatch(
      /expected/,
    );
  });

  test.each([
    ['depth', readFloatModel(tinyModel(undefined, { depth: 3 })), 'expected 2, .* found 3'],
    ['prefix', vit({}, (shapes) => shapes.set('reg_token', [1, 4, 16])), 'expected'],
    ['family', readFloatModel(tinySwinModel()), 'expected "deit", as the integer model has, found "swin"'],
  ])('another %s', async (key, other, words) => {
    const call = layerErrors(other, await integer, [picture(16, 1)]);
    const message = await refusal(call, CheckpointError, 'CHECKPOINT_ARCHITECTURE');
    expect(message).toMatch(new RegExp(key === 'prefix' ? words : `^float model: ${key}: ${words}`));
  });

  test('an integer model of other layers', async () => {
    const file = withDescription(await integer, (json) => {
      json.layers.find(({ name }: Json) => name === 'blocks.0.residual2.out').reads[0] = 'stem.out';
    });
    const call = layerErrors(float, file, [picture(16, 1)]);
    expect(await refusal(call, CheckpointError, 'CHECKPOINT_ARCHITECTURE')).toBe(
      'integer model: expected add "blocks.0.residual2.out" of "blocks.0.residual1.out" and ' +
        '"blocks.0.mlp.fc2.out", 5 × 16, found add "blocks.0.residual2.out" of "stem.out" and ' +
        '"blocks.0.mlp.fc2.out", 5 × 16',
    );
  });

  test('an abort rejects with its reason', async () => {
    const call = layerErrors(float, await integer, [picture(16, 1)], { signal: AbortSignal.abort() });
    await expect(call).rejects.toThrow(/abort/i);
  });
});

test('reports progress after every image', async () => {
  const float = readFloatModel(tinyModel());
  const { integer } = await make(float, METHODS[1]);
  const seen: number[][] = [];
  await layerErrors(float, sealed(writeIntegerModel(integer)), [picture(16, 1), picture(16, 2)], {
    onProgress: (...progress) => seen.push(progress),
  });
  expect(seen).toEqual([
    [1, 2],
    [2, 2],
  ]);
});

import { readFileSync } from 'node:fs';
import { describe, expect, jest, test } from '@jest/globals';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { calibrate, calibrateEach } from '../../src/quantize/calibrate.js';
import { OBSERVER_NAMES, type Quantizer } from '../../src/quantize/observers.js';
import {
  deitTiny,
  photos,
  randomPixels,
  sharedFile,
  smallModel,
  smallSwin,
  swinMicro,
  swinPictures,
  wasm,
} from '../forward/float/support.js';
import { describeWithShared } from '../support/shared.js';

const images = Array.from({ length: 7 }, (_, i) => randomPixels(12 * 12 * 3, i + 1));
const swinImages = [1, 2, 3].map((seed) => randomPixels(24 * 24 * 3, seed));
const minmax = { observer: 'minmax', ptf: true, wasm } as const;

describe('calibrate on a small model', () => {
  test('gives every quantiser, with one factor per channel in the residual stream', async () => {
    const { quantizers } = await calibrate(smallModel(), images, 7, minmax);
    expect(quantizers.size).toBe(5 + 2 * 11 + 2);
    for (const [name, { scale, zeroPoint, factors }] of quantizers) {
      expect(scale).toBeGreaterThan(0);
      expect(Number.isInteger(zeroPoint) && zeroPoint >= 0 && zeroPoint <= 255).toBe(true);
      const inStream = name === 'stem.out' || name.includes('residual');
      expect([name, factors?.length]).toEqual([name, inStream ? 15 : undefined]);
    }
    expect(quantizers.get('blocks.1.attn.probs')!.zeroPoint).toBe(0);
  });

  test('min-max scales are those of the observed tensors, whatever the batches', async () => {
    const runner = await FloatRunner.create(smallModel(), { wasm });
    const range = new Map<string, [number, number]>();
    for (const image of images)
      runner.run([image], (name, values) => {
        const [min, max] = range.get(name) ?? [Infinity, -Infinity];
        range.set(name, [Math.min(min, ...values), Math.max(max, ...values)]);
      });
    for (const batchSize of [1, 3, 16]) {
      const { quantizers } = await calibrate(smallModel(), images, 7, { ...minmax, ptf: false, batchSize });
      for (const [name, { scale }] of quantizers) {
        const [min, max] = range.get(name)!;
        expect(scale).toBe(Math.fround(Math.fround(max - (name.endsWith('probs') ? 0 : min)) / 255));
      }
    }
  });

  test('omse and ptf fit the last, smaller batch', async () => {
    const recipe = { observer: 'omse', ptf: true, wasm, batchSize: 3 } as const;
    const all = await calibrate(smallModel(), images, 7, recipe); // 3 + 3 + 1
    const swapped = [images[3]!, images[4]!, images[5]!, images[0]!, images[1]!, images[2]!, images[6]!];
    expect(await calibrate(smallModel(), swapped, 7, recipe)).toEqual(all);
    const otherLast = [images[6]!, ...images.slice(0, 6)];
    expect(await calibrate(smallModel(), otherLast, 7, recipe)).not.toEqual(all);
  });

  test('takes async images, no more than needed, and reports every batch', async () => {
    let taken = 0;
    let closed = false;
    async function* source() {
      try {
        for (const image of images) {
          taken++;
          yield image;
        }
      } finally {
        closed = true;
      }
    }
    const onProgress = jest.fn();
    const found = await calibrate(smallModel(), source(), 5, { ...minmax, batchSize: 2, onProgress });
    expect([taken, closed]).toEqual([5, true]);
    expect(onProgress.mock.calls).toEqual([
      [2, 5, 'calibrating'],
      [4, 5, 'calibrating'],
      [5, 5, 'calibrating'],
    ]);
    expect(found).toEqual(await calibrate(smallModel(), images.slice(0, 5), 5, { ...minmax, batchSize: 2 }));
  });

  test('several recipes in one run give the same as each alone', async () => {
    const recipes = OBSERVER_NAMES.flatMap((observer) => [true, false].map((ptf) => ({ observer, ptf })));
    const together = await calibrateEach(smallModel(), images, 7, recipes, { wasm, batchSize: 4 });
    for (const [i, recipe] of recipes.entries()) {
      const alone = await calibrate(smallModel(), images, 7, { ...recipe, wasm, batchSize: 4 });
      expect(together.quantizers[i]).toEqual(alone.quantizers);
    }
  });

  test('takes all images if there are fewer than the limit, and marks the last batch', async () => {
    const recipe = { observer: 'omse', ptf: true, wasm, batchSize: 3 } as const;
    const exact = await calibrate(smallModel(), images, 7, recipe);
    expect(await calibrate(smallModel(), images, 100, recipe)).toEqual(exact);
    expect(exact.images).toBe(7);
  });

  test('refuses an invalid limit and an empty list', async () => {
    const refusal = { name: 'QuantizeError', code: 'CALIBRATION_COUNT' };
    for (const limit of [0, -1, 1.5])
      await expect(calibrate(smallModel(), images, limit, minmax)).rejects.toMatchObject(refusal);
    await expect(calibrate(smallModel(), [], 7, minmax)).rejects.toMatchObject(refusal);
  });

  test('refuses a model whose weights make NaN, and names the tensor', async () => {
    const model = smallModel();
    model.tensors.get('blocks.1.mlp.fc1.weight')!.data[3] = Number.NaN;
    await expect(calibrate(model, images, 7, minmax)).rejects.toMatchObject({
      code: 'CALIBRATION_NOT_FINITE',
      message: expect.stringContaining('blocks.1.mlp.gelu.out'),
    });
  });

  test('stops between batches when aborted, and closes its source', async () => {
    const abort = new AbortController();
    let closed = false;
    function* source() {
      try {
        yield* images;
      } finally {
        closed = true;
      }
    }
    const onProgress = jest.fn(() => abort.abort(new Error('enough')));
    const run = calibrate(smallModel(), source(), 7, {
      ...minmax,
      batchSize: 2,
      onProgress,
      signal: abort.signal,
    });
    await expect(run).rejects.toThrow('enough');
    expect(onProgress).toHaveBeenCalledTimes(1);
    expect(closed).toBe(true);
  });
});

test('calibrate on a small Swin gives every quantiser, with one factor per channel in the residual stream', async () => {
  const { quantizers } = await calibrate(smallSwin(), swinImages, 3, minmax);
  expect(quantizers.size).toBe(3 + 7 * 13 + 2 * 2 + 3);
  for (const [name, { scale, factors }] of quantizers) {
    expect(scale).toBeGreaterThan(0);
    const stage = Number(/layers\.(\d)/.exec(name)?.[1]);
    const inStream = /residual|reduction/.test(name);
    const channels = 6 * 2 ** (name.includes('reduction') ? stage + 1 : stage);
    expect([name, factors?.length]).toEqual([name, inStream ? channels : undefined]);
  }
  expect(quantizers.get('layers.1.blocks.1.attn.probs')!.zeroPoint).toBe(0);
});

interface Golden {
  scale: number;
  zero_point: number;
  ptf?: number[];
}

/** Holds one calibration against the simulator's; returns how many factors there were. */
function compare(file: string, found: ReadonlyMap<string, Quantizer>): { tensors: number; factors: number } {
  const text = readFileSync(sharedFile(`golden/${file}`), 'utf8');
  const golden = Object.entries(JSON.parse(text).quantizers as Record<string, Golden>);
  let factors = 0;
  for (const [name, expected] of golden) {
    const q = found.get(name)!;
    const what = `${file} ${name}`;
    const relative = q.scale / expected.scale - 1;
    expect([what, q.zeroPoint, Math.abs(relative) < 1e-5]).toEqual([what, expected.zero_point, true]);
    expect([what, q.factors && Array.from(q.factors)]).toEqual([what, expected.ptf]);
    factors += expected.ptf?.length ?? 0;
  }
  return { tensors: golden.length, factors };
}

const quantizerFiles = (model: string, names: readonly string[]) =>
  names.map((name) => `golden/${model}/quantizers_${name}.json`);
const OBSERVED = [...OBSERVER_NAMES, 'plain_minmax'];
const DEIT_TINY = [
  ...['models/deit_tiny_patch16_224.safetensors', 'data/imagenet500/labels.csv'],
  ...quantizerFiles('deit_tiny', OBSERVED),
];
describeWithShared('DeiT-Tiny', 1, DEIT_TINY, () => {
  test("64 photos: scales, zero points and factors are the simulator's", async () => {
    const recipes = [
      ...OBSERVER_NAMES.map((observer) => ({ observer, ptf: true })),
      { observer: 'minmax', ptf: false } as const,
    ];
    const found = await calibrateEach(deitTiny(), photos(0, 64), 64, recipes, { wasm });
    OBSERVED.forEach((file, i) => {
      const compared = compare(`deit_tiny/quantizers_${file}.json`, found.quantizers[i]!);
      expect(compared).toEqual({ tensors: 127, factors: file === 'plain_minmax' ? 0 : 25 * 192 });
    });
  });
});

const SWIN_MICRO = [
  ...['models/swin_micro.safetensors', 'golden/swin_micro/pixels.safetensors'],
  ...quantizerFiles('swin_micro', OBSERVER_NAMES),
];
describeWithShared('Swin in small', 1, SWIN_MICRO, () => {
  test("64 pictures: scales, zero points and factors are the simulator's", async () => {
    const recipes = OBSERVER_NAMES.map((observer) => ({ observer, ptf: true }));
    const pictures = swinPictures('calibration');
    const found = await calibrateEach(swinMicro(), pictures, 64, recipes, { wasm });
    expect(found.images).toBe(64);
    OBSERVER_NAMES.forEach((observer, i) => {
      const compared = compare(`swin_micro/quantizers_${observer}.json`, found.quantizers[i]!);
      // a residual stream of 32, 64 and 128 channels, two blocks each, and two reductions
      expect(compared).toEqual({ tensors: 82, factors: 4 * (32 + 64 + 128) + 64 + 128 });
    });
  });
});

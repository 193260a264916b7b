import { describe, expect, test } from '@jest/globals';
import { QuantizeError } from '../../src/errors.js';
import { networkOf } from '../../src/networks/index.js';
import { readersOf } from '../../src/networks/network.js';
import { extremeQuantiles } from '../../src/quantize/observers/percentile.js';
import {
  createObserver,
  type Observer,
  type ObserverName,
  type ObserverRecipe,
} from '../../src/quantize/observers.js';
import { Bench, randomFloats } from '../forward/float/support.js';
import { tinyFloat, tinySwin } from '../support/tiny-integer.js';

const f = Math.fround;

const NETWORKS = {
  deit: networkOf(tinyFloat().architecture, false),
  vit: networkOf(tinyFloat({ family: 'vit' }).architecture, false),
  swin: networkOf(tinySwin().architecture, false),
};

/** The observer of a layer. */
function observerOf(
  family: keyof typeof NETWORKS,
  name: string,
  recipe: ObserverRecipe,
  { workspace }: Bench,
): Observer {
  const network = NETWORKS[family];
  const layer = network.layers.find((one) => one.name === name);
  const inputs = () => {
    throw new Error('expected no other observer');
  };
  if (layer === undefined) throw new Error(`expected a layer ${name}`);
  return createObserver(layer, readersOf(network).get(name)!, 255, recipe, workspace, inputs);
}

/** Feeds batches of one tensor, the last of them marked so, and gives the quantiser. */
function observe(
  observer: ObserverName | 'ptf' | 'channel',
  batches: readonly ArrayLike<number>[],
  { name = 'blocks.0.norm1.out', channels = 1 } = {},
) {
  const bench = new Bench();
  const special = { ptf: 'stem.out', channel: 'blocks.0.attn.proj.out' };
  const made: Observer =
    observer === 'ptf' || observer === 'channel'
      ? observerOf('deit', special[observer], { observer: 'minmax', ptf: true, channels: true }, bench)
      : observerOf('deit', name, { observer, ptf: false }, bench);
  batches.forEach((batch, i) => {
    const address = bench.put(batch);
    const values = bench.view(address, batch.length);
    made.observe(
      { name, values, address, shape: [batch.length / channels, channels] },
      i === batches.length - 1,
    );
  });
  return made.quantizer();
}

describe('minmax', () => {
  test('takes the range of all batches', () => {
    // -1..3: s = 4/255, z = round(63.75)
    expect(
      observe('minmax', [
        [-1, 0, 2],
        [-0.5, 3],
      ]),
    ).toEqual({ scale: f(4 / 255), zeroPoint: 64 });
  });

  test.each([
    // range 255, so s = 1 and z = -round(min); halves go to the even code
    [-1.5, 253.5, 2],
    [-2.5, 252.5, 2],
    [-3.5, 251.5, 4],
    [-0.4, 254.6, 0],
  ])('the zero point of %d..%d is %d', (min, max, zeroPoint) => {
    expect(observe('minmax', [[min, max]])).toEqual({ scale: 1, zeroPoint });
  });

  test('a range on one side of zero clamps the zero point', () => {
    expect(observe('minmax', [[10, 20]])).toEqual({ scale: f(10 / 255), zeroPoint: 0 });
    expect(observe('minmax', [[-20, -10]])).toEqual({ scale: f(10 / 255), zeroPoint: 255 });
  });

  test('an empty range has scale 1', () => {
    expect(observe('minmax', [[0, 0, 0]])).toEqual({ scale: 1, zeroPoint: 0 });
    expect(observe('minmax', [[-3, -3]])).toEqual({ scale: 1, zeroPoint: 3 });
  });
});

describe('ema', () => {
  test('takes the first batch, then moves by one hundredth', () => {
    // max 1 -> 1.1 -> 1.089; min 0 -> -0.01 -> -0.0099: s = 1.0989/255, z = round(2.297)
    const { scale, zeroPoint } = observe('ema', [
      [0, 1],
      [-1, 11],
      [0, 0],
    ]);
    expect(scale).toBeCloseTo(1.0989 / 255, 8);
    expect(zeroPoint).toBe(2);
  });

  test('depends on the order of the batches', () => {
    expect(
      observe('ema', [
        [0, 1],
        [0, 2],
      ]).scale,
    ).toBeCloseTo(1.01 / 255, 8);
    expect(
      observe('ema', [
        [0, 2],
        [0, 1],
      ]).scale,
    ).toBeCloseTo(1.99 / 255, 8);
  });
});

describe('percentile', () => {
  const quantiles = (values: ArrayLike<number>, alpha: number) => {
    const bench = new Bench();
    const address = bench.put(values);
    const view = bench.view(address, values.length);
    return extremeQuantiles(
      bench.workspace,
      { name: 'x', values: view, address, shape: [values.length] },
      alpha,
    );
  };

  test('interpolates linearly', () => {
    // ranks of eleven values: 0.75 · 10 = 7.5 and 2.5
    expect(quantiles([5, 0, 10, 3, 8, 1, 9, 2, 7, 4, 6], 0.75)).toEqual({ min: 2.5, max: 7.5 });
    // two values: rank 0.75 of the way, 0.25 of the way
    expect(quantiles([8, 0], 0.75)).toEqual({ min: 2, max: 6 });
    expect(quantiles([3], 0.75)).toEqual({ min: 3, max: 3 });
  });

  test.each([1, 2, 100, 5000, 50001])('%d values: equal to sorting them all', (count) => {
    // a third of the values are repeated, and every block of the tensor holds extremes
    const values = randomFloats(count, 7).map((x, i) => (i % 3 ? x : Math.round(8 * x) / 8));
    const sorted = Float64Array.from(values).sort();
    for (const alpha of [0.5, 0.9, 0.999]) {
      const at = (q: number) => {
        const rank = q * (count - 1);
        const below = Math.floor(rank);
        return sorted[below]! + (rank - below) * (sorted[Math.min(below + 1, count - 1)]! - sorted[below]!);
      };
      const { min, max } = quantiles(values, alpha);
      // ranks are f32, as in torch.quantile: off by 2^-24 of the count
      expect(min).toBeCloseTo(at(1 - alpha), 5);
      expect(max).toBeCloseTo(at(alpha), 5);
    }
  });

  test.each(['ascending', 'descending'])('%s values', (order) => {
    const values = Float32Array.from({ length: 30000 }, (_, i) => (order === 'ascending' ? i : 29999 - i));
    const { min, max } = quantiles(values, 0.99);
    expect(min).toBeCloseTo(299.99, 2);
    expect(max).toBeCloseTo(29699.01, 2);
  });

  test('cuts one value in 100,000 off either end, then averages like ema', () => {
    // 0..100000: quantiles 1 and 99999 (rank 99998.9986 in f32 arithmetic is 99999)
    const ramp = Float32Array.from({ length: 100001 }, (_, i) => i);
    expect(observe('percentile', [ramp])).toEqual({ scale: f(99998 / 255), zeroPoint: 0 });
    // min: 1 + 0.01 (-99999 - 1) = -999; max: 99999 + 0.01 (-1 - 99999) = 98999
    const { scale, zeroPoint } = observe('percentile', [ramp, ramp.map((x) => -x)]);
    expect(scale).toBeCloseTo(99998 / 255, 3);
    expect(zeroPoint).toBe(3); // 999 / 392.15 = 2.55
  });
});

describe('omse', () => {
  /** The definition, in f64 and without short cuts. */
  function search(values: ArrayLike<number>, min: number, max: number) {
    const { min: least, max: greatest, round } = Math; // jest looks a global up slowly
    let best = { scale: 0, zeroPoint: 0, error: Number.POSITIVE_INFINITY };
    for (let i = 0; i < 90; i++) {
      const scale = ((max - min) * (1 - i / 100)) / 255;
      const zeroPoint = least(255, greatest(0, -round((min * (1 - i / 100)) / scale)));
      const error = Array.from(values).reduce((sum, x) => {
        const code = least(255, greatest(0, round(x / scale) + zeroPoint));
        return sum + (x - scale * (code - zeroPoint)) ** 2;
      }, 0);
      if (error < best.error) best = { scale, zeroPoint, error };
    }
    return best;
  }

  test('clips outliers if that lowers the error of the last batch', () => {
    // 40,000 values (several chunks of the error sum) within ±0.5 and two outliers: shrinking the
    // range by p saves 2p of their 40000 s²/12 = 2.5 and costs (4p)² + (3p)² at the outliers, least
    // near p = 0.1
    const values = randomFloats(40000, 1, 0.5);
    values[5] = 4;
    values[30000] = -3;
    const expected = search(values, -3, 4);
    expect(expected.scale).toBeLessThan((0.95 * 7) / 255); // the search has something to find
    const found = observe('omse', [values]);
    expect(found.scale).toBeCloseTo(expected.scale, 7);
    expect(found.zeroPoint).toBe(expected.zeroPoint);
  });

  test('the range covers all batches, the error the last one only', () => {
    const last = randomFloats(3000, 3);
    const { scale, zeroPoint } = observe('omse', [[-4, 2], last]);
    const expected = search(last, -4, 2);
    expect(scale).toBeCloseTo(expected.scale, 7);
    expect(zeroPoint).toBe(expected.zeroPoint);
    expect(scale).toBeLessThan((0.55 * 6) / 255); // not the 6/255 of min-max
  });

  test('keeps the first of equal candidates', () => {
    expect(
      observe('omse', [
        [0, 255],
        [0, 0, 0],
      ]),
    ).toEqual({ scale: 1, zeroPoint: 0 });
  });

  test('does not clip a batch on the grid of the whole range', () => {
    const grid = Float32Array.from({ length: 256 }, (_, i) => i / 4 - 16);
    expect(observe('omse', [grid])).toEqual({ scale: 0.25, zeroPoint: 64 });
  });
});

describe('ptf', () => {
  test('every channel takes the smallest scale that covers it', () => {
    // range 0..255: s8 = 1, s1 = 1/8, z = 0; the reach of α is 31.875 · 2^α
    const rows = [
      [31.875, 63.75, 127.5, 255, 3, 0, 32.5],
      [1.125, 0.25, 0.5, 7, 2, 0, 31.5],
    ];
    const { scale, zeroPoint, factors } = observe('ptf', rows, { channels: 7 });
    expect({ scale, zeroPoint }).toEqual({ scale: 0.125, zeroPoint: 0 });
    // only the last row is searched
    expect(Array.from(factors!)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    const both = observe('ptf', [[0, 0, 0, 0, 0, 0, 255], rows.flat()], { channels: 7 });
    // channels 4 and 5 have no error with any factor: the first is kept. Channel 6: clipping 32.5
    // costs 0.39, s2 nothing
    expect(Array.from(both.factors!)).toEqual([0, 1, 2, 3, 0, 0, 1]);
  });

  test('the zero point comes from s8 and applies to every channel', () => {
    // range -51..204: s8 = 1, z = 51; with α = 0 a channel reaches -51/8 = -6.375 to 204/8 = 25.5
    const quantizer = observe(
      'ptf',
      [
        [-51, 204, 0, 0],
        [-6.375, 25.5, -6.5, 26],
      ],
      { channels: 4 },
    );
    expect(quantizer).toEqual({ scale: 0.125, zeroPoint: 51, factors: Uint8Array.of(0, 0, 1, 1) });
  });

  test('s1 is the scale of the smallest factor in use', () => {
    // range 0..255: s8 = 1; the channels need α = 2 and 3, which become 0 and 1 of s1 = 1/2
    const quantizer = observe('ptf', [[0, 0, 127.5, 255]], { channels: 2 });
    expect(quantizer).toEqual({ scale: 0.5, zeroPoint: 0, factors: Uint8Array.of(0, 1) });
  });

  test('minimises the squared error rather than the range', () => {
    // s1 = 1/8. 1000 values of 0.125 (exact with α = 0 only) against one of 32: clipping costs
    // 0.0156, α = 1 costs 0 for 32 but (0.125)² · 1000 for the others
    const channel = [32, ...Array(1000).fill(0.125)];
    const { factors } = observe('ptf', [[0, 255], channel]);
    expect(Array.from(factors!)).toEqual([0]);
  });
});

describe('all observers', () => {
  const names = ['minmax', 'ema', 'percentile', 'omse', 'ptf'] as const;

  test.each(names)('%s refuses NaN and infinities by name', (name) => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      expect(() => observe(name, [[0, 1, bad, 2, 3]], { name: 'blocks.1.norm1.out' })).toThrow(
        expect.objectContaining({
          code: 'CALIBRATION_NOT_FINITE',
          message: expect.stringContaining('blocks.1.norm1.out'),
        }),
      );
  });

  test.each(names)('%s refuses to give a scale without a batch', (name) => {
    expect(() => observe(name, [])).toThrow(expect.objectContaining({ code: 'CALIBRATION_EMPTY' }));
  });

  test.each(['omse', 'ptf'] as const)('%s searches the last batch only', (name) => {
    const bench = new Bench();
    const observer = observerOf('deit', 'stem.out', { observer: 'omse', ptf: name === 'ptf' }, bench);
    const address = bench.put([0, 1]);
    observer.observe({ name: 'stem.out', values: bench.view(address, 2), address, shape: [2, 1] }, false);
    expect(() => observer.quantizer()).toThrow(expect.objectContaining({ code: 'CALIBRATION_EMPTY' }));
  });

  test.each(['minmax', 'ema', 'percentile', 'omse'] as const)(
    '%s takes 0 as the least probability',
    (name) => {
      const { scale, zeroPoint } = observe(name, [[0.5, 0.5, 0.5]], { name: 'blocks.0.attn.probs' });
      expect(zeroPoint).toBe(0);
      expect(scale).toBeCloseTo(0.5 / 255, 8);
    },
  );
});

describe('power-of-two factors are for the residual stream, and only if the recipe has them', () => {
  const vit = {
    stream: ['stem.out', 'blocks.0.residual1.out', 'blocks.1.residual2.out'],
    others: ['input', 'blocks.0.norm1.out', 'norm.out', 'blocks.0.attn.context', 'tokens'],
  };
  const swin = {
    stream: [
      'layers.0.blocks.0.residual1.out',
      'layers.1.blocks.1.residual2.out',
      'layers.0.downsample.reduction.out',
    ],
    others: [
      'patch_embed.conv.out',
      'stem.out',
      'layers.0.blocks.0.norm1.out',
      'layers.0.downsample.norm.out',
      'norm.out',
      'pooled',
    ],
  };

  test.each([
    ['deit', vit],
    ['vit', vit],
    ['swin', swin],
  ] as const)('%s', (family, { stream, others }) => {
    const bench = new Bench();
    const named = (name: string, ptf: boolean) =>
      observerOf(family, name, { observer: 'ema', ptf }, bench).constructor.name;
    for (const name of stream) {
      expect([named(name, true), named(name, false)]).toEqual(['PtfObserver', 'EmaObserver']);
    }
    for (const name of others) expect([name, named(name, true)]).toEqual([name, 'EmaObserver']);
  });
});

describe('channel', () => {
  test('takes one scale per channel, from its largest magnitude in all batches', () => {
    const batches = [
      [1, -2, 0, -127],
      [-3, 0.5, 0, 12.7],
    ];
    const { scale, zeroPoint, scales } = observe('channel', batches, { channels: 4 });
    expect({ scale, zeroPoint }).toEqual({ scale: 1, zeroPoint: 128 });
    // the third is never anything but 0
    expect([...scales!]).toEqual([3 / 127, 2 / 127, 2 ** -10, 1]);
  });

  test('zeros get scale 1', () => {
    const { scale, scales } = observe('channel', [[0, 0]], { channels: 2 });
    expect([scale, ...scales!]).toEqual([1, 2 ** -10, 2 ** -10]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('refuses %d', (value) => {
    expect(() => observe('channel', [[1, value]], { channels: 2 })).toThrow(QuantizeError);
  });
});

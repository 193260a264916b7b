import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { requantizer } from '../../src/quantize/requantizer.js';
import { requantised } from './reference.js';
import { type Bench, expectSame, onBothTiers, Random, roundUp } from './support.js';

interface Layer {
  m: number;
  n: number;
  k: number;
  lda: number;
  ldo: number;
  za: number;
  zo: number;
  left: number;
  right: number;
  /** u8 `[m, lda]`. */
  codes: Uint8Array;
  /** int8 `[n, k]`. */
  weights: Int8Array;
  bias: Int32Array;
  multipliers: Int32Array;
}

const KERNELS = [
  { kernel: 'linear', high: 255, size: 1 },
  { kernel: 'linear_fine', high: 4095, size: 2 },
] as const;
type Kernel = (typeof KERNELS)[number];

/** Bytes of packed rows that the SIMD tier takes at once. */
const CHUNK = 2 ** 18;

function run({ kernel, size }: Kernel, layer: Layer): Uint8Array | Uint16Array {
  const { m, n, k, lda, ldo, za, zo, left, right } = layer;
  const scratch = Math.min(2 * k * roundUp(m, 4), Math.max(CHUNK, 8 * k)) + 16 * k;
  const bytes = m * lda + 2 * n * k + m * ldo * size + scratch + 8 * n;
  const out = onBothTiers(bytes + 4096, (bench) => {
    const panels = packed(bench, layer.weights, n, k, k);
    const out = bench.output(m, n * size, ldo * size);
    bench.kernels[kernel](
      bench.put(layer.codes),
      lda,
      za,
      panels,
      bench.put(layer.bias),
      bench.put(layer.multipliers),
      left,
      right,
      out.address,
      ldo,
      zo,
      m,
      n,
      k,
      bench.scratch(scratch),
    );
    return out;
  });
  return size === 1 ? out : new Uint16Array(out.buffer);
}

function packed(bench: Bench, weights: Int8Array, n: number, k: number, padded: number): number {
  const panels = bench.output(1, roundUp(n, 8) * padded);
  bench.kernels.pack_weights(bench.put(weights), n, k, padded, panels.address);
  return panels.address;
}

/** Accumulators stay below 2^53: exact in doubles. */
function accumulators({ m, n, k, lda, za, codes, weights, bias }: Layer): number[] {
  return Array.from({ length: m * n }, (_, at) => {
    const row = Math.floor(at / n) * lda;
    const channel = (at % n) * k;
    let sum = bias[at % n]!;
    for (let i = 0; i < k; i++) sum += (codes[row + i]! - za) * weights[channel + i]!;
    return sum;
  });
}

function expected({ high }: Kernel, layer: Layer): number[] {
  const { n, left, right, zo, multipliers } = layer;
  return accumulators(layer).map((sum, at) =>
    requantised(sum, { multiplier: multipliers[at % n]!, left, right }, zo, high),
  );
}

interface Shape {
  m: number;
  n: number;
  k: number;
  slack: number;
  za: number;
  zo: number;
  left: number;
  right: number;
  seed: number;
}

/** A layer whose accumulators use all bits that are left of the shift. */
function layerOf({ m, n, k, slack, za, zo, left, right, seed }: Shape): Layer {
  const random = new Random(seed);
  const room = 2 ** (31 - left);
  const largest = Math.min(127, Math.floor(room / 2 / 255 / k));
  const bias = Math.floor(room / 2) - 1;
  return {
    m,
    n,
    k,
    lda: k + slack,
    ldo: n + slack,
    za,
    zo,
    left,
    right,
    codes: random.codes(m * (k + slack)),
    weights: Int8Array.from({ length: n * k }, () => random.integer(-largest, largest)),
    bias: Int32Array.from({ length: n }, () => (random.real() < 0.5 ? 0 : random.integer(-bias, bias))),
    multipliers: Int32Array.from({ length: n }, () => random.multiplier()),
  };
}

const shapes = (high: number) =>
  fc.record({
    m: fc.integer({ min: 1, max: 9 }),
    n: fc.integer({ min: 1, max: 3 }).map((panels) => 8 * panels),
    k: fc.integer({ min: 1, max: 5 }).map((steps) => 8 * steps),
    slack: fc.integer({ min: 0, max: 9 }),
    za: fc.integer({ min: 0, max: 255 }),
    zo: fc.integer({ min: 0, max: high }),
    left: fc.integer({ min: 0, max: 15 }),
    right: fc.oneof(fc.integer({ min: 32, max: 62 }), fc.integer({ min: 50, max: 60 })),
    seed: fc.integer(),
  });

describe.each(KERNELS)('$kernel', (kernel) => {
  const { high, size } = kernel;

  test('any shape, any shift, any zero point', () => {
    fc.assert(
      fc.property(shapes(high), (shape) => {
        const layer = layerOf(shape);
        expectSame(run(kernel, layer), expected(kernel, layer));
      }),
    );
  });

  test.each([1, 2, 3, 4, 5, 197])('%d rows', (m) => {
    for (const n of [8, 16, 24]) {
      const layer = layerOf({ m, n, k: 64, slack: 8, za: 131, zo: 120, left: 0, right: 52, seed: m + n });
      expectSame(run(kernel, layer), expected(kernel, layer));
    }
  });

  // rows fill one chunk, begin a second and a third, or come short of them
  const chunks = [8, 24, 64, 192, 200, 384, 1024, 3072, 4096, 16384].map(
    (k) => [k, Math.floor(CHUNK / 8 / k) * 4] as const,
  );
  test.each(chunks)('%d inputs, %d rows a chunk', (k, most) => {
    const heights =
      most > 3000 ? [most + 1] : [most - 1, most, most + 1, 2 * most, 2 * most + 1, 3 * most - 2];
    for (const m of heights) {
      const layer = layerOf({ m, n: 16, k, slack: 1, za: 131, zo: 120, left: 0, right: 52, seed: m });
      expectSame(run(kernel, layer), expected(kernel, layer));
    }
  });

  const extremes = [0, 255].flatMap((code) =>
    [0, 255].flatMap((za) => [-128, 127].map((weight) => [code, za, weight] as const)),
  );
  test.each(extremes)('codes %d, zero point %d, weights %d', (code, za, weight) => {
    const most = 2 ** 31 - 1;
    const multipliers = [most, -most, most - 1, 1 - most, 2 ** 30, 1, -1, 0];
    for (const right of [32, 33, 47, 61, 62]) {
      const layer: Layer = {
        ...{ m: 5, n: 24, k: 16, lda: 16, ldo: 24, za, zo: high, left: 0, right },
        codes: new Uint8Array(5 * 16).fill(code),
        weights: new Int8Array(24 * 16).fill(weight),
        bias: Int32Array.from({ length: 24 }, (_, c) => ((c >> 3) - 1) * 2 ** 30),
        multipliers: Int32Array.from({ length: 24 }, (_, c) => multipliers[c % 8]!),
      };
      expectSame(run(kernel, layer), expected(kernel, layer));
    }
  });

  // 255·128·16384 + 2^30 = 2^30.6: the largest accumulator that the quantiser makes
  test('the largest accumulator', () => {
    for (const sign of [1, -1]) {
      const k = 16384;
      const layer: Layer = {
        ...{ m: 1, n: 8, k, lda: k, ldo: 8, za: sign > 0 ? 255 : 0, zo: 7, left: 0, right: 55 },
        codes: new Uint8Array(k).fill(sign > 0 ? 0 : 255),
        weights: new Int8Array(8 * k).fill(-128),
        bias: new Int32Array(8).fill(sign * 2 ** 30),
        multipliers: Int32Array.from({ length: 8 }, (_, i) => sign * 2 ** (23 + i)),
      };
      expectSame(run(kernel, layer), expected(kernel, layer));
    }
  });

  // checkpoints may hold any int32: the tiers have to agree on what overflows, too
  test('both tiers wrap alike', () => {
    const random = new Random(5);
    const any = () => random.integer(-(2 ** 31), 2 ** 31 - 1);
    for (let left = 0; left < 16; left++) {
      const layer = layerOf({ m: 6, n: 16, k: 40, slack: 3, za: 9, zo: 99, left, right: 56, seed: left });
      run(kernel, {
        ...layer,
        bias: layer.bias.map(any),
        multipliers: layer.multipliers.map(any),
      });
    }
  });

  test('a layer in real numbers', () => {
    const factors = Array.from({ length: 16 }, (_, c) => (high / 1e7) * 0.8 ** c);
    const layer = layerOf({
      m: 20,
      n: 16,
      k: 384,
      slack: 0,
      za: 128,
      zo: high >> 1,
      left: 0,
      right: 32,
      seed: 3,
    });
    layer.bias = layer.bias.map((b) => b % 100000);
    const { multipliers, left, right } = requantizer(factors, 255 * 127 * 384 + 100000);
    const codes = run(kernel, { ...layer, multipliers, left, right });
    const apart = accumulators(layer).map((sum, at) => {
      const real = Math.min(Math.max(sum * factors[at % 16]! + layer.zo, 0), high);
      return Math.abs(codes[at]! - real);
    });
    expect(Math.max(...apart)).toBeLessThan(0.5 + high * 2 ** -21);
    const inside = codes.filter((code) => code > 0 && code < high).length;
    expect(inside).toBeGreaterThan(codes.length / 2);
    expect(codes.BYTES_PER_ELEMENT).toBe(size);
  });
});

describe('pack_weights', () => {
  test.each([
    [8, 8, 8],
    [16, 24, 24],
    [9, 5, 8],
    [1, 1, 8],
    [23, 27, 32],
    [10, 16, 40],
  ])('%d × %d weights in panels of %d inputs', (n, k, padded) => {
    const weights = Int8Array.from(new Random(n).codes(n * k));
    const rows = roundUp(n, 8);
    const panels = onBothTiers(65536, (bench) => {
      const out = bench.output(1, rows * padded);
      bench.kernels.pack_weights(bench.put(weights), n, k, padded, out.address);
      return out;
    });
    // [n/8][k/2][8 channels][2 k], the padding 0
    const layout: number[] = [];
    for (let panel = 0; panel < rows; panel += 8)
      for (let pair = 0; pair < padded; pair += 2)
        for (let channel = panel; channel < panel + 8; channel++)
          for (let input = pair; input < pair + 2; input++)
            layout.push(channel < n && input < k ? weights[channel * k + input]! : 0);
    expectSame(new Int8Array(panels.buffer), layout);
  });
});

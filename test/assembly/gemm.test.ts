import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { requantizer } from '../../src/layers/requantizer.js';
import { describeTiers, onTiers } from '../support/tiers.js';
import { requantised } from './reference.js';
import { Bench, expectSame, onEveryTier, Random, roundUp } from './support.js';

/** Bits of the codes and the weights. */
interface Widths {
  aBits: number;
  wBits: number;
}

interface Layer extends Widths {
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

/**
 * All that a checkpoint may have. The relaxed tier has separate loops for weights of 8 bits, of 7
 * with 8-bit codes, of 7 with 7-bit codes, and of 4.
 */
const WIDTHS: readonly Widths[] = [8, 7].flatMap((aBits) =>
  [8, 7, 6, 5, 4].map((wBits) => ({ aBits, wBits })),
);
const widthsAt = (i: number) => WIDTHS[i % WIDTHS.length]!;
const largestCode = ({ aBits }: Widths) => 2 ** aBits - 1;
const leastWeight = ({ wBits }: Widths) => -(2 ** (wBits - 1));
const largestWeight = ({ wBits }: Widths) => 2 ** (wBits - 1) - 1;

const KERNELS = [
  { kernel: 'linear', high: 255, size: 1 },
  { kernel: 'linear_fine', high: 4095, size: 2 },
] as const;
type Kernel = (typeof KERNELS)[number];

/** Bytes of packed rows that the SIMD tier processes at once. */
const CHUNK = 2 ** 18;
/** Bytes of panels that it processes at once. */
const BLOCK = 2 ** 15;
/** Bytes after each panel of weights. */
const PANEL_SUMS = 32;

/** Scratch bytes, as the head of each tier's file states them. */
function scratchBytes({ tier }: Bench, { m, k, wBits }: Layer): number {
  const most = Math.max(Math.floor(CHUNK / 8 / k) * 4, 4);
  const rows = Math.min(roundUp(m, 4), most);
  return tier === 'relaxed' && wBits < 8 ? (k + 4) * rows + 32 : 2 * k * rows + Math.max(BLOCK, 16 * k);
}

/** The rows and channels that one call computes. */
interface Piece {
  rows: [from: number, to: number];
  channels: [from: number, to: number];
}

/** @param pieces one call each; the whole layer by default */
function run({ kernel, size }: Kernel, layer: Layer, pieces?: Piece[]): Uint8Array | Uint16Array {
  const { m, n, k, lda, ldo, aBits, wBits, za, zo, left, right } = layer;
  const whole: Piece = { rows: [0, m], channels: [0, n] };
  const bytes = m * lda + 2 * n * k + m * ldo * size + 2 * k * Math.min(m + 3, CHUNK / k + 4) + 24 * k;
  const out = onEveryTier(bytes + 16 * n + 8192 + 2 * BLOCK, (bench) => {
    const panels = bench.output(1, panelBytes(n, k)).address;
    bench.kernels.pack_weights(bench.put(layer.weights), n, k, k, wBits, panels);
    const a = bench.put(layer.codes);
    const bias = bench.put(layer.bias);
    const multiplier = bench.put(layer.multipliers);
    const out = bench.output(m, n * size, ldo * size);
    const scratch = bench.scratch(scratchBytes(bench, layer));
    for (const { rows, channels } of pieces ?? [whole]) {
      const [row, at] = [rows[0], channels[0]];
      bench.kernels[kernel](
        a + row * lda,
        lda,
        za,
        aBits,
        panels + panelBytes(at, k),
        wBits,
        bias + 4 * at,
        multiplier + 4 * at,
        left,
        right,
        out.address + (row * ldo + at) * size,
        ldo,
        zo,
        rows[1] - row,
        channels[1] - at,
        k,
        scratch,
      );
    }
    return out;
  });
  return size === 1 ? out : new Uint16Array(out.buffer);
}

const panelBytes = (n: number, k: number) => Math.ceil(n / 8) * (8 * k + PANEL_SUMS);

/** Accumulators stay below 2^53, so doubles are exact. */
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

interface Shape extends Widths {
  m: number;
  n: number;
  k: number;
  slack: number;
  za: number;
  zo: number;
  left: number;
  right: number;
  seed: number;
  /** Codes and weights only from the ends of their ranges. */
  isExtreme?: boolean;
}

/** Operands that most tests do not change. */
const USUAL = { ...WIDTHS[0]!, slack: 0, za: 67, zo: 120, left: 0, right: 52, seed: 1 };

/**
 * A layer whose accumulators use all bits that the shift leaves, if weights of these widths can.
 */
function layerOf(shape: Shape): Layer {
  const { m, n, k, slack, za, left, seed, isExtreme = false, ...rest } = shape;
  const random = new Random(seed);
  const room = 2 ** (31 - left);
  const largest = Math.floor(room / 2 / 255 / k);
  const [low, high] = [Math.max(leastWeight(shape), -largest), Math.min(largestWeight(shape), largest)];
  const top = largestCode(shape);
  const bias = Math.floor(room / 2) - 1;
  const between = (a: number, b: number) =>
    isExtreme ? (random.real() < 0.5 ? a : b) : random.integer(a, b);
  return {
    ...rest,
    ...{ m, n, k, lda: k + slack, ldo: n + slack, za: Math.min(za, top), left },
    codes: Uint8Array.from({ length: m * (k + slack) }, () => between(0, top)),
    weights: Int8Array.from({ length: n * k }, () => between(low, high)),
    bias: Int32Array.from({ length: n }, () => (random.real() < 0.5 ? 0 : random.integer(-bias, bias))),
    multipliers: Int32Array.from({ length: n }, () => random.multiplier()),
  };
}

const shapes = (high: number) =>
  fc.record({
    m: fc.integer({ min: 1, max: 9 }),
    n: fc.integer({ min: 1, max: 3 }).map((panels) => 8 * panels),
    k: fc.integer({ min: 1, max: 12 }).map((steps) => 8 * steps),
    slack: fc.integer({ min: 0, max: 9 }),
    za: fc.integer({ min: 0, max: 255 }),
    zo: fc.integer({ min: 0, max: high }),
    left: fc.integer({ min: 0, max: 15 }),
    right: fc.oneof(fc.integer({ min: 32, max: 62 }), fc.integer({ min: 50, max: 60 })),
    seed: fc.integer(),
    isExtreme: fc.boolean(),
  });

describe.each(KERNELS)('$kernel', (kernel) => {
  const { high, size } = kernel;
  const expectEquation = (layer: Layer) => expectSame(run(kernel, layer), expected(kernel, layer));

  test.each(WIDTHS)('$aBits × $wBits bits: exact for any shape, shift and zero point', (widths) => {
    fc.assert(fc.property(shapes(high), (shape) => expectEquation(layerOf({ ...shape, ...widths }))));
  });

  test.each(WIDTHS)('$aBits × $wBits bits: exact for every number of inputs', (widths) => {
    for (let k = 8; k <= 200; k += 8) {
      const rows = k > 64 ? [1 + ((k / 8) % 9), 49] : [1, 2, 3, 4, 5, 6, 7, 8, 9, 49];
      for (const m of rows) {
        for (const isExtreme of [false, true]) {
          expectEquation(layerOf({ ...USUAL, ...widths, m, n: 8, k, seed: m + k, isExtreme }));
        }
      }
    }
  });

  test.each([1, 2, 3, 4, 5, 197])('%d rows', (m) => {
    for (const [i, widths] of WIDTHS.entries()) {
      expectEquation(layerOf({ ...USUAL, ...widths, m, n: 8 + 8 * (i % 3), k: 64, slack: 8, seed: m + i }));
    }
  });

  // the rows fill one chunk, start a second or a third, or fall just short
  const chunks = [8, 24, 64, 192, 200, 384, 1024, 3072, 4096, 16384].map(
    (k) => [k, Math.floor(CHUNK / 8 / k) * 4] as const,
  );
  test.each(chunks)('%d inputs, %d rows per chunk', (k, most) => {
    const heights =
      most > 3000 ? [most + 1] : [most - 1, most, most + 1, 2 * most, 2 * most + 1, 3 * most - 2];
    for (const [i, m] of heights.entries()) {
      const wBits = [7, 8, 4][i % 3]!;
      expectEquation(layerOf({ ...USUAL, wBits, m, n: 16, k, slack: 1, za: 131, seed: m }));
    }
  });

  // equal values everywhere give the relaxed tier's dots their largest sums, c·(2^wBits - 1) each
  test.each(WIDTHS)('$aBits × $wBits bits: exact at the ends of their ranges', (widths) => {
    const most = 2 ** 31 - 1;
    const multipliers = [most, -most, most - 1, 1 - most, 2 ** 30, 1, -1, 0];
    const top = largestCode(widths);
    for (const code of [0, top])
      for (const za of [0, top])
        for (const weight of [leastWeight(widths), largestWeight(widths)])
          for (const k of [8, 24, 40, 64])
            for (const right of k === 40 ? [32, 33, 47, 61, 62] : [47])
              expectEquation({
                ...{ ...widths, m: 5, n: 24, k, lda: k, ldo: 24, za, zo: high, left: 0, right },
                codes: new Uint8Array(5 * k).fill(code),
                weights: new Int8Array(24 * k).fill(weight),
                bias: Int32Array.from({ length: 24 }, (_, c) => ((c >> 3) - 1) * 2 ** 30),
                multipliers: Int32Array.from({ length: 24 }, (_, c) => multipliers[c % 8]!),
              });
  });

  // 255·128·16384 + 2^30 = 2^30.6: the largest accumulator that the quantiser makes
  test.each(WIDTHS)('$aBits × $wBits bits: exact for the largest accumulator', (widths) => {
    const k = 16384;
    const top = largestCode(widths);
    for (const sign of [1, -1]) {
      expectEquation({
        ...{ ...widths, m: 1, n: 8, k, lda: k, ldo: 8, za: sign > 0 ? top : 0, zo: 7, left: 0, right: 55 },
        codes: new Uint8Array(k).fill(sign > 0 ? 0 : top),
        weights: new Int8Array(8 * k).fill(leastWeight(widths)),
        bias: new Int32Array(8).fill(sign * 2 ** 30),
        multipliers: Int32Array.from({ length: 8 }, (_, i) => sign * 2 ** (23 + i)),
      });
    }
  });

  // checkpoints may hold any int32, so that all tiers must overflow alike
  test('all tiers overflow alike', () => {
    const random = new Random(5);
    const any = () => random.integer(-(2 ** 31), 2 ** 31 - 1);
    for (let i = 0; i < 64; i++) {
      const layer = layerOf({
        ...USUAL,
        ...widthsAt(i),
        m: 6,
        n: 16,
        k: 40,
        slack: 3,
        left: i % 16,
        seed: i,
      });
      run(kernel, {
        ...layer,
        right: 56,
        bias: layer.bias.map(any),
        multipliers: layer.multipliers.map(any),
      });
    }
  });

  test('several calls for a few rows and channels each give the whole layer', () => {
    const cuts = fc.record({ row: fc.nat(8), channel: fc.nat(3), shape: shapes(high), at: fc.nat(9) });
    fc.assert(
      fc.property(cuts, ({ row, channel, shape, at }) => {
        const layer = layerOf({ ...shape, ...widthsAt(at) });
        const { m, n } = layer;
        const [r, c] = [Math.min(row, m - 1), Math.min(8 * channel, n)];
        const pieces: Piece[] = [
          { rows: [r, m], channels: [c, n] },
          { rows: [0, r], channels: [0, c] },
          { rows: [r, m], channels: [0, c] },
          { rows: [0, r], channels: [c, n] },
        ];
        const some = pieces.filter(({ rows, channels }) => rows[0] < rows[1] && channels[0] < channels[1]);
        expectSame(run(kernel, layer, some), run(kernel, layer));
      }),
    );
  });

  test('approximates a layer of real numbers', () => {
    const factors = Array.from({ length: 16 }, (_, c) => (high / 1e7) * 0.8 ** c);
    const layer = layerOf({ ...USUAL, m: 20, n: 16, k: 384, za: 128, zo: high >> 1, seed: 3 });
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

const SHAPES = [
  [8, 8, 8],
  [16, 24, 24],
  [9, 5, 8],
  [1, 1, 8],
  [23, 27, 32],
  [10, 16, 40],
] as const;

describeTiers(onTiers([{}]), 'pack_weights, $tier', ({ tier }) => {
  test.each(SHAPES)('%d × %d weights in panels of %d inputs', (n, k, padded) => {
    for (const bits of [8, 7, 6, 5, 4]) {
      const widths = { aBits: 8, wBits: bits };
      const random = new Random(n + bits);
      const weights = Int8Array.from({ length: n * k }, () =>
        random.integer(leastWeight(widths), largestWeight(widths)),
      );
      const bench = new Bench(tier, 65536);
      const out = bench.output(1, panelBytes(n, padded));
      bench.kernels.pack_weights(bench.put(weights), n, k, padded, bits, out.address);
      bench.expectNothingElseWritten();
      const weight = (channel: number, input: number) =>
        channel < n && input < k ? weights[channel * k + input]! : 0;
      const isNarrow = tier === 'relaxed' && bits < 8;
      const layout: number[] = [];
      for (let panel = 0; panel < n; panel += 8)
        layout.push(...panelOf(weight, panel, padded, isNarrow ? bits : 8));
      expectSame(bench.read(out), Uint8Array.from(layout));
    }
  });
});

/**
 * 8-bit weights: [k/2][8 channels][2 k], no sums. Fewer bits: [k/4][8 channels][4 k] of w + 2^(bits
 * - 1), and the sums of w.
 */
function panelOf(
  weight: (channel: number, input: number) => number,
  panel: number,
  inputs: number,
  bits: number,
): number[] {
  const group = bits < 8 ? 4 : 2;
  const add = bits < 8 ? 2 ** (bits - 1) : 0;
  const sums = new Int32Array(8);
  const codes: number[] = [];
  for (let first = 0; first < inputs; first += group)
    for (let channel = 0; channel < 8; channel++)
      for (let input = first; input < first + group; input++) {
        const w = weight(panel + channel, input);
        codes.push(w + add);
        if (bits < 8) sums[channel]! += w;
      }
  return [...codes, ...new Uint8Array(sums.buffer)];
}

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { exactExponentialTable, exponentialTable } from '../../src/layers/softmax/exponential-table.js';
import { SOFTMAX_SCRATCH } from '../../src/runtime/kernel-sizes.js';
import type { IntegerKernels } from '../../src/runtime/kernels.js';
import { roundedRatio, roundedShift, windowOrder } from './reference.js';
import { cutsOf, expectSame, onEveryTier, Random, ranges, roundUp } from './support.js';

/**
 * Score codes u8 `[rows, n]`, row stride `ld`, and the exponentials of their distances from the
 * largest.
 */
interface Scores {
  rows: number;
  n: number;
  ld: number;
  codes: Uint8Array;
  table: Uint32Array;
  /** u8 `[n, ld]`, 255 where a score counts; repeats every n rows. */
  mask?: Uint8Array | undefined;
}

/** Whole rows, `ld` codes each. @param cuts rows at which a new call begins */
function run(
  { rows, n, ld, codes, table, mask }: Scores,
  call: (kernels: IntegerKernels, ...operands: Operands) => void,
  cuts: number[],
): Uint8Array {
  return onEveryTier(2 * rows * ld + (n + 3) * ld + 8192, (bench) => {
    const out = bench.output(rows, ld);
    const q = bench.put(codes);
    const kept = mask ? bench.put(mask) : 0;
    const exponentials = bench.put(table);
    for (const [from, to] of ranges(rows, cuts)) {
      const at = from * ld;
      const scratch = bench.scratch(SOFTMAX_SCRATCH + (mask ? ld : 0));
      const maskRow = mask ? kept + at : 0;
      call(bench.kernels, q + at, ld, out.address + at, to - from, n, exponentials, maskRow, scratch);
    }
    return out;
  });
}

type Operands = Parameters<IntegerKernels['softmax_log2']>;

const runLog2 = (scores: Scores, cuts: number[] = []) =>
  run(scores, (kernels, ...operands) => kernels.softmax_log2(...operands), cuts);

const runUniform = (scores: Scores, levels: number, cuts: number[] = []) =>
  run(
    scores,
    (kernels, q, ld, out, rows, n, table, mask, scratch) =>
      kernels.softmax_uniform(q, ld, out, rows, n, table, levels, mask, scratch),
    cuts,
  );

const runEighths = (scores: Scores, slope: number, cuts: number[] = []) =>
  run(
    scores,
    (kernels, q, ld, out, rows, n, table, mask, scratch) =>
      kernels.softmax_eighths(q, ld, out, rows, n, table, slope, mask, scratch),
    cuts,
  );

/**
 * The code of every element that counts, and `none` for the others and from n to ld.
 * @param code maps an exponential and the sum of its row to a code
 */
function expected(
  { rows, n, ld, codes, table, mask }: Scores,
  none: number,
  code: (e: bigint, sum: bigint, d: number) => number,
): Uint8Array {
  const out = new Uint8Array(rows * ld).fill(none);
  for (let row = 0; row < rows; row++) {
    const kept = Array.from({ length: n }, (_, i) => i).filter((i) => mask?.[(row % n) * ld + i] !== 0);
    const scores = kept.map((i) => codes[row * ld + i]!);
    const most = Math.max(...scores);
    const sum = BigInt(scores.reduce((total, q) => total + table[most - q]!, 0));
    expect(sum).toBeLessThan(2n ** 32n);
    const known = new Map<number, number>();
    for (const i of kept) {
      const q = codes[row * ld + i]!;
      if (!known.has(q)) known.set(q, code(BigInt(table[most - q]!), sum, most - q));
      out[row * ld + i] = known.get(q)!;
    }
  }
  return out;
}

/** 2048·log2 x, rounded down, by squaring the mantissa eleven times. */
function log2Of(x: number): number {
  let rest = BigInt(x) << BigInt(Math.clz32(x));
  let log = 31 - Math.clz32(x);
  for (let bit = 0; bit < 11; bit++) {
    rest = (rest * rest) >> 31n;
    const more = rest >> 32n;
    rest >>= more;
    log = 2 * log + Number(more);
  }
  return log;
}

const eighthCode = (table: Uint32Array, slope: number) => (_: bigint, sum: bigint, d: number) => {
  const code = (slope * d + log2Of(Number(sum)) - log2Of(table[0]!) + 128) >> 8;
  return code > 127 ? 255 : code;
};

/** The slope of the codes in eighths of an octave for this scale of the scores. */
const slopeOf = (scale: number) => Math.min(Math.max(Math.round(2048 * Math.LOG2E * scale), 1), 2 ** 15 - 1);

/** Equations 11 to 13 of the paper. */
function log2Code(e: bigint, sum: bigint): number {
  if (e === 0n) return 255;
  const ratio = roundedRatio(sum, e);
  const floor = ratio.toString(2).length - 1;
  const code = 2n * ratio >= 3n * 2n ** BigInt(floor) ? floor + 1 : floor;
  return code > 15 ? 255 : code;
}

const uniformCode = (levels: number) => (e: bigint, sum: bigint) => {
  const inverse = (BigInt(levels) * 2n ** 32n) / sum;
  return Math.min(Number(roundedShift(e * inverse, 44)), 255);
};

/** Every kind of row that attention can produce. */
function rowsOf(n: number, ld: number, seed: number): Uint8Array {
  const random = new Random(seed);
  const kinds: ((i: number) => number)[] = [
    () => 0,
    () => 255,
    () => 77,
    (i) => (i === n >> 1 ? 255 : 0),
    (i) => (i === n - 1 ? 200 : 199),
    (i) => (i === 0 ? 0 : 255),
    (i) => (i % 2 === 0 ? 255 : 240),
    (i) => i % 256,
    (i) => 255 - Math.min(i, 255),
    () => random.integer(0, 255),
    () => random.integer(100, 110),
    () => Math.round(40 * (random.real() + random.real() + random.real())),
    () => Math.min(255, Math.floor(-30 * Math.log(random.real() + 1e-6))),
  ];
  const codes = random.codes(kinds.length * ld); // the bytes after a row must have no effect
  kinds.forEach((kind, row) => {
    for (let i = 0; i < n; i++) codes[row * ld + i] = kind(i);
  });
  return codes;
}

function scoresOf(n: number, scale: number, { slack = 0, table = exponentialTable(scale, n) } = {}): Scores {
  const ld = roundUp(n, 16) + slack;
  const codes = rowsOf(n, ld, n);
  return { rows: codes.length / ld, n, ld, codes, table };
}

const TOKENS = [1, 2, 7, 16, 17, 65, 197, 577, 1025];
const SCALES = [1e-4, 1e-3, 0.01, 0.05, 0.1, 0.25, 0.4, 0.4177, 0.418, 0.7, 1.67, 3, 10];

describe.each(TOKENS)('%d tokens', (n) => {
  test('log2 codes are exact at any scale', () => {
    for (const scale of SCALES) {
      const scores = scoresOf(n, scale);
      expectSame(runLog2(scores), expected(scores, 255, log2Code));
    }
  });

  test('uniform codes follow the formula at any scale', () => {
    for (const scale of [1e-4, 0.05, 0.4, 1.67, 10]) {
      const scores = scoresOf(n, scale);
      for (const levels of [1, 255 * 4096, 123456789, 2 ** 30 - 1]) {
        expectSame(runUniform(scores, levels), expected(scores, 0, uniformCode(levels)));
      }
    }
  });

  test('codes in eighths follow the formula at any scale and slope', () => {
    for (const scale of SCALES) {
      const scores = scoresOf(n, scale, { table: exactExponentialTable(scale, n) });
      for (const slope of [slopeOf(scale), 1, 255, 256, 2 ** 15 - 1]) {
        expectSame(runEighths(scores, slope), expected(scores, 255, eighthCode(scores.table, slope)));
      }
    }
  });

  test('probabilities in eighths of an octave equal those of the table', () => {
    for (const scale of [0.01, 0.05, 0.2, 0.7]) {
      const scores = scoresOf(n, scale, { table: exactExponentialTable(scale, n) });
      const codes = runEighths(scores, slopeOf(scale));
      for (let row = 0; row < scores.rows; row++) {
        const at = row * scores.ld;
        const values = scores.codes.subarray(at, at + n);
        const most = Math.max(...values);
        const sum = values.reduce((total, q) => total + Math.exp((q - most) * scale), 0);
        const exact = Array.from(values, (q) => 8 * Math.log2(sum * Math.exp((most - q) * scale)));
        // half a code, plus the rounding of the slope over up to 255 codes
        const apart = exact.map((code, i) => (code > 126 ? 0 : Math.abs(code - codes[at + i]!)));
        expect(Math.max(...apart)).toBeLessThan(0.5 + 2 ** -8 + (0.5 * 255) / 256);
      }
    }
  });

  test('log2 probabilities sum to about 1', () => {
    // A probability is 0.625 to 1.5 times the real one, if that is above 2^-15.
    const scores = scoresOf(n, 0.01);
    const codes = runLog2(scores);
    for (let row = 0; row < scores.rows; row++) {
      const values = codes.subarray(row * scores.ld, row * scores.ld + n);
      const sum = values.reduce((total, code) => total + 2 ** -code, 0);
      expect(sum).toBeGreaterThanOrEqual(0.625);
      expect(sum).toBeLessThan(1.5);
    }
  });

  test('uniform probabilities equal those of the table and sum to 1', () => {
    const scores = scoresOf(n, 0.05);
    const size = Math.max(...largestProbabilities(scores)) / 255; // of one code
    const levels = Math.floor(4096 / size);
    const codes = runUniform(scores, levels);
    for (let row = 0; row < scores.rows; row++) {
      const at = row * scores.ld;
      const values = codes.subarray(at, at + n);
      const real = probabilities(scores.codes.subarray(at, at + n), scores.table);
      const apart = real.map((p, i) => Math.abs(values[i]! - (p * levels) / 4096));
      expect(Math.max(...apart)).toBeLessThan(0.5 + 2 ** -11);
      const sum = values.reduce((total, code) => total + (code * 4096) / levels, 0);
      expect(Math.abs(sum - 1)).toBeLessThan(n * size * 0.51);
    }
  });
});

function probabilities(row: Uint8Array, table: Uint32Array): number[] {
  const most = Math.max(...row);
  const sum = row.reduce((total, q) => total + table[most - q]!, 0);
  return Array.from(row, (q) => table[most - q]! / sum);
}

function largestProbabilities({ rows, n, ld, codes, table }: Scores): number[] {
  return Array.from({ length: rows }, (_, row) =>
    Math.max(...probabilities(codes.subarray(row * ld, row * ld + n), table)),
  );
}

test('a row of equal scores gives the code of 1/n', () => {
  const codes = [1, 2, 3, 65, 197, 577, 1025].map((n) => runLog2(scoresOf(n, 0.1))[0]);
  // 3 >= 1.5·2, 197 >= 1.5·128; 65 < 1.5·64, 577 < 1.5·512, 1025 < 1.5·1024
  expect(codes).toEqual([0, 1, 2, 6, 8, 9, 10]);
});

test('a dominant score gets all of the probability, or nearly all', () => {
  const ones = runLog2(scoresOf(1025, 10)).subarray(3 * 1040, 3 * 1040 + 1025);
  expect(ones[512]).toBe(0);
  expect(ones.filter((code) => code === 255)).toHaveLength(1024);
});

/** A falling table that starts at the largest entry that n scores allow. */
function fallingTable(n: number, steepness: number, random: Random): Uint32Array {
  const table = new Uint32Array(256);
  let entry = Math.floor((2 ** 32 - 1) / n);
  for (let d = 0; d < 256; d++) {
    table[d] = entry;
    if (random.real() < 0.7) entry = Math.floor(entry * (1 - random.real() ** (4 / (steepness + 0.1))));
  }
  return table;
}

const shapes = fc.record({
  n: fc.integer({ min: 1, max: 70 }),
  slack: fc.integer({ min: 0, max: 2 }).map((steps) => 16 * steps),
  seed: fc.integer(),
  steepness: fc.double({ min: 0, max: 4, noNaN: true }),
  levels: fc.integer({ min: 1, max: 2 ** 30 - 1 }),
});

test('is exact for any falling table, row and stride', () => {
  fc.assert(
    fc.property(shapes, ({ n, slack, seed, steepness, levels }) => {
      const random = new Random(seed);
      const table = fallingTable(n, steepness, random);
      const ld = roundUp(n, 16) + slack;
      const rows = 3;
      const top = random.integer(0, 255);
      const codes = random.codes(rows * ld, random.integer(0, top), top);
      const scores = { rows, n, ld, codes, table };
      expectSame(runLog2(scores), expected(scores, 255, log2Code));
      expectSame(runUniform(scores, levels), expected(scores, 0, uniformCode(levels)));
      const slope = (levels % (2 ** 15 - 1)) + 1;
      expectSame(runEighths(scores, slope), expected(scores, 255, eighthCode(table, slope)));
    }),
  );
});

test('logarithms are at most one unit below the exact ones', () => {
  for (const x of [1, 2, 3, 5, 1000, 2 ** 20 - 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
    expect(2048 * Math.log2(x) - log2Of(x)).toBeGreaterThanOrEqual(-1e-6);
    expect(2048 * Math.log2(x) - log2Of(x)).toBeLessThan(1.01);
  }
});

describe('with a mask', () => {
  /** A mask of n rows; the bytes after each row are 0. */
  function maskOf(n: number, ld: number, keeps: (i: number, j: number) => boolean): Uint8Array {
    return Uint8Array.from({ length: n * ld }, (_, at) =>
      at % ld < n && keeps(Math.floor(at / ld), at % ld) ? 255 : 0,
    );
  }

  function expectEquation(scores: Scores, levels = 255 * 4096): void {
    expectSame(runLog2(scores), expected(scores, 255, log2Code));
    expectSame(runUniform(scores, levels), expected(scores, 0, uniformCode(levels)));
    const slope = (levels % (2 ** 15 - 1)) + 1;
    expectSame(runEighths(scores, slope), expected(scores, 255, eighthCode(scores.table, slope)));
  }

  test('is exact for any mask, table and number of rows', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.integer({ min: 1, max: 150 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ n, slack, seed, steepness, levels }, rows, density) => {
          const random = new Random(seed);
          const ld = roundUp(n, 16) + slack;
          const always = Array.from({ length: n }, () => random.integer(0, n - 1));
          const top = random.integer(0, 255);
          const scores = {
            ...{ rows, n, ld, table: fallingTable(n, steepness, random) },
            codes: random.codes(rows * ld, random.integer(0, top), top),
            mask: maskOf(n, ld, (i, j) => j === always[i] || random.real() < density),
          };
          expectEquation(scores, levels);
        },
      ),
    );
  });

  test('several calls for rows of one window agree, with and without a mask', () => {
    fc.assert(
      fc.property(shapes, cutsOf, fc.boolean(), ({ n, slack, seed, levels }, cuts, isMasked) => {
        const ld = roundUp(n, 16) + slack;
        const scores = {
          ...{ rows: n, n, ld, table: exponentialTable(0.05, n), codes: new Random(seed).codes(n * ld) },
          mask: isMasked ? maskOf(n, ld, (i, j) => (i + j) % 3 > 0 || i === j) : undefined,
        };
        expectSame(runLog2(scores, cuts), runLog2(scores));
        expectSame(runUniform(scores, levels, cuts), runUniform(scores, levels));
        expectSame(runEighths(scores, 147, cuts), runEighths(scores, 147));
      }),
    );
  });

  test('is exact for every mask of five scores', () => {
    const codes = rowsOf(5, 16, 5);
    for (let kept = 1; kept < 32; kept++) {
      const mask = maskOf(5, 16, (i, j) => ((kept >> ((i + j) % 5)) & 1) === 1);
      expectEquation({ rows: codes.length / 16, n: 5, ld: 16, codes, table: exponentialTable(0.1, 5), mask });
    }
  });

  test.each([1, 15, 16, 17, 49, 144])('keeps one, all but one, or all of %d scores', (n) => {
    const scores = scoresOf(n, 0.05, { slack: 16 });
    const { rows, ld } = scores;
    const one = { ...scores, mask: maskOf(n, ld, (i, j) => j === i) };
    const codes = runLog2(one);
    for (let row = 0; row < rows; row++) {
      const single = new Uint8Array(ld).fill(255).fill(0, row % n, (row % n) + 1);
      expectSame(codes.subarray(row * ld, (row + 1) * ld), single);
    }
    expectEquation(one);
    if (n > 1) expectEquation({ ...scores, mask: maskOf(n, ld, (i, j) => j !== i) });
    const all = { ...scores, mask: maskOf(n, ld, () => true) };
    expectSame(runLog2(all), runLog2(scores));
    expectSame(runUniform(all, 123456789), runUniform(scores, 123456789));
  });

  test('dropped scores have no effect, however large', () => {
    for (const n of [2, 16, 33]) {
      const ld = roundUp(n, 16);
      const mask = maskOf(n, ld, (i, j) => (i + j) % 2 === 0);
      for (const scale of [0.01, 0.4, 10]) {
        for (const [dropped, least, most] of [
          [255, 0, 0],
          [255, 0, 9],
          [0, 255, 255],
          [0, 200, 255],
        ] as const) {
          const codes = new Random(n)
            .codes(n * ld, least, most)
            .map((q, at) => (mask[at] === 0 ? dropped : q));
          expectEquation({ rows: n, n, ld, codes, table: exponentialTable(scale, n), mask });
        }
      }
    }
  });

  test.each([
    [7, 3],
    [8, 4],
    [12, 6],
    [3, 1],
  ])('shifted windows of %d by %d, two heads', (window, shift) => {
    const n = window ** 2;
    const ld = roundUp(n, 16);
    const side = 2 * window;
    // Swin's img_mask: bands of the shifted map whose tokens were neighbours before
    const band = (at: number) => Number(at >= side - window) + Number(at >= side - shift);
    const regions = windowOrder({ side, window, shift: 0 }).map(
      (token) => 3 * band(Math.floor(token / side)) + band(token % side),
    );
    for (let w = 0; w < 4; w++) {
      const region = regions.slice(w * n, (w + 1) * n);
      const mask = maskOf(n, ld, (i, j) => region[i] === region[j]);
      const codes = new Random(w).codes(2 * n * ld, 90, 160);
      expectEquation({ rows: 2 * n, n, ld, codes, table: exponentialTable(0.05, n), mask });
    }
  });
});

// ratios at and next to each threshold: 2, 3, 6, 12, … and the halves that round up to them
test('is exact for ratios at the thresholds', () => {
  for (let k = 1; k < 18; k++) {
    const threshold = k === 1 ? 2 : 3 * 2 ** (k - 2);
    for (const twice of [2 * threshold - 2, 2 * threshold - 1, 2 * threshold, 2 * threshold + 1]) {
      for (const e of [1, 1000]) {
        // e[0] + e[1] = twice/2 · e[1], as closely as integers can
        const table = new Uint32Array(256);
        table[0] = Math.max(Math.floor((twice * e) / 2) - e, e);
        table[1] = e;
        const scores = { rows: 1, n: 2, ld: 16, codes: new Uint8Array(16).fill(9, 0, 2), table };
        scores.codes[1] = 8;
        expectSame(runLog2(scores), expected(scores, 255, log2Code));
      }
    }
  }
});

test('uniform codes round halves up', () => {
  const table = new Uint32Array(256).fill(1, 0, 1);
  const scores = { rows: 1, n: 1, ld: 16, codes: new Uint8Array(16), table };
  // one probability is 1: its code is levels / 4096
  const codes = [2047, 2048, 6143, 6144, 254.5 * 4096 - 1, 254.5 * 4096, 2 ** 30 - 1].map(
    (levels) => runUniform(scores, levels)[0],
  );
  expect(codes).toEqual([0, 1, 1, 2, 254, 255, 255]);
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { requantised } from './reference.js';
import { cutsOf, expectSame, onEveryTier, Random, ranges, roundUp } from './support.js';

/**
 * One head of a qkv tensor `[tokens, ld]`: q, k and v are `d` columns apart, after `before` others.
 */
interface Head {
  tokens: number;
  d: number;
  ld: number;
  before: number;
  z: number;
  multiplier: number;
  left: number;
  right: number;
  zo: number;
  /** The largest code of a context. */
  high: number;
  /** u8 `[tokens + 7, ld]`: kernels read up to 7 rows past the last. */
  qkv: Uint8Array;
}

/** -2^(15 - code/8); the fraction is a Q15 less than 1, as a rounding multiplication gives it. */
function eighthWeight(code: number): number {
  if (code > 127) return 0;
  const fraction = Math.min(Math.round(2 ** (15 - (code % 8) / 8)), 2 ** 15 - 1);
  return Math.floor((-fraction * 2 ** (15 - Math.floor(code / 8))) / 2 ** 15 + 0.5);
}

const CONTEXTS = [
  { kernel: 'context_log2', pad: 255, weight: (code: number) => (code > 15 ? 0 : -(2 ** (15 - code))) },
  { kernel: 'context_uniform', pad: 0, weight: (code: number) => code },
  { kernel: 'context_eighths', pad: 255, weight: eighthWeight },
] as const;
type Context = (typeof CONTEXTS)[number];

function bytesFor({ tokens, d, qkv }: Head): number {
  const padded = roundUp(tokens, 16);
  // an output, and scratch memory of up to three calls
  return qkv.length + 5 * padded ** 2 + 2 * d * padded + 48 * (d + padded) + 16384;
}

/** @param cuts rows at which a new call begins */
function runScores(head: Head, cuts: number[] = []): Uint8Array {
  const { tokens, d, ld, before, z, multiplier, left, right, zo, qkv } = head;
  const padded = roundUp(tokens, 8);
  const stride = roundUp(tokens, 16);
  return onEveryTier(bytesFor(head), (bench) => {
    const q = bench.put(qkv) + before;
    const out = bench.output(tokens, tokens, stride, padded);
    for (const [from, to] of ranges(tokens, cuts)) {
      const rows = to - from;
      bench.kernels.scores(
        q + from * ld,
        q + d,
        ld,
        z,
        multiplier,
        left,
        right,
        out.address + from * stride,
        stride,
        zo,
        rows,
        tokens,
        d,
        bench.scratch(2 * d * (roundUp(rows, 4) + padded) + 64),
      );
    }
    return out;
  });
}

/**
 * @param codes u8 `[tokens, tokens rounded up to 16]`, attention codes with padding
 * @param cuts rows at which a new call begins
 */
function runContext(
  { kernel }: Context,
  head: Head,
  codes: Uint8Array,
  { ldo = head.d, cuts = [] as number[] } = {},
): Uint8Array {
  const { tokens, d, ld, before, z, multiplier, left, right, zo, high, qkv } = head;
  const padded = roundUp(tokens, 8);
  const stride = roundUp(tokens, 16);
  return onEveryTier(bytesFor(head) + tokens * ldo, (bench) => {
    const v = bench.put(qkv) + before + 2 * d;
    const p = bench.put(codes);
    const out = bench.output(tokens, d, ldo);
    for (const [from, to] of ranges(tokens, cuts)) {
      const rows = to - from;
      bench.kernels[kernel](
        p + from * stride,
        stride,
        v,
        ld,
        z,
        multiplier,
        left,
        right,
        out.address + from * ldo,
        ldo,
        zo,
        high,
        rows,
        tokens,
        d,
        bench.scratch(2 * padded * (roundUp(rows, 4) + d) + 64),
      );
    }
    return out;
  });
}

function expectedScores(head: Head): number[] {
  const { tokens, d, ld, before, z, zo, qkv } = head;
  return Array.from({ length: tokens ** 2 }, (_, at) => {
    const q = Math.floor(at / tokens) * ld + before;
    const k = (at % tokens) * ld + before + d;
    let sum = 0;
    for (let t = 0; t < d; t++) sum += (qkv[q + t]! - z) * (qkv[k + t]! - z);
    return requantised(sum, head, zo, 255);
  });
}

function expectedContext({ weight }: Context, head: Head, codes: Uint8Array): number[] {
  const { tokens, d, ld, before, z, zo, high, qkv } = head;
  const stride = roundUp(tokens, 16);
  return Array.from({ length: tokens * d }, (_, at) => {
    const p = Math.floor(at / d) * stride;
    const v = before + 2 * d + (at % d);
    let sum = 0;
    for (let j = 0; j < tokens; j++) sum += weight(codes[p + j]!) * (qkv[j * ld + v]! - z);
    return requantised(sum, head, zo, high);
  });
}

function headOf(tokens: number, d: number, seed: number, factors: Partial<Head> = {}): Head {
  const random = new Random(seed);
  const ld = 3 * d + 16;
  return {
    ...{ tokens, d, ld, before: 8, z: random.integer(0, 255), zo: random.integer(0, 255) },
    ...{ multiplier: random.multiplier(), left: 0, right: random.integer(32, 62) },
    high: random.real() < 0.5 ? 255 : 127,
    qkv: random.codes((tokens + 7) * ld),
    ...factors,
  };
}

/**
 * Attention codes as softmax writes them: a row of powers of two sums to less than 1.6, padding is
 * 0.
 */
function attentionCodes({ kernel, pad }: Context, tokens: number, random: Random): Uint8Array {
  const stride = roundUp(tokens, 16);
  const codes = new Uint8Array(tokens * stride).fill(pad);
  for (let row = 0; row < tokens; row++) {
    let rest = 1.6 * 2 ** 15;
    const first = random.integer(0, tokens - 1);
    for (let j = 0; j < tokens; j++) {
      const at = row * stride + ((first + j) % tokens);
      let code = random.integer(0, 255);
      if (kernel !== 'context_uniform') {
        const steps = kernel === 'context_log2' ? 1 : 8;
        if (random.real() < 0.9) code = random.integer(0, 16 * steps - 1);
        if (code < 16 * steps && 2 ** (15 - code / steps) >= rest) code = Math.min(code + 16 * steps, 255);
        if (code < 16 * steps) rest -= 2 ** (15 - code / steps);
      }
      codes[at] = code;
    }
  }
  return codes;
}

/** A multiplier and shift that spread sums of this size over the output codes. */
const spread = (size: number, sign = 1) => ({
  multiplier: sign * (2 ** 30 + 12345),
  left: 0,
  right: Math.max(Math.round(30 + Math.log2(size / 100)), 32),
});

const shapes = fc.record({
  tokens: fc.integer({ min: 1, max: 40 }),
  d: fc.integer({ min: 1, max: 4 }).map((steps) => 8 * steps),
  seed: fc.integer(),
});

describe('scores', () => {
  test('is exact for any shape', () => {
    fc.assert(
      fc.property(shapes, fc.boolean(), ({ tokens, d, seed }, spreads) => {
        const head = headOf(tokens, d, seed, spreads ? spread(5000 * d) : {});
        expectSame(runScores(head), expectedScores(head));
      }),
    );
  });

  test.each([
    [65, 64],
    [197, 16],
  ])('%d tokens of %d, against the equation', (tokens, d) => {
    const head = headOf(tokens, d, tokens, { z: 120, zo: 128, ...spread(5000 * Math.sqrt(d)) });
    expectSame(runScores(head), expectedScores(head));
  });

  test.each([
    [577, 16],
    [1025, 8],
  ])('%d tokens of %d, tier against tier', (tokens, d) => {
    runScores(headOf(tokens, d, tokens, { z: 120, zo: 128, ...spread(5000 * Math.sqrt(d)) }));
  });

  test('is exact for extreme codes, zero points, multipliers and shifts', () => {
    for (const [code, z] of [0, 255].flatMap((code) => [0, 128, 255].map((z) => [code, z] as const))) {
      for (const [left, right] of [0, 6].flatMap((left) =>
        [32, 45, 62].map((right) => [left, right] as const),
      )) {
        for (const multiplier of [2 ** 31 - 1, 1 - 2 ** 31, 1]) {
          // 255²·64·2^6 = 2^28
          const head = headOf(9, 64, 1, { z, zo: z, multiplier, left, right });
          head.qkv.fill(code);
          expectSame(runScores(head), expectedScores(head));
        }
      }
    }
  });

  test('is exact for the largest sum', () => {
    const d = 33024; // 255²·d < 2^31
    const head = headOf(1, d, 1, { z: 255, zo: 3, multiplier: 2 ** 30, left: 0, right: 54 });
    head.qkv.fill(0);
    expectSame(runScores(head), expectedScores(head));
  });
});

describe.each(CONTEXTS)('$kernel', (context) => {
  const log2 = context.kernel !== 'context_uniform';
  const usual = (tokens: number) =>
    log2 ? spread(2 ** 21, -1) : spread(10000 * Math.sqrt(tokens) + 64 * tokens);

  test('is exact for any shape', () => {
    fc.assert(
      fc.property(shapes, fc.boolean(), ({ tokens, d, seed }, spreads) => {
        const head = headOf(tokens, d, seed, spreads ? usual(tokens) : {});
        const codes = attentionCodes(context, tokens, new Random(seed));
        expectSame(
          runContext(context, head, codes, { ldo: d + (seed & 8) }),
          expectedContext(context, head, codes),
        );
      }),
    );
  });

  test.each([
    [65, 64],
    [197, 16],
  ])('%d tokens of %d, against the equation', (tokens, d) => {
    const head = headOf(tokens, d, tokens, { z: 120, zo: 128, ...usual(tokens) });
    const codes = attentionCodes(context, tokens, new Random(tokens));
    expectSame(runContext(context, head, codes, { ldo: 3 * d }), expectedContext(context, head, codes));
  });

  test.each([
    [577, 16],
    [1025, 8],
  ])('%d tokens of %d, tier against tier', (tokens, d) => {
    const head = headOf(tokens, d, tokens, { z: 120, zo: 128, ...usual(tokens) });
    runContext(context, head, attentionCodes(context, tokens, new Random(tokens)));
  });

  test('is exact for every code', () => {
    const codes = new Uint8Array(256 * 256).fill(context.pad);
    for (let code = 0; code < 256; code++) codes[256 * code + code] = code;
    for (const size of log2 ? [2 ** 22, 2 ** 15, 2 ** 11, 2 ** 8] : [32000]) {
      const head = headOf(256, 8, size, { z: 77, zo: 128, ...spread(size, -1) });
      expectSame(runContext(context, head, codes), expectedContext(context, head, codes));
    }
  });

  test('is exact for extreme codes, zero points, multipliers and shifts', () => {
    const tokens = 21;
    for (const [v, z] of [0, 255].flatMap((v) => [0, 128, 255].map((z) => [v, z] as const))) {
      for (const [left, right] of [0, 7].flatMap((left) =>
        [32, 45, 62].map((right) => [left, right] as const),
      )) {
        for (const multiplier of [2 ** 31 - 1, 1 - 2 ** 31, -1]) {
          // 1.5·2^15·255·2^7 = 2^30.6
          const head = headOf(tokens, 8, 1, { z, zo: z, multiplier, left, right });
          head.qkv.fill(v);
          const codes = new Uint8Array(tokens * 32).fill(context.pad);
          for (let row = 0; row < tokens; row++) {
            if (log2) codes.set([0, context.kernel === 'context_log2' ? 1 : 8], 32 * row + (row % 20));
            else codes.fill(255, 32 * row, 32 * row + tokens);
          }
          expectSame(runContext(context, head, codes), expectedContext(context, head, codes));
        }
      }
    }
  });
});

test('several calls for a few rows each give all rows', () => {
  fc.assert(
    fc.property(shapes, cutsOf, ({ tokens, d, seed }, cuts) => {
      const head = headOf(tokens, d, seed, { ...spread(5000 * d) });
      expectSame(runScores(head, cuts), runScores(head));
      for (const context of CONTEXTS) {
        const codes = attentionCodes(context, tokens, new Random(seed));
        const values = { ...head, ...spread(context.kernel === 'context_uniform' ? 40000 : 2 ** 21) };
        expectSame(runContext(context, values, codes, { cuts }), runContext(context, values, codes));
      }
    }),
  );
});

test.each(CONTEXTS)('$kernel: 7-bit codes are 8-bit codes clamped to 127', (context) => {
  const size = context.kernel === 'context_uniform' ? 40000 : 2 ** 21;
  const head = headOf(33, 24, 1, { z: 120, zo: 100, high: 255, ...spread(size) });
  const codes = attentionCodes(context, 33, new Random(1));
  const wide = runContext(context, head, codes);
  expect(wide.filter((code) => code > 127).length).toBeGreaterThan(50);
  expectSame(
    runContext(context, { ...head, high: 127 }, codes),
    wide.map((code) => Math.min(code, 127)),
  );
});

test('the rows past the last have no effect', () => {
  for (const tokens of [1, 9, 15]) {
    const head = headOf(tokens, 16, tokens, { z: 120, zo: 128, ...spread(40000) });
    const other = { ...head, qkv: head.qkv.slice() };
    other.qkv.fill(0, tokens * head.ld);
    head.qkv.fill(255, tokens * head.ld);
    expectSame(runScores(head), runScores(other));
    for (const context of CONTEXTS) {
      const codes = attentionCodes(context, tokens, new Random(1));
      expectSame(runContext(context, head, codes), runContext(context, other, codes));
    }
  }
});

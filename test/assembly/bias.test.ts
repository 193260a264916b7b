import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { additionParameters } from '../../src/layers/add/scales.js';
import { roundedShift, saturated } from './reference.js';
import { expectSame, onEveryTier, Random, roundUp } from './support.js';

/** The scores of all heads in all windows of w × w tokens: u8 `[windows, heads, w², ld]`. */
interface Bias {
  windows: number;
  heads: number;
  w: number;
  ld: number;
  zq: number;
  zb: number;
  zo: number;
  mq: number;
  mb: number;
  shift: number;
  codes: Uint8Array;
  /** u8 `[(2w - 1)², heads]`. */
  table: Uint8Array;
}

/** One call per head. */
function run(bias: Bias): Uint8Array {
  const { windows, heads, w, ld, zq, zb, zo, mq, mb, shift, codes, table } = bias;
  const size = w ** 2 * ld;
  return onEveryTier(2 * codes.length + table.length + 4 * size + 8192, (bench) => {
    const rows = windows * heads * w ** 2;
    const out = bench.output(rows, w ** 2, ld, ld);
    const qk = bench.put(codes);
    const entries = bench.put(table);
    const scratch = bench.scratch(4 * size);
    for (let head = 0; head < heads; head++) {
      const scores = [qk + head * size, zq, mq] as const;
      const terms = [entries + head, heads, zb, mb, shift] as const;
      const to = [out.address + head * size, zo] as const;
      bench.kernels.bias(...scores, ...terms, ...to, windows, heads * size, w, ld, scratch);
    }
    return out;
  });
}

/** Calls `visit` with the place of every score and its entry in the table. */
function forScores({ windows, heads, w, ld }: Bias, visit: (at: number, entry: number) => void): void {
  let row = 0;
  for (let window = 0; window < windows; window++)
    for (let head = 0; head < heads; head++)
      for (let y = 0; y < w; y++)
        for (let x = 0; x < w; x++, row++) {
          let at = row * ld;
          for (let otherY = 0; otherY < w; otherY++)
            for (let otherX = 0; otherX < w; otherX++) {
              const index = (y - otherY + w - 1) * (2 * w - 1) + (x - otherX + w - 1);
              visit(at++, index * heads + head);
            }
        }
}

function expected(bias: Bias): number[] {
  const { zq, zb, zo, mq, mb, shift, codes, table } = bias;
  const out: number[] = [];
  forScores(bias, (at, entry) => {
    const sum = BigInt(codes[at]! - zq) * BigInt(mq) + BigInt(table[entry]! - zb) * BigInt(mb);
    out.push(saturated(roundedShift(sum, shift) + BigInt(zo)));
  });
  return out;
}

interface Shape {
  windows: number;
  heads: number;
  w: number;
  slack?: number;
  shift: number;
  seed: number;
}

/** Multipliers up to the largest for which 255·(|mq| + |mb|) + 2^(shift - 1) < 2^31. */
function biasOf({ windows, heads, w, slack = 0, shift, seed }: Shape): Bias {
  const random = new Random(seed);
  const room = Math.floor((2 ** 31 - 1 - 2 ** (shift - 1)) / 255);
  const mq = random.integer(-room, room);
  const rest = room - Math.abs(mq);
  const ld = roundUp(w ** 2, 8) + slack;
  const zero = () => random.integer(0, 255);
  return {
    ...{ windows, heads, w, ld, zq: zero(), zb: zero(), zo: zero() },
    ...{ mq, mb: random.real() < 0.3 ? rest : random.integer(-rest, rest), shift },
    codes: random.codes(windows * heads * w ** 2 * ld),
    table: random.codes((2 * w - 1) ** 2 * heads),
  };
}

test('is exact for any window, heads and multipliers', () => {
  const shapes = fc.record({
    windows: fc.integer({ min: 1, max: 5 }),
    heads: fc.integer({ min: 1, max: 4 }),
    w: fc.integer({ min: 1, max: 5 }),
    slack: fc.constantFrom(0, 8, 16),
    shift: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 22, max: 30 })),
    seed: fc.integer(),
  });
  fc.assert(
    fc.property(shapes, (shape) => {
      const bias = biasOf(shape);
      expectSame(run(bias), expected(bias));
    }),
  );
});

// windows and heads: those of Swin-T's first stage, and fewer
test.each([
  [7, 64, 3],
  [7, 1, 24],
  [8, 4, 2],
  [12, 1, 4],
  [3, 9, 5],
])('windows of %d: %d of them, %d heads', (w, windows, heads) => {
  const bias = biasOf({ windows, heads, w, slack: 8, shift: 21, seed: w });
  expectSame(run(bias), expected(bias));
});

test('reads the right head and entry for each pair of tokens', () => {
  const w = 4; // 49 entries per head
  const heads = 5;
  const bias: Bias = {
    ...biasOf({ windows: 2, heads, w, shift: 1, seed: 1 }),
    ...{ zq: 0, zb: 0, zo: 0, mq: 0, mb: 2, shift: 1 },
    table: Uint8Array.from({ length: 49 * heads }, (_, i) => i),
  };
  const codes = run(bias);
  expectSame(codes, expected(bias));
  expect(codes[0]).toBe(24 * heads); // i = j is in the middle
  expect(codes[15]).toBe(0); // the first token and the last
  expect(codes[15 * 16]).toBe(48 * heads);
});

test('a call for one head leaves the others unchanged', () => {
  const heads = 3;
  const bias = biasOf({ windows: 4, heads, w: 4, shift: 21, seed: 2 });
  const { windows, w, ld, zq, zb, zo, mq, mb, shift, codes, table } = bias;
  const size = w ** 2 * ld;
  const head = onEveryTier(65536, (bench) => {
    const out = bench.output(windows, size, heads * size);
    const scores = [bench.put(codes) + size, zq, mq] as const;
    const terms = [bench.put(table) + 1, heads, zb, mb, shift] as const;
    const scratch = bench.scratch(4 * size);
    bench.kernels.bias(...scores, ...terms, out.address, zo, windows, heads * size, w, ld, scratch);
    return out;
  });
  const all = expected(bias);
  const second = Array.from({ length: windows }, (_, k) => (k * heads + 1) * size);
  expectSame(
    head,
    second.flatMap((at) => all.slice(at, at + size)),
  );
});

test('is exact for extreme codes, zero points and multipliers', () => {
  for (let shift = 1; shift <= 30; shift++) {
    const room = Math.floor((2 ** 31 - 1 - 2 ** (shift - 1)) / 255);
    const half = room >> 1;
    const multipliers = [
      [room, 0],
      [-room, 0],
      [0, room],
      [0, -room],
      [half, half],
      [-half, -half],
      [half, -half],
      [1, -1],
    ] as const;
    for (const [mq, mb] of multipliers) {
      for (const zero of [0, 255]) {
        for (const [code, entry] of [[0, 0] as const, [255, 255] as const, [0, 255] as const]) {
          const bias: Bias = {
            ...biasOf({ windows: 1, heads: 1, w: 2, shift, seed: 1 }),
            ...{ zq: zero, zb: zero, zo: zero, mq, mb },
          };
          bias.codes.fill(code);
          bias.table.fill(entry);
          expectSame(run(bias), expected(bias));
        }
      }
    }
  }
});

test('approximates a real score plus a real bias', () => {
  const [scores, entries, out] = [0.03, 0.011, 0.037];
  const { multipliers, shift } = additionParameters({ scale: scores }, { scale: entries }, { scale: out }, 1);
  const bias: Bias = {
    ...biasOf({ windows: 2, heads: 3, w: 7, shift, seed: 3 }),
    ...{ zq: 130, zb: 90, zo: 125, mq: multipliers[0]!, mb: multipliers[1]! },
  };
  const codes = run(bias);
  expectSame(codes, expected(bias));
  let apart = 0;
  let i = 0;
  forScores(bias, (at, entry) => {
    const sum = scores * (bias.codes[at]! - 130) + entries * (bias.table[entry]! - 90);
    const real = Math.min(Math.max(sum / out + 125, 0), 255);
    apart = Math.max(apart, Math.abs(codes[i++]! - real));
  });
  expect(apart).toBeLessThan(0.5 + 2 ** -10);
});

// checkpoints may hold any int32, so that all tiers must overflow alike
test('all tiers overflow alike', () => {
  const random = new Random(8);
  const any = () => random.integer(-(2 ** 31), 2 ** 31 - 1);
  for (let shift = 1; shift <= 30; shift++) {
    for (let i = 0; i < 4; i++) {
      run({ ...biasOf({ windows: 2, heads: 2, w: 5, shift, seed: shift }), mq: any(), mb: any() });
    }
  }
});

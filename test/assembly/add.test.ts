import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { additionParameters } from '../../src/layers/add/scales.js';
import { roundedShift, saturated, tokensOf, type Windows, windowOrder } from './reference.js';
import { cutsOf, expectSame, onEveryTier, Random, ranges, WINDOWS, windowShapes } from './support.js';

interface Addition {
  rows: number;
  c: number;
  za: number;
  zb: number;
  zo: number;
  a: Uint8Array;
  b: Uint8Array;
  /** i32 `[2, c]`. */
  multipliers: Int32Array;
  shift: number;
}

function run({ rows, c, za, zb, zo, a, b, multipliers, shift }: Addition): Uint8Array {
  return onEveryTier(3 * rows * c + 8 * c + 8192, (bench) => {
    const out = bench.output(rows, c);
    const ma = bench.put(multipliers);
    bench.kernels.add(bench.put(a), za, ma, bench.put(b), zb, ma + 4 * c, shift, out.address, zo, rows, c);
    return out;
  });
}

/**
 * a and the output are in reading order, b is in window order.
 *
 * @param cuts lines at which a new call begins
 */
function runWindows(
  addition: Addition,
  { side, window, shift: roll }: Windows,
  cuts: number[] = [],
): Uint8Array {
  const { rows, c, za, zb, zo, a, b, multipliers, shift } = addition;
  return onEveryTier(3 * rows * c + 8 * c + 8192, (bench) => {
    const out = bench.output(rows, c);
    const ma = bench.put(multipliers);
    const first = [bench.put(a), za, ma] as const;
    const second = bench.put(b);
    const rest = [zb, ma + 4 * c, shift, out.address, zo, c, side, window, roll] as const;
    for (const [from, to] of ranges(rows / window, cuts))
      bench.kernels.add_windows(...first, second + from * window * c, ...rest, from, to - from);
    return out;
  });
}

function expected({ c, za, zb, zo, a, b, multipliers, shift }: Addition): number[] {
  return Array.from(a, (code, at) => {
    const ma = BigInt(multipliers[at % c]!);
    const mb = BigInt(multipliers[c + (at % c)]!);
    const sum = BigInt(code - za) * ma + BigInt(b[at]! - zb) * mb;
    return saturated(roundedShift(sum, shift) + BigInt(zo));
  });
}

/** Multipliers up to the largest for which 255·(|ma| + |mb|) + 2^(shift - 1) < 2^31. */
function additionOf(rows: number, c: number, shift: number, seed: number): Addition {
  const random = new Random(seed);
  const room = Math.floor((2 ** 31 - 1 - 2 ** (shift - 1)) / 255);
  const multipliers = new Int32Array(2 * c);
  for (let i = 0; i < c; i++) {
    const ma = random.integer(-room, room);
    const rest = room - Math.abs(ma);
    multipliers[i] = ma;
    multipliers[c + i] = random.real() < 0.3 ? rest : random.integer(-rest, rest);
  }
  const zero = () => random.integer(0, 255);
  return {
    ...{ rows, c, za: zero(), zb: zero(), zo: zero(), multipliers, shift },
    ...{ a: random.codes(rows * c), b: random.codes(rows * c) },
  };
}

test('is exact for any multipliers and shift', () => {
  const shapes = fc.tuple(
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 6 }).map((steps) => 8 * steps),
    fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 22, max: 30 })),
    fc.integer(),
  );
  fc.assert(
    fc.property(shapes, (shape) => {
      const addition = additionOf(...shape);
      expectSame(run(addition), expected(addition));
    }),
  );
});

test('is exact for extreme codes, zero points and multipliers', () => {
  for (let shift = 1; shift <= 30; shift++) {
    const room = Math.floor((2 ** 31 - 1 - 2 ** (shift - 1)) / 255);
    const half = room >> 1;
    const ma = [room, -room, 0, 0, half, -half, half, 1];
    const mb = [0, 0, room, -room, half, -half, -half, -1];
    for (const zero of [0, 255]) {
      const addition: Addition = {
        ...{ rows: 2, c: 8, za: zero, zb: zero, zo: zero, shift },
        ...{ a: new Uint8Array(16).fill(255, 8), b: new Uint8Array(16).fill(255, 8) },
        multipliers: Int32Array.from([...ma, ...mb]),
      };
      expectSame(run(addition), expected(addition));
    }
  }
});

test('approximates the sum of two real numbers', () => {
  const c = 192;
  const random = new Random(2);
  const factors = () => random.codes(c, 0, 3);
  const a = { scale: 0.011, factors: factors() };
  const b = { scale: 0.037 };
  const out = { scale: 0.013, factors: factors() };
  const addition: Addition = {
    ...additionOf(7, c, 1, 3),
    ...additionParameters(a, b, out, c),
    ...{ za: 120, zb: 131, zo: 125 },
  };
  const codes = run(addition);
  expectSame(codes, expected(addition));
  const apart = Array.from(codes, (code, at) => {
    const i = at % c;
    const sum = a.scale * 2 ** a.factors[i]! * (addition.a[at]! - 120) + b.scale * (addition.b[at]! - 131);
    const real = sum / (out.scale * 2 ** out.factors[i]!) + 125;
    return Math.abs(code - Math.min(Math.max(real, 0), 255));
  });
  expect(Math.max(...apart)).toBeLessThan(0.5 + 2 ** -10);
});

describe('rows in window order', () => {
  function expectOrder(windows: Windows, c: number, shift: number, seed: number): void {
    const addition = additionOf(windows.side ** 2, c, shift, seed);
    const order = windowOrder(windows);
    const inverse = order.map((_, token) => order.indexOf(token));
    const b = tokensOf(addition.b, inverse, c);
    expectSame(runWindows(addition, windows), expected({ ...addition, b }));
  }

  test.each(WINDOWS)('a map of side $side, windows of $window, shift $shift', (windows) => {
    expectOrder(windows, 16, 22, windows.side);
  });

  test('several calls for a few lines each give the whole map', () => {
    fc.assert(
      fc.property(windowShapes, cutsOf, fc.integer(), (windows, cuts, seed) => {
        const addition = additionOf(windows.side ** 2, 8, 22, seed);
        expectSame(runWindows(addition, windows, cuts), runWindows(addition, windows));
      }),
    );
  });

  test('is exact for any map', () => {
    fc.assert(
      fc.property(
        windowShapes,
        fc.constantFrom(8, 24),
        fc.integer({ min: 1, max: 30 }),
        fc.integer(),
        (windows, c, shift, seed) => {
          expectOrder(windows, c, shift, seed);
        },
      ),
    );
  });
});

// checkpoints may hold any int32, so that all tiers must overflow alike
test('all tiers overflow alike', () => {
  const random = new Random(8);
  for (let shift = 1; shift <= 30; shift++) {
    const addition = additionOf(2, 64, shift, shift);
    const multipliers = addition.multipliers.map(() => random.integer(-(2 ** 31), 2 ** 31 - 1));
    run({ ...addition, multipliers });
    runWindows({ ...additionOf(4, 64, shift, shift), multipliers }, { side: 2, window: 2, shift: 1 });
  }
});

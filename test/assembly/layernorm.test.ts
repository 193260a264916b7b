import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { layerNormParameters } from '../../src/layers/layernorm/gain.js';
import {
  mergeOrder,
  roundedShift,
  saturated,
  squareRoot,
  tokensOf,
  type Windows,
  windowOrder,
} from './reference.js';
import {
  type Bench,
  cutsOf,
  expectSame,
  onEveryTier,
  Random,
  ranges,
  WINDOWS,
  windowShapes,
} from './support.js';

interface Norm {
  rows: number;
  c: number;
  z: number;
  zo: number;
  /** The largest code. */
  high: number;
  codes: Uint8Array;
  /** 2^α, `[c]`. */
  power: Int16Array;
  gain: Int32Array;
  bias: Int32Array;
  shift: number;
}

/** The operands that all kernels share. */
type Operands = readonly [
  q: number,
  z: number,
  power: number,
  gain: number,
  bias: number,
  shift: number,
  out: number,
  zo: number,
  high: number,
];

/** @param call computes rows or lines `from` to `to` of the whole */
function onRows(
  norm: Norm,
  count: number,
  cuts: number[],
  call: (bench: Bench, operands: Operands, from: number, to: number) => void,
): Uint8Array {
  const { rows, c, z, zo, high, codes, power, gain, bias, shift } = norm;
  return onEveryTier(2 * rows * c + 11 * c + 8192, (bench) => {
    const out = bench.output(rows, c);
    const parameters = [bench.put(power), bench.put(gain), bench.put(bias), shift] as const;
    const q = bench.put(codes);
    for (const [from, to] of ranges(count, cuts)) {
      const at = from * (rows / count) * c;
      call(bench, [q, z, ...parameters, out.address + at, zo, high], from, to);
    }
    return out;
  });
}

const run = (norm: Norm, cuts: number[] = []) =>
  onRows(norm, norm.rows, cuts, ({ kernels }, [q, ...operands], from, to) => {
    kernels.layernorm(q + from * norm.c, ...operands, to - from, norm.c);
  });

const runWindows = (norm: Norm, { side, window, shift }: Windows, cuts: number[] = []) =>
  onRows(norm, norm.rows / window, cuts, ({ kernels }, operands, from, to) => {
    kernels.layernorm_windows(...operands, norm.c, side, window, shift, from, to - from);
  });

const runMerge = (norm: Norm, side: number, cuts: number[] = []) =>
  onRows(norm, norm.rows, cuts, (bench, operands, from, to) => {
    bench.kernels.layernorm_merge(...operands, norm.c, side, from, to - from, bench.scratch(norm.c));
  });

/** C·x - Σx for every channel of a row, and V = (C·σ)²; below 2^53. */
function statistics({ c, z, codes, power }: Norm, row: number) {
  const x = Array.from(codes.subarray(row * c, (row + 1) * c), (q, i) => (q - z) * power[i]!);
  const sum = x.reduce((a, b) => a + b, 0);
  const squares = x.reduce((a, b) => a + b * b, 0);
  return { centred: x.map((value) => c * value - sum), v: c * squares - sum * sum };
}

/**
 * The fixed point of the kernel: 1/√V in 31 bits, from a root whose last bit is bit 0 of a 32-bit
 * word; x̂ in Q24; the affine part in Q12.
 */
function expected(norm: Norm): number[] {
  const { rows, zo, high, gain, bias, shift } = norm;
  return Array.from({ length: rows }, (_, row) => {
    const { centred, v } = statistics(norm, row);
    const wide = BigInt(Math.max(v, 1));
    const even = 2 * Math.floor((64 - wide.toString(2).length) / 2);
    const reciprocal = (2n ** 62n - 1n) / squareRoot(wide << BigInt(even));
    return centred.map((value, i) => {
      const t = roundedShift(BigInt(value) * reciprocal, 38 - even / 2);
      const u = roundedShift(t * BigInt(gain[i]!), shift);
      return saturated(roundedShift(u + BigInt(bias[i]!), 12) + BigInt(zo), high);
    });
  }).flat();
}

/** (x - μ)/σ · γ/s_out + β/s_out + z_out before rounding, in doubles. */
function real(norm: Norm): number[] {
  const { rows, zo, gain, bias, shift } = norm;
  return Array.from({ length: rows }, (_, row) => {
    const { centred, v } = statistics(norm, row);
    const deviation = Math.sqrt(v) || 1;
    return centred.map(
      (value, i) => (value / deviation) * gain[i]! * 2 ** (12 - shift) + bias[i]! / 4096 + zo,
    );
  }).flat();
}

function expectReal(norm: Norm, tolerance: number): void {
  const codes = run(norm);
  const apart = real(norm).map((value, i) => Math.abs(codes[i]! - Math.min(Math.max(value, 0), norm.high)));
  expect(Math.max(...apart)).toBeLessThan(0.5 + tolerance);
}

/** Parameters as the quantiser makes them, for γ and β of this size in output codes. */
function normOf(rows: number, c: number, seed: number, gammas = 40, betas = 20): Norm {
  const random = new Random(seed);
  const reals = (size: number) => Float32Array.from({ length: c }, () => size * (2 * random.real() - 1));
  const z = random.integer(0, 255);
  const spread = random.integer(1, 127);
  return {
    ...{ rows, c, z, zo: random.integer(0, 255), high: seed % 2 === 0 ? 255 : 127 },
    codes: random.codes(rows * c, 128 - spread, 128 + spread),
    power: Int16Array.from({ length: c }, () => 2 ** random.integer(0, 3)),
    ...layerNormParameters(reals(gammas), reals(betas), 1),
  };
}

test('is exact for any row, factors and gain', () => {
  const shapes = fc.record({
    rows: fc.integer({ min: 1, max: 3 }),
    c: fc.integer({ min: 1, max: 12 }).map((steps) => 8 * steps),
    seed: fc.integer(),
    gammas: fc.constantFrom(1e-9, 0.01, 1, 40, 3000, 1e9),
    betas: fc.constantFrom(0, 1, 60, 3000, 1e9),
  });
  fc.assert(
    fc.property(shapes, ({ rows, c, seed, gammas, betas }) => {
      const norm = normOf(rows, c, seed, gammas, betas);
      expectSame(run(norm), expected(norm));
    }),
  );
});

test.each([192, 384, 768, 1024, 4096])('%d channels', (c) => {
  const norm = normOf(3, c, c);
  expectSame(run(norm), expected(norm));
  expectReal(norm, 2 ** -11);
});

describe('extreme rows', () => {
  const kinds: Record<string, (i: number, c: number) => number> = {
    'all 0': () => 0,
    'all 255': () => 255,
    'half 0, half 255': (i, c) => (2 * i < c ? 0 : 255),
    'one 255': (i) => (i === 3 ? 255 : 0),
    'one 0': (i) => (i === 3 ? 0 : 255),
    'one of 1': (i) => (i === 3 ? 1 : 0),
    'one less': (i) => (i === 3 ? 254 : 255),
    alternating: (i) => 255 * (i % 2),
  };
  test.each(Object.keys(kinds))('%s', (kind) => {
    for (const c of [8, 768, 4096]) {
      for (const z of [0, 255]) {
        for (const power of [1, 8]) {
          const norm: Norm = {
            ...normOf(1, c, c),
            z,
            codes: Uint8Array.from({ length: c }, (_, i) => kinds[kind]!(i, c)),
            power: new Int16Array(c).fill(power),
          };
          expectSame(run(norm), expected(norm));
          expectReal(norm, 2 ** -11);
        }
      }
    }
  });

  test('a row of equal values becomes β', () => {
    const norm = { ...normOf(1, 16, 1), power: new Int16Array(16).fill(2) };
    norm.codes.fill(99);
    const beta = Array.from(norm.bias, (b) =>
      saturated(roundedShift(BigInt(b), 12) + BigInt(norm.zo), norm.high),
    );
    expectSame(run(norm), beta);
  });
});

// One channel differs from the others by d: x̂ = ±√(C - 1) for any d, while V = (C - 1)·d² covers
// every size of a root. A gain of 2^16 codes and a bias that cancels it show bits of x̂ that 8-bit
// codes hide.
test('the root keeps its precision from the smallest variance to the largest', () => {
  for (const c of [8, 200, 768, 4096]) {
    const gain = 2 ** 16 / Math.sqrt(c - 1);
    const parameters = layerNormParameters(new Float32Array(c).fill(gain), new Float32Array(c), 1);
    const kept = parameters.gain[0]! * 2 ** (12 - parameters.shift); // the gain of 10 bits
    for (const power of [1, 8]) {
      for (let d = 1; d < 256; d += d < 9 ? 1 : 41) {
        for (const sign of [1, -1]) {
          const codes = new Uint8Array(c).fill(sign > 0 ? 0 : 255);
          codes[5] = sign > 0 ? d : 255 - d;
          const bias = new Int32Array(c).fill(Math.round(-sign * kept * Math.sqrt(c - 1) * 4096));
          const norm: Norm = {
            ...{ rows: 1, c, z: 0, zo: 128, high: 255, codes, power: new Int16Array(c).fill(power), bias },
            ...{ gain: parameters.gain, shift: parameters.shift },
          };
          expect(run(norm)[5]).toBe(128);
        }
      }
    }
  }
});

test('the largest sum of the quantiser stays in i32', () => {
  for (const c of [8, 768, 4096]) {
    for (const sign of [1, -1]) {
      const huge = new Float32Array(c).fill(sign * 1e30);
      const codes = new Uint8Array(c);
      codes[0] = 255; // x̂ = √(C - 1), the largest possible
      const norm: Norm = {
        ...{ rows: 1, c, z: 0, zo: 100, high: 255, codes, power: new Int16Array(c).fill(8) },
        ...layerNormParameters(huge, huge, 1e-30),
      };
      expect(run(norm)[0]).toBe(sign > 0 ? 255 : 0);
      expectSame(run(norm), expected(norm));
    }
  }
});

describe('rows in window order', () => {
  function expectOrder(windows: Windows, c: number, seed: number): void {
    const norm = normOf(windows.side ** 2, c, seed);
    const codes = tokensOf(norm.codes, windowOrder(windows), c);
    expectSame(runWindows(norm, windows), expected({ ...norm, codes }));
  }

  test.each(WINDOWS)('a map of side $side, windows of $window, shift $shift', (windows) => {
    expectOrder(windows, 16, windows.side);
  });

  test('is exact for any map', () => {
    fc.assert(
      fc.property(windowShapes, fc.constantFrom(8, 24), fc.integer(), (windows, c, seed) => {
        expectOrder(windows, c, seed);
      }),
    );
  });
});

describe('rows of merged patches', () => {
  // the factors, like gain and bias, belong to the merged channels
  function expectMerged(side: number, c: number, seed: number): void {
    const norm = normOf(side ** 2 / 4, c, seed);
    const codes = tokensOf(norm.codes, mergeOrder(side), c / 4);
    expectSame(runMerge(norm, side), expected({ ...norm, codes }));
  }

  test.each([
    [2, 8],
    [2, 4096],
    [4, 24],
    [6, 40],
    [14, 1536],
    [28, 32],
    [56, 16],
  ])('a map of side %d, %d channels', (side, c) => {
    expectMerged(side, c, side);
  });

  test('is exact for any map', () => {
    const sides = fc.integer({ min: 1, max: 6 }).map((half) => 2 * half);
    const channels = fc.integer({ min: 1, max: 8 }).map((steps) => 8 * steps);
    fc.assert(fc.property(sides, channels, fc.integer(), expectMerged));
  });
});

const ORDERS: [string, (norm: Norm, cuts?: number[]) => Uint8Array][] = [
  ['in order', run],
  ['in window order', (norm, cuts) => runWindows(norm, { side: 6, window: 3, shift: 1 }, cuts)],
  ['of merged patches', (norm, cuts) => runMerge(norm, 12, cuts)],
];

describe.each(ORDERS)('36 rows %s', (_, runOrder) => {
  const codes = (seed: number) => new Random(seed).codes(36 * 40);

  test('several calls give the same rows', () => {
    fc.assert(
      fc.property(cutsOf, fc.integer(), (cuts, seed) => {
        const norm = { ...normOf(36, 40, seed), codes: codes(seed) };
        expectSame(runOrder(norm, cuts), runOrder(norm));
      }),
    );
  });

  test('7-bit codes are 8-bit codes clamped to 127', () => {
    const norm = { ...normOf(36, 40, 1), codes: codes(1), zo: 100 };
    const wide = runOrder({ ...norm, high: 255 });
    expect(wide.filter((code) => code > 127).length).toBeGreaterThan(100);
    expectSame(
      runOrder({ ...norm, high: 127 }),
      wide.map((code) => Math.min(code, 127)),
    );
  });
});

// checkpoints may hold any int32, so that all tiers must overflow alike
test('all tiers overflow alike', () => {
  const random = new Random(8);
  const any = () => random.integer(-(2 ** 31), 2 ** 31 - 1);
  for (let shift = 1; shift <= 62; shift++) {
    const norm = normOf(2, 72, shift);
    const wild = {
      ...norm,
      rows: 4,
      codes: random.codes(4 * 72),
      gain: norm.gain.map(any),
      bias: norm.bias.map(any),
      shift,
    };
    run(wild);
    runWindows(wild, { side: 2, window: 2, shift: 1 });
    runMerge(wild, 4);
  }
});

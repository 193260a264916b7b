import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { requantizer } from '../../src/layers/requantizer.js';
import { requantised } from './reference.js';
import { expectSame, onEveryTier, Random } from './support.js';

interface Pool {
  rows: number;
  c: number;
  z: number;
  zo: number;
  multiplier: number;
  left: number;
  right: number;
  codes: Uint8Array;
}

function run({ rows, c, z, zo, multiplier, left, right, codes }: Pool): Uint8Array {
  return onEveryTier(codes.length + c + 8192, (bench) => {
    const out = bench.output(1, c);
    bench.kernels.pool(bench.put(codes), z, multiplier, left, right, out.address, zo, rows, c);
    return out;
  });
}

function sums({ rows, c, z, codes }: Pool): number[] {
  return Array.from({ length: c }, (_, i) => {
    let sum = 0;
    for (let r = 0; r < rows; r++) sum += codes[r * c + i]! - z;
    return sum;
  });
}

const expected = (pool: Pool) => sums(pool).map((sum) => requantised(sum, pool, pool.zo, 255));

const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 60 }), // 255·60·2^15 < 2^31
  c: fc.integer({ min: 1, max: 40 }),
  z: fc.integer({ min: 0, max: 255 }),
  zo: fc.integer({ min: 0, max: 255 }),
  left: fc.integer({ min: 0, max: 15 }),
  right: fc.oneof(fc.integer({ min: 32, max: 62 }), fc.integer({ min: 36, max: 50 })),
  seed: fc.integer(),
});

test('is exact for any shape, shift and zero point', () => {
  fc.assert(
    fc.property(shapes, ({ seed, ...shape }) => {
      const random = new Random(seed);
      const pool = { ...shape, multiplier: random.multiplier(), codes: random.codes(shape.rows * shape.c) };
      expectSame(run(pool), expected(pool));
    }),
  );
});

test('is exact for extreme codes, zero points, multipliers and shifts', () => {
  const most = 2 ** 31 - 1;
  for (const multiplier of [most, -most, 2 ** 30, 1, -1, 0]) {
    for (const [rows, left] of [[49, 0] as const, [49, 15] as const, [3136, 0] as const, [1, 15] as const]) {
      for (const right of [32, 33, 47, 62]) {
        for (const z of [0, 255]) {
          const codes = new Uint8Array(rows * 3).map((_, at) => [0, 255, 128][at % 3]!);
          const pool = { rows, c: 3, z, zo: z, multiplier, left, right, codes };
          expectSame(run(pool), expected(pool));
        }
      }
    }
  }
});

test.each([
  [49, 768],
  [144, 1024],
  [1, 8],
])('the mean of %d tokens of %d channels', (rows, c) => {
  const scale = 1.3;
  const { multipliers, left, right } = requantizer([scale / rows], 255 * rows);
  const codes = new Random(rows).codes(rows * c);
  const pool: Pool = { rows, c, z: 120, zo: 131, multiplier: multipliers[0]!, left, right, codes };
  const pooled = run(pool);
  expectSame(pooled, expected(pool));
  const apart = sums(pool).map((sum, i) => {
    const real = Math.min(Math.max((sum / rows) * scale + 131, 0), 255);
    return Math.abs(pooled[i]! - real);
  });
  expect(Math.max(...apart)).toBeLessThan(0.5 + 2 ** -10);
});

// checkpoints may hold any int32, so that all tiers must overflow alike
test('all tiers overflow alike', () => {
  const random = new Random(5);
  for (let left = 0; left < 16; left++) {
    for (const right of [32, 47, 62]) {
      const multiplier = random.integer(-(2 ** 31), 2 ** 31 - 1);
      run({ rows: 784, c: 24, z: 255, zo: 9, multiplier, left, right, codes: random.codes(784 * 24) });
    }
  }
});

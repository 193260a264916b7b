import { describe, test } from '@jest/globals';
import { expectSame, onEveryTier, Random, ranges, roundUp } from './support.js';

describe('patches', () => {
  test.each([
    [4, 2],
    [6, 3],
    [5, 5],
    [32, 4],
    [224, 16],
    [8, 1],
  ])('an image of %d pixels in patches of %d', (size, patch) => {
    const random = new Random(size);
    const pixels = random.codes(size * size * 3);
    const table = random.codes(768);
    const side = size / patch;
    const length = 3 * patch ** 2;
    const k = roundUp(length, 8);
    const zero = 201;
    const run = (cuts: number[]) =>
      onEveryTier(2 * pixels.length + 8 * side ** 2 + 8192, (bench) => {
        const out = bench.output(side ** 2, k);
        const operands = [bench.put(pixels), bench.put(table), zero, size, patch, k] as const;
        for (const [from, to] of ranges(side ** 2, cuts))
          bench.kernels.patches(...operands, from, to - from, out.address + from * k);
        return out;
      });
    // the order of the patch embedding's weights: channel, row, column
    const expected = new Uint8Array(side ** 2 * k).fill(zero);
    for (let row = 0; row < size; row++)
      for (let column = 0; column < size; column++)
        for (let c = 0; c < 3; c++) {
          const at = Math.floor(row / patch) * side + Math.floor(column / patch);
          const within = (c * patch + (row % patch)) * patch + (column % patch);
          expected[at * k + within] = table[256 * c + pixels[(row * size + column) * 3 + c]!]!;
        }
    expectSame(run([]), expected);
    for (const cuts of [[1], [side - 1, side + 1], [side ** 2 - 1]]) expectSame(run(cuts), expected);
  });
});

describe('lookup', () => {
  const table = new Random(2).codes(256);
  const codes = new Random(3).codes(1001);
  const expected = Array.from(codes, (code) => table[code]!);

  test('writes to another place', () => {
    const looked = onEveryTier(65536, (bench) => {
      const out = bench.output(1, codes.length);
      bench.kernels.lookup(bench.put(codes), bench.put(table), out.address, codes.length);
      return out;
    });
    expectSame(looked, expected);
  });

  test('gives the same codes if the output overwrites the input', () => {
    const looked = onEveryTier(65536, (bench) => {
      const address = bench.put(codes);
      bench.kernels.lookup(address, bench.put(table), address, codes.length);
      return bench.inPlace(address, codes.length);
    });
    expectSame(looked, expected);
  });
});

import { test } from '@jest/globals';
import { expectSame, onEveryTier, Random } from './support.js';

function run(codes: Uint16Array, table: Uint8Array): Uint8Array {
  return onEveryTier(3 * codes.length + 8192, (bench) => {
    const out = bench.output(1, codes.length);
    bench.kernels.gelu(bench.put(codes), bench.put(table), out.address, codes.length);
    return out;
  });
}

const table = new Random(1).codes(4096);

test('is exact for every fine code', () => {
  const codes = Uint16Array.from({ length: 4096 }, (_, i) => (i * 1237) % 4096);
  expectSame(
    run(codes, table),
    Array.from(codes, (code) => table[code]!),
  );
});

test.each([4, 8, 12, 197 * 768])('%d codes', (n) => {
  const random = new Random(n);
  const codes = Uint16Array.from({ length: n }, () => random.integer(0, 4095));
  expectSame(
    run(codes, table),
    Array.from(codes, (code) => table[code]!),
  );
});

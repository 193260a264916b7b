import { describe, expect, test } from '@jest/globals';
import * as reference from './reference.js';
import { Bench, randomFloats, randomPixels, wasm } from './support.js';

/** Largest |a - b|. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!)), 0);
}

test('the float module imports its memory and nothing else', () => {
  expect(WebAssembly.Module.imports(wasm)).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
});

describe('gemm', () => {
  // rows, cols, depth, lda, ldc: whole tiles; every kind of remainder; several chunks of rows,
  // blocks of columns, or both; strides of attention
  const shapes = [
    [8, 16, 12, 12, 16],
    [1, 1, 1, 1, 1],
    [7, 13, 5, 5, 13],
    [3, 8, 9, 20, 8],
    [10, 5, 3, 7, 31],
    [150, 9, 300, 300, 9],
    [5, 213, 300, 300, 213],
    [6, 17, 40000, 40000, 17],
  ] as const;

  test.each(shapes)('%d×%d over %d, lda %d, ldc %d, against f64', (rows, cols, depth, lda, ldc) => {
    const bench = new Bench();
    const a = randomFloats(rows * lda, 1);
    const w = randomFloats(cols * depth, 2);
    const bias = randomFloats(8 * Math.ceil(cols / 8), 3);
    const panels = bench.room(8 * Math.ceil(cols / 8) * depth, Number.NaN);
    const out = bench.room(rows * ldc, 42);
    bench.kernels.pack_weights(bench.put(w), depth, panels, cols, depth);
    const scale = 0.25;
    const places = [
      bench.put(a),
      lda,
      panels,
      bench.put(bias),
      out,
      ldc,
      rows,
      cols,
      depth,
      scale,
      64,
    ] as const;
    bench.kernels.gemm(...places);

    const expected = new Float64Array(rows * ldc).fill(42); // the gaps between rows do not change
    for (let m = 0; m < rows; m++)
      for (let n = 0; n < cols; n++) {
        let sum = 0;
        for (let k = 0; k < depth; k++) sum += a[m * lda + k]! * w[n * depth + k]!;
        expected[m * ldc + n] = scale * sum + bias[n]!;
      }
    expect(distance(bench.view(out, rows * ldc), expected)).toBeLessThan(3e-7 * depth);
  });

  test('works without a bias, from packed columns', () => {
    const bench = new Bench();
    const a = Float32Array.of(1, 2, 3, 4, 5, 6); // [2, 3]
    const b = Float32Array.of(1, 0, -1, 9, 0, 1, 2, 9, 1, 1, 1, 9); // [3, 3], rows four apart
    const panels = bench.room(3 * 8, Number.NaN);
    const out = bench.room(6);
    bench.kernels.pack_columns(bench.put(b), 4, panels, 3, 3);
    bench.kernels.gemm(bench.put(a), 3, panels, 0, out, 3, 2, 3, 3, 1, bench.scratch);
    expect(Array.from(bench.view(out, 6))).toEqual([4, 5, 6, 10, 11, 12]);
  });

  test('a row does not depend on the rows around it', () => {
    const bench = new Bench();
    const panels = bench.put(randomFloats(8 * 500, 1));
    const a = bench.put(randomFloats(500 * 101, 2));
    const all = bench.room(8 * 101);
    const one = bench.room(8);
    bench.kernels.gemm(a, 500, panels, 0, all, 8, 101, 8, 500, 1, bench.scratch);
    bench.kernels.gemm(a + 4 * 500 * 77, 500, panels, 0, one, 8, 1, 8, 500, 1, bench.scratch);
    expect(bench.view(one, 8)).toEqual(bench.view(all + 4 * 8 * 77, 8));
  });

  test.each([1, 3, 64, 197, 768, 4096, 40000])('stays within its scratch for a depth of %d', (depth) => {
    const bench = new Bench();
    const rows = 200;
    const bytes = bench.kernels.gemm_scratch_bytes(depth);
    const guard = bench.view(bench.scratch + bytes, 16).fill(7);
    const a = bench.room(depth); // lda 0 repeats one row
    bench.kernels.gemm(
      a,
      0,
      bench.room(8 * depth),
      0,
      bench.room(8 * rows),
      8,
      rows,
      8,
      depth,
      1,
      bench.scratch,
    );
    expect(Array.from(guard)).toEqual(Array(16).fill(7));
  });
});

describe('layerNorm', () => {
  test.each([16, 15, 3])('%d channels, far from zero, against f64', (width) => {
    const bench = new Bench();
    const x = randomFloats(4 * 40, 1).map((v) => 100 + v);
    const [gamma, beta] = [randomFloats(width, 2), randomFloats(width, 3)];
    const out = bench.room(4 * width);
    bench.kernels.layernorm(bench.put(x), 40, bench.put(gamma), bench.put(beta), out, 4, width, 1e-6);
    const expected = [0, 1, 2, 3].flatMap((m) =>
      reference.layerNorm(Array.from(x.subarray(40 * m, 40 * m + width)), gamma, beta, 1e-6),
    );
    expect(distance(bench.view(out, 4 * width), expected)).toBeLessThan(1e-4);
  });

  test('a constant row gives beta: eps keeps the division finite', () => {
    const bench = new Bench();
    const out = bench.room(4);
    const [x, gamma, beta] = [
      [5, 5, 5, 5],
      [1, 2, 3, 4],
      [0.5, -1, 0, 2],
    ].map((v) => bench.put(v));
    bench.kernels.layernorm(x!, 4, gamma!, beta!, out, 1, 4, 1e-6);
    expect(Array.from(bench.view(out, 4))).toEqual([0.5, -1, 0, 2]);
  });
});

describe('maps and windows', () => {
  // a map of 4×4 whose row r is [r, 100 + r, -r]; the order of windows of 2×2 shifted by one
  const order = [5, 6, 9, 10, 7, 4, 11, 8, 13, 14, 1, 2, 15, 12, 3, 0];
  const row = (r: number) => [r, 100 + r, -r];
  const twoMaps = Array.from({ length: 32 }, (_, r) => row(r));
  const inWindows = [...order, ...order.map((r) => 16 + r)];

  test('layernorm_windows equals layernorm of the rows in window order', () => {
    const bench = new Bench();
    const [gamma, beta] = [bench.put([1, 2, 3]), bench.put([0.5, -1, 2])];
    const out = bench.room(96);
    const expected = bench.room(96);
    bench.kernels.layernorm_windows(bench.put(twoMaps.flat()), gamma, beta, out, 2, 4, 2, 1, 3, 1e-6);
    bench.kernels.layernorm(bench.put(inWindows.flatMap(row)), 3, gamma, beta, expected, 32, 3, 1e-6);
    expect(bench.view(out, 96)).toEqual(bench.view(expected, 96));
  });

  test('add_windows adds every row where it came from', () => {
    const bench = new Bench();
    const at = bench.put(twoMaps.flat());
    bench.kernels.add_windows(at, bench.put(inWindows.flatMap(row)), 2, 4, 2, 1, 3);
    expect(Array.from(bench.view(at, 96))).toEqual(twoMaps.flat().map((x) => 2 * x));
  });

  test('layernorm_merge equals layernorm of four concatenated rows', () => {
    const bench = new Bench();
    const [gamma, beta] = [bench.put(randomFloats(12, 1)), bench.put(randomFloats(12, 2))];
    const out = bench.room(96);
    const expected = bench.room(96);
    const merged = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15];
    const rows = [...merged, ...merged.map((r) => 16 + r)].flatMap(row);
    bench.kernels.layernorm_merge(bench.put(twoMaps.flat()), gamma, beta, out, 2, 4, 3, 1e-6);
    bench.kernels.layernorm(bench.put(rows), 12, gamma, beta, expected, 8, 12, 1e-6);
    expect(bench.view(out, 96)).toEqual(bench.view(expected, 96));
  });

  test('add_repeated adds the same range repeatedly, with a remainder', () => {
    const bench = new Bench();
    const at = bench.put([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    bench.kernels.add_repeated(at, bench.put([100, 200, 300, 400, 500]), 2, 5);
    expect(Array.from(bench.view(at, 11))).toEqual([101, 202, 303, 404, 505, 106, 207, 308, 409, 510, 11]);
  });

  test('pool computes the mean of rows', () => {
    const bench = new Bench();
    const rows = [
      [1, 2, 3, 4, 5],
      [3, 4, 5, 6, 8],
      [8, 9, 10, 11, 11],
    ];
    const out = bench.room(11, 42);
    bench.kernels.pool(bench.put([...rows.flat(), ...rows.flat().map((x) => -x)]), out, 2, 3, 5);
    expect(Array.from(bench.view(out, 11))).toEqual([4, 5, 6, 7, 8, -4, -5, -6, -7, -8, 42]);
  });
});

describe('softmax', () => {
  test.each([1, 2, 7, 197])('rows of %d against f64', (width) => {
    const bench = new Bench();
    const x = randomFloats(3 * width, width, 12);
    const at = bench.put(x);
    bench.kernels.softmax(at, 3, width);
    const expected = [0, 1, 2].flatMap((m) =>
      reference.softmax(Array.from(x.subarray(m * width, (m + 1) * width))),
    );
    expect(distance(bench.view(at, 3 * width), expected)).toBeLessThan(3e-7);
  });

  test('the exponential is within 2e-7 of the exact one, relatively, down to -87', () => {
    const bench = new Bench();
    for (let x = 0; x > -87; x -= 0.0137) {
      const at = bench.put([0, x]);
      bench.kernels.softmax(at, 1, 2);
      const [top, low] = Array.from(bench.view(at, 2)) as [number, number];
      const exact = Math.exp(Math.fround(x));
      expect(Math.abs(low / top - exact)).toBeLessThan(2e-7 * exact);
    }
  });

  test('below -87 the exponential is 0, without subnormal numbers', () => {
    const bench = new Bench();
    const at = bench.put([0, -87.01, -100, -3e38, Number.NEGATIVE_INFINITY, 0, 0, 0, -90]);
    bench.kernels.softmax(at, 1, 9);
    expect(Array.from(bench.view(at, 9))).toEqual([0.25, 0, 0, 0, 0, 0.25, 0.25, 0.25, 0]);
  });

  test.each([0, 4])('a NaN at %d stays NaN', (seat) => {
    const bench = new Bench();
    const at = bench.put(randomFloats(5, 1));
    bench.view(at, 5)[seat] = Number.NaN;
    bench.kernels.softmax(at, 1, 5);
    expect(bench.view(at, 5)[seat]).toBeNaN();
  });

  test('a very wide row of scores does not overflow', () => {
    const bench = new Bench();
    const at = bench.put([3e38, -3e38, 3e38, 0, 1e30]);
    bench.kernels.softmax(at, 1, 5);
    expect(Array.from(bench.view(at, 5)).map((p) => Number(p.toFixed(6)))).toEqual([0.5, 0, 0.5, 0, 0]);
  });
});

describe('elementwise', () => {
  test('gelu is within 3e-7 of the exact (erf) form on -10..10', () => {
    const bench = new Bench();
    const x = Float32Array.from({ length: 20003 }, (_, i) => (i - 10001) / 1000);
    const at = bench.put(x);
    bench.kernels.gelu(at, x.length);
    expect(distance(bench.view(at, x.length), Array.from(x, reference.gelu))).toBeLessThan(3e-7);
  });

  test('gelu is right at 0 and at the extremes', () => {
    const bench = new Bench();
    const at = bench.put([0, 50, -50, 1e30, -1e30]);
    bench.kernels.gelu(at, 5);
    expect(distance(bench.view(at, 5), [0, 50, 0, Math.fround(1e30), 0])).toBeLessThan(1e-37);
  });

  test('add works in place, with a remainder', () => {
    const bench = new Bench();
    const at = bench.put([1, 2, 3, 4, 5, 6, 7]);
    bench.kernels.add(at, bench.put([10, 20, 30, 40, 50, 60, 70]), at, 6);
    expect(Array.from(bench.view(at, 7))).toEqual([11, 22, 33, 44, 55, 66, 7]);
  });
});

describe('patches', () => {
  test('normalise looks every byte up in the table of its channel', () => {
    const bench = new Bench();
    const table = randomFloats(768, 1);
    const pixels = randomPixels(30, 2);
    const place = bench.room(8);
    new Uint8Array(bench.memory.buffer, place, 30).set(pixels);
    const out = bench.room(30);
    bench.kernels.normalise(place, bench.put(table), out, 10);
    expect(Array.from(bench.view(out, 30))).toEqual(Array.from(pixels, (p, i) => table[256 * (i % 3) + p]));
  });

  test('patches takes patches in reading order', () => {
    const bench = new Bench();
    const image = Array.from({ length: 4 * 4 * 3 }, (_, i) => i);
    const out = bench.room(48);
    bench.kernels.patches(bench.put(image), 4, 2, out);
    const pixel = (y: number, x: number) => [0, 1, 2].map((c) => (4 * y + x) * 3 + c);
    const patch = (y: number, x: number) => [
      ...pixel(y, x),
      ...pixel(y, x + 1),
      ...pixel(y + 1, x),
      ...pixel(y + 1, x + 1),
    ];
    expect(Array.from(bench.view(out, 48))).toEqual([
      ...patch(0, 0),
      ...patch(0, 2),
      ...patch(2, 0),
      ...patch(2, 2),
    ]);
  });
});

describe('reductions', () => {
  test.each([1, 3, 4, 5, 18])('min_max of %d elements', (count) => {
    for (let seat = 0; seat < count; seat++) {
      const bench = new Bench();
      const x = randomFloats(count, 5);
      x[seat] = -9;
      x[count - 1 - seat] = seat === count - 1 - seat ? -9 : 9;
      const out = bench.room(2);
      bench.kernels.min_max(bench.put(x), count, out);
      expect(Array.from(bench.view(out, 2))).toEqual([Math.min(...x), Math.max(...x)]);
    }
  });

  test.each([0, 4, 6])('min_max propagates a NaN at %d', (seat) => {
    const bench = new Bench();
    const x = randomFloats(7, 5);
    x[seat] = Number.NaN;
    const out = bench.room(2);
    bench.kernels.min_max(bench.put(x), 7, out);
    expect(Array.from(bench.view(out, 2))).toEqual([Number.NaN, Number.NaN]);
  });

  test.each([
    [1, 1],
    [7, 8],
    [300, 13],
  ])('moments of %d rows of %d columns are added above the diagonal', (rows, cols) => {
    const bench = new Bench();
    const padded = 8 * Math.ceil(cols / 8);
    const x = randomFloats(rows * cols, 6);
    const panels = bench.room(padded * rows, Number.NaN);
    const out = bench.room(padded ** 2, 42);
    bench.kernels.pack_columns(bench.put(x), cols, panels, cols, rows);
    bench.kernels.moments(panels, rows, cols, out);
    const found = bench.view(out, padded ** 2);
    for (let i = 0; i < cols; i++) {
      for (let j = i; j < cols; j++) {
        let sum = 42;
        for (let m = 0; m < rows; m++) sum += x[m * cols + i]! * x[m * cols + j]!;
        expect(Math.abs(found[i * padded + j]! - sum)).toBeLessThan(2e-7 * rows + 1e-5);
      }
    }
  });

  test('squared_error equals an example computed by hand', () => {
    const bench = new Bench();
    // s = 0.5, z = 2: codes 0..255 mean -1..126.5. Halves round to even codes: 0.25 -> 0, 0.75 -> 1
    const x = [-1, -3, 126.5, 130, 0.25, 0.75, 0.1];
    const errors = [0, 4, 0, 12.25, 0.0625, 0.0625, 0.01];
    const sum = errors.reduce((a, b) => a + b);
    expect(bench.kernels.squared_error(bench.put(x), 7, 0.5, 2, 255)).toBeCloseTo(sum, 6);
    // with codes up to 127 the largest value is 62.5
    expect(bench.kernels.squared_error(bench.put(x), 7, 0.5, 2, 127)).toBeCloseTo(
      sum - 12.25 + 64 ** 2 + 67.5 ** 2,
      6,
    );
  });

  test('quantize gives the values that squaredError compares with', () => {
    const bench = new Bench();
    const x = [-1, -3, 126.5, 130, 0.25, 0.75, 0.1, -0.25];
    const left = [-1, -1, 126.5, 126.5, 0, 1, 0, 0];
    for (const count of [8, 7, 3]) {
      const at = bench.put(x);
      bench.kernels.quantize(at, count, 0.5, 2, 255);
      // nothing changes after the count
      const found = Array.from(bench.view(at, 8), (value) => value + 0); // -0 is 0
      expect(found).toEqual([...left.slice(0, count), ...x.slice(count)].map(Math.fround));
    }
    const values = randomFloats(1001, 3, 20);
    const at = bench.put(values);
    const error = bench.kernels.squared_error(at, 1001, 0.07, 100, 127);
    bench.kernels.quantize(at, 1001, 0.07, 100, 127);
    const sum = values.reduce((total, value, i) => total + (value - bench.view(at, 1001)[i]!) ** 2, 0);
    expect(Math.abs(sum / error - 1)).toBeLessThan(1e-5);
  });

  test('squared_error sums in f64: 2^22 equal terms lose no precision', () => {
    const bench = new Bench();
    const count = 2 ** 21;
    const at = bench.room(count, 0.25);
    expect(bench.kernels.squared_error(at, count, 1, 0, 255)).toBe(count / 16);
  });

  test.each([1, 4, 7])('squared_error_channels of %d channels equals squared_error of each', (channels) => {
    const bench = new Bench();
    const rows = 9;
    const x = randomFloats(rows * channels, 3, 20);
    const sums = bench.scratch;
    new Float64Array(bench.memory.buffer, sums, channels).fill(0);
    bench.kernels.squared_error_channels(bench.put(x), rows, channels, 0.07, 100, sums);
    const each = Array.from({ length: channels }, (_, c) =>
      bench.kernels.squared_error(bench.put(x.filter((_, i) => i % channels === c)), rows, 0.07, 100, 255),
    );
    expect(distance(new Float64Array(bench.memory.buffer, sums, channels), each)).toBeLessThan(1e-9);
  });
});

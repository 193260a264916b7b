import { describe, expect, test } from '@jest/globals';
import { QuantizeError } from '../../../src/errors.js';
import { MomentSet, type Moments } from '../../../src/layers/linear/moments.js';
import { calibrate } from '../../../src/quantize/calibrate.js';
import { randomFloats, randomPixels, smallModel, smallSwin, wasm } from '../../forward/float/support.js';

/** The moments of batches of a tensor `[images, tokens, width]`. */
async function observed(pooled: number, shape: number[], ...batches: Float32Array[]): Promise<Moments> {
  const set = await MomentSet.create(pooled, wasm);
  for (const values of batches) set.observe({ name: 'x', values, shape, address: 0 });
  return set.moments().get('x')!;
}

/** Mean and covariance of rows that count as much as their weights say. */
function expected(rows: readonly Float32Array[], weights: readonly number[]) {
  const total = weights.reduce((a, b) => a + b);
  const width = rows[0]!.length;
  const average = (of: (row: Float32Array) => number) =>
    rows.reduce((sum, row, m) => sum + weights[m]! * of(row), 0) / total;
  const mean = Array.from({ length: width }, (_, i) => average((row) => row[i]!));
  const covariance = (i: number, j: number) => average((row) => row[i]! * row[j]!) - mean[i]! * mean[j]!;
  return { mean, covariance };
}

function expectMoments(found: Moments, { mean, covariance }: ReturnType<typeof expected>): void {
  const width = mean.length;
  const square = found.covariance();
  for (let i = 0; i < width; i++) {
    expect(found.mean[i]!).toBeCloseTo(mean[i]!, 9);
    for (let j = i; j < width; j++) expect(square[i * width + j]!).toBeCloseTo(covariance(i, j), 5);
  }
}

const rowsOf = (values: Float32Array, width: number) =>
  Array.from({ length: values.length / width }, (_, m) => values.subarray(m * width, (m + 1) * width));

describe('mean and covariance', () => {
  test.each([3, 8, 21])('covers all rows of a Swin if they are few; %d channels', async (width) => {
    const batches = [1, 2].map((seed) => randomFloats(2 * 150 * width, seed));
    const found = await observed(0, [2, 150, width], ...batches);
    const rows = batches.flatMap((values) => rowsOf(values, width));
    expectMoments(
      found,
      expected(
        rows,
        rows.map(() => 1),
      ),
    );
  });

  test('gives the class token of a DeiT the weight 0.3', async () => {
    const values = randomFloats(4 * 5 * 6, 3);
    const found = await observed(1, [4, 5, 6], values);
    const rows = rowsOf(values, 6);
    const weights = rows.map((_, m) => (m % 5 === 0 ? 0.3 / 4 : 0.7 / 16));
    expectMoments(found, expected(rows, weights));
  });

  test('samples every position if rows are many', async () => {
    // 3136 rows: every fourth, but 49 tokens and 4 have no common divisor. Each row tells its
    // position in its window.
    const values = Float32Array.from({ length: 64 * 49 * 49 }, (_, i) =>
      Math.floor(i / 49) % 49 === i % 49 ? 1 : 0,
    );
    const { mean } = await observed(0, [64, 49, 49], values);
    for (const share of mean) expect(share).toBeCloseTo(1 / 49, 2);
  });
});

describe('in a calibration', () => {
  const images = [1, 2, 3].map((seed) => randomPixels(12 * 12 * 3, seed));
  const run = { observer: 'minmax', ptf: true, wasm, batchSize: 2 } as const;

  test('covers the input of every layer in the blocks, equal for equal images', async () => {
    const { moments, quantizers } = await calibrate(smallModel(), images, 3, { ...run, moments: true });
    const inputs = ['norm1.out', 'attn.context', 'norm2.out', 'mlp.gelu.out'];
    const blocks = Array.from({ length: smallModel().architecture.depth as number }, (_, i) => `blocks.${i}`);
    const expected = blocks.flatMap((block) => inputs.map((input) => `${block}.${input}`));
    expect([...moments.keys()]).toEqual(expected);
    const again = await calibrate(smallModel(), images, 3, { ...run, moments: true });
    for (const [name, one] of moments) {
      expect(again.moments.get(name)!.covariance()).toEqual(one.covariance());
    }
    const plain = await calibrate(smallModel(), images, 3, run);
    expect(plain.quantizers).toEqual(quantizers);
    expect(plain.moments.size).toBe(0);
  });

  test("covers a Swin's merges too", async () => {
    const pictures = [1, 2].map((seed) => randomPixels(24 * 24 * 3, seed));
    const { moments } = await calibrate(smallSwin(), pictures, 2, { ...run, moments: true });
    expect([...moments.keys()].some((name) => name.endsWith('.downsample.norm.out'))).toBe(true);
  });
});

test('refuses squares beyond f32', async () => {
  const set = await MomentSet.create(0, wasm);
  set.observe({ name: 'blocks.0.norm1.out', values: Float32Array.of(1e20, 1), shape: [1, 1, 2], address: 0 });
  const read = () => set.moments();
  expect(read).toThrow(QuantizeError);
  expect(read).toThrow(/^blocks\.0\.norm1\.out: expected values of finite squares/);
});

import { expect, test } from '@jest/globals';
import { drawOrder } from '../../src/quantize/draw.js';

const twelve = Array.from({ length: 12 }, (_, i) => i);

// The seed of a checkpoint names its calibration images, so these orders must never change.
test.each([
  [0, [3, 7, 0, 1, 11, 5, 10, 4, 9, 6, 8, 2]],
  [1, [1, 9, 2, 6, 5, 0, 4, 3, 8, 10, 11, 7]],
  [2 ** 32 - 1, [2, 4, 0, 5, 1, 6, 9, 7, 10, 8, 3, 11]],
])('seed %d gives a fixed order', (seed, order) => {
  expect(drawOrder(twelve, seed)).toEqual(order);
});

test('is a permutation and does not change its argument', () => {
  const items = Array.from({ length: 1000 }, (_, i) => `image ${i}`);
  const before = [...items];
  const order = drawOrder(items, 7);
  expect(items).toEqual(before);
  expect(order).not.toEqual(before);
  expect([...order].sort()).toEqual([...before].sort());
});

test('empty and single-item lists', () => {
  expect(drawOrder([], 1)).toEqual([]);
  expect(drawOrder(['a'], 1)).toEqual(['a']);
});

test('every seed has its own order', () => {
  const orders = Array.from({ length: 200 }, (_, seed) => drawOrder(twelve, seed).join());
  expect(new Set(orders).size).toBe(200);
});

test('every item comes first about equally often', () => {
  const counts = new Array<number>(8).fill(0);
  for (let seed = 0; seed < 4000; seed++) counts[drawOrder([0, 1, 2, 3, 4, 5, 6, 7], seed)[0]!]!++;
  // 500 expected, standard deviation 21
  for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(105);
});

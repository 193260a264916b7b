import { expect, test } from '@jest/globals';
import { thumbnail } from '../../../src/cli/report-page/thumbnail.js';
import { decodeImage } from '../../../src/image/decode.js';

/** Red on the left, blue on the right. */
function halves(side: number): Uint8Array {
  const data = new Uint8Array(3 * side ** 2);
  for (let i = 0; i < side ** 2; i++) data[3 * i + (i % side < side / 2 ? 0 : 2)] = 255;
  return data;
}

test.each([
  [224, 96],
  [32, 32],
])('a picture of side %i has a thumbnail of side %i, in its colours', async (side, expected) => {
  const url = await thumbnail(halves(side), side);
  expect(url).toMatch(/^data:image\/jpeg;base64,/);
  const bytes = new Uint8Array(Buffer.from(url.slice(url.indexOf(',') + 1), 'base64'));
  const { width, height, data } = await decodeImage(bytes, { file: 'thumbnail' });
  expect([width, height]).toEqual([expected, expected]);
  const at = (x: number) => [...data.subarray(3 * x, 3 * x + 3)];
  const [left, right] = [at(2), at(expected - 3)];
  expect(left[0]! - left[2]!).toBeGreaterThan(200);
  expect(right[2]! - right[0]!).toBeGreaterThan(200);
});

test('the same pixels give the same bytes', async () => {
  expect(await thumbnail(halves(64), 64)).toBe(await thumbnail(halves(64), 64));
});

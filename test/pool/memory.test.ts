import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { createPool as createSourcePool, Pool } from '../../src/pool/index.js';
import { tinyIntegerFile } from '../support/tiny-integer.js';

// Workers run built files: so does the pool that starts them.
const { createPool } = (await import(new URL('../../dist/pool/index.js', import.meta.url).href)) as {
  createPool: typeof createSourcePool;
};
const { losslessWebp } = (await import(
  new URL('../../bench/attacks/worst-images.mjs', import.meta.url).href
)) as { losslessWebp(width: number, height: number): Uint8Array };

const MIB = 2 ** 20;
/** Takes 145 MiB: the pool has memory for one at a time. */
const large = losslessWebp(3200, 3200);
const small = losslessWebp(40, 40);

let pool: Pool;
beforeAll(async () => {
  pool = await createPool(tinyIntegerFile(), { workers: 2, imageMemory: 160 * MIB });
});
afterAll(() => pool.dispose());

test('large images wait for each other, and small ones for neither: all have their answers', async () => {
  const expected = await pool.codes(small);
  const all = [large, small, large, small, large, small, large].map((image) => pool.codes(image));
  for (const codes of await Promise.all(all)) expect(codes).toEqual(expected);
});

test('what can never fit is refused at once, by what it takes', async () => {
  await expect(pool.codes(losslessWebp(4000, 4000))).rejects.toMatchObject({
    code: 'IMAGE_TOO_LARGE',
    message: expect.stringMatching(
      /: expected an image that needs at most 160 MiB to decode, found 4000×4000 pixels that need 1[89]\d MiB$/,
    ),
  });
});

test('a worker that ends while its image has memory does not keep it', async () => {
  await expect(pool.codes(large, { limitMs: 50 })).rejects.toMatchObject({ code: 'POOL_LIMIT' });
  await expect(pool.codes(large, { limitMs: 50 })).rejects.toMatchObject({ code: 'POOL_LIMIT' });
  expect(await pool.codes(large)).toEqual(await pool.codes(small));
});

test('an image that waits for memory can be aborted, and lets the others in', async () => {
  const first = pool.codes(large);
  const stop = new AbortController();
  const second = pool.codes(large, { signal: stop.signal });
  const third = pool.codes(large);
  setTimeout(() => stop.abort(new Error('enough')), 20);
  await expect(second).rejects.toThrow('enough');
  expect(await third).toEqual(await first);
});

test.each([0, 1.5, '1GiB', Number.POSITIVE_INFINITY])('imageMemory %p', async (imageMemory) => {
  const making = createPool(tinyIntegerFile(), { workers: 1, imageMemory: imageMemory as number });
  await expect(making).rejects.toMatchObject({ code: 'IMAGE_MEMORY' });
});

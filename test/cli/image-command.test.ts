import { expect, jest, test } from '@jest/globals';
import { macsOf } from '../../src/architecture/limits.js';
import { classifyInTime, imageTimeout } from '../../src/cli/image-command.js';
import { ImageError, RuntimeError, UsageError } from '../../src/errors.js';
import type { Pool } from '../../src/pool/index.js';
import { refusal } from '../support/refusal.js';

/** A pool of a DeiT with this many blocks, which answers with `classify`. */
function pool(depth: number, classify: () => Promise<never[]>) {
  const sizes = { imageSize: 224, patchSize: 16, dim: 1024, heads: 16, mlpDim: 4096, classes: 1000 };
  const spy = jest.fn(classify);
  const info = { macs: macsOf({ family: 'deit', name: 'deit', depth, ...sizes }) };
  return { pool: { info, classify: spy } as unknown as Pool, spy };
}

test('a larger model has more time, unless the user sets it', async () => {
  const limits = [1, 24, 240].map(async (depth) => {
    const { pool: some, spy } = pool(depth, async () => []);
    await classifyInTime(some)('a.jpg', { top: 1 });
    return spy.mock.calls[0];
  });
  const limit = (limitMs: number) => ['a.jpg', { top: 1, limitMs }];
  expect(await Promise.all(limits)).toEqual([limit(60_000), limit(75_000), limit(215_000)]);
  const { pool: some, spy } = pool(24, async () => []);
  await classifyInTime(some, imageTimeout('2'))('a.jpg', {});
  expect(spy.mock.calls).toEqual([['a.jpg', { limitMs: 2000 }]]);
});

test('a slow image is refused by name; other errors stay as they are', async () => {
  const late = pool(1, async () => {
    throw new RuntimeError('POOL_LIMIT', 'pool: none after 7000 ms');
  });
  const message = await refusal(
    classifyInTime(late.pool, 7)('https://example.org/a.jpg?secret', {}),
    ImageError,
    'IMAGE_TIME',
  );
  expect(message).toBe('https://example.org/a.jpg: expected an answer within 7 s, found none');
  const ended = pool(1, async () => {
    throw new RuntimeError('POOL', 'pool: its end');
  });
  await refusal(classifyInTime(ended.pool)('a.jpg', {}), RuntimeError, 'POOL');
});

test.each(['0', '1.5', '86401', 'x'])('--image-timeout %s is refused', async (text) => {
  const given = Promise.resolve(text).then(imageTimeout);
  expect(await refusal(given, UsageError, 'OPTION')).toMatch(
    /^option --image-timeout: expected an integer from 1 to 86400, found /,
  );
});

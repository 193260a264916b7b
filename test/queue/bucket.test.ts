import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openBucket } from '../../src/queue/bucket.js';
import { serve } from '../support/loopback.js';

const before = { ...process.env };
beforeAll(() => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 's3cret',
    AWS_REGION: 'us-east-1',
  });
});
afterAll(() => {
  process.env = before;
});

async function put(answer: (response: ServerResponse) => void): Promise<void> {
  const server = await serve((request, response) => {
    request.resume();
    answer(response);
  });
  process.env.AWS_ENDPOINT_URL_S3 = server.url;
  try {
    await openBucket('s3://bucket/p', process.env).write('a.jsonl', Buffer.from('x\n'));
  } finally {
    server.close();
  }
}

test('a part is written', async () => {
  await put((response) => response.end());
});

test('an answer without an end is left', async () => {
  const endless = (response: ServerResponse) => {
    response.writeHead(403);
    const more = () => {
      while (!response.destroyed && response.write('a'.repeat(2 ** 16)));
    };
    response.on('drain', more);
    more();
  };
  await expect(put(endless)).rejects.toMatchObject({
    code: 'OUTPUT',
    message: 's3://bucket/p/a.jsonl: expected to be written, found Error (status 403)',
  });
});

test.each([
  ['u:s3cret@h', 'something else'],
  ['http://u:s3cret@h', 'one with a user name or password'],
  ['http://h/?s3cret', 'one with "?" or "#"'],
])('an endpoint that is none: %s', (AWS_ENDPOINT_URL, found) => {
  expect(() => openBucket('s3://bucket', { AWS_ENDPOINT_URL })).toThrow(
    `AWS_ENDPOINT_URL: expected an http or https address, found ${found}`,
  );
});

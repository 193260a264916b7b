import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { fetchImage, isPublic } from '../../src/serve/fetch-image.js';
import { serve } from '../support/loopback.js';

test.each([
  ['8.8.8.8', true],
  ['1.1.1.1', true],
  ['2606:4700:4700::1111', true],
  ['2a00:1450::1', true],
  ['127.0.0.1', false],
  ['127.255.255.255', false],
  ['0.0.0.0', false],
  ['10.1.2.3', false],
  ['100.64.0.1', false],
  ['169.254.169.254', false],
  ['172.16.0.1', false],
  ['172.31.255.255', false],
  ['172.32.0.1', true],
  ['192.168.1.1', false],
  ['198.18.0.1', false],
  ['224.0.0.1', false],
  ['255.255.255.255', false],
  ['::', false],
  ['::1', false],
  ['::ffff:127.0.0.1', false],
  ['::ffff:8.8.8.8', false],
  ['64:ff9b::7f00:1', false],
  ['2002:7f00:1::', false],
  ['2001:0:4136::1', false],
  ['2001:db8::1', false],
  ['fc00::1', false],
  ['fd12:3456::1', false],
  ['fe80::1', false],
  ['fe80::1%eth0', false],
  ['ff02::1', false],
  ['example.com', false],
  ['', false],
])('%s is public: %s', (address, expected) => {
  expect(isPublic(address)).toBe(expected);
});

const signal = AbortSignal.timeout(20_000);
const limits = { maxBytes: 1000, signal };
const everything = () => true;

/** What tells nothing of a network. */
const NO_ANSWER = { status: 422, code: 'URL_ANSWER', message: 'url: expected an image, found no answer' };

describe('from a server', () => {
  let close = () => {};
  afterEach(() => close());

  async function from(listener: RequestListener): Promise<URL> {
    const server = await serve(listener);
    close = server.close;
    return new URL(server.url);
  }

  test('the bytes, behind a redirection', async () => {
    const url = await from((request, response) => {
      if (request.url === '/b') response.end('photo');
      else response.writeHead(302, { location: '/b' }).end();
    });
    expect(Buffer.from(await fetchImage(new URL('/a', url), limits, everything)).toString()).toBe('photo');
  });

  test.each([
    ['a private address', 'http://127.0.0.1', {}],
    ['one in brackets', 'http://[::1]', {}],
    ['a number', 'http://2130706433', {}],
    ['hexadecimal', 'http://0x7f.1', {}],
  ])('%s is never asked', async (_, host) => {
    let asked = 0;
    const { port } = await from((_request, response) => {
      asked++;
      response.end('secret');
    });
    await expect(fetchImage(new URL(`${host}:${port}/`), limits)).rejects.toMatchObject({
      status: 403,
      code: 'URL_PRIVATE',
    });
    expect(asked).toBe(0);
  });

  test('a name of this machine is never asked, and is one that nobody has', async () => {
    let asked = 0;
    const { port } = await from((_request, response) => {
      asked++;
      response.end('secret');
    });
    const refusals = [`http://localhost:${port}/`, 'http://nowhere.invalid/'].map(async (address) => {
      const start = performance.now();
      const error = await fetchImage(new URL(address), limits).catch((error: unknown) => error);
      return { error, ms: performance.now() - start };
    });
    for (const { error, ms } of await Promise.all(refusals)) {
      expect(error).toMatchObject(NO_ANSWER);
      expect(ms).toBeGreaterThan(490);
    }
    expect(asked).toBe(0);
  });

  test('nor behind a redirection', async () => {
    const paths: string[] = [];
    const url = await from((request, response) => {
      paths.push(request.url!);
      response.writeHead(302, { location: 'http://127.0.0.2:9/' }).end();
    });
    const isAllowed = (address: string) => address === url.hostname;
    await expect(fetchImage(url, limits, isAllowed)).rejects.toMatchObject(NO_ANSWER);
    expect(paths).toEqual(['/']);
  });

  test.each<[string, RequestListener, string, RegExp]>([
    ['another status', (_, response) => response.writeHead(404).end(), 'URL_ANSWER', /found status 404/],
    [
      'redirections without an end',
      (_, response) => response.writeHead(301, { location: '/' }).end(),
      'URL_ANSWER',
      /more than 3 redirections/,
    ],
    [
      'a redirection to a file',
      (_, response) => response.writeHead(301, { location: 'file:///etc/passwd' }).end(),
      'URL_ANSWER',
      /no address of http/,
    ],
    [
      'a redirection to nonsense',
      (_, response) => response.writeHead(301, { location: 'http://[' }).end(),
      'URL_ANSWER',
      /no address of http/,
    ],
    ['a long body', (_, response) => response.end('x'.repeat(1001)), 'URL_TOO_LARGE', /at most 1000 bytes/],
    [
      'a body that is cut',
      (_, response) => {
        response.writeHead(200, { 'content-length': 10 }).write('x', () => response.destroy());
      },
      'URL_ANSWER',
      /a part of its body/,
    ],
    [
      'another protocol',
      (request) =>
        request.socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
      'URL_ANSWER',
      /found no answer$/,
    ],
    ['no answer', (request) => request.socket.destroy(), 'URL_ANSWER', /found no answer$/],
  ])('%s', async (_, listener, code, detail) => {
    const url = await from(listener);
    const refusal = { status: 422, code, message: expect.stringMatching(detail) };
    await expect(fetchImage(url, limits, everything)).rejects.toMatchObject(refusal);
  });

  test('an endless answer ends with the time of the request', async () => {
    const url = await from((_, response) => response.writeHead(200).write('x'));
    const late = { maxBytes: 1000, signal: AbortSignal.timeout(50) };
    await expect(fetchImage(url, late, everything)).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

test('the bytes are counted as they come, and end where there is no room for them', async () => {
  const { url, close } = await serve((_, response) => response.end('x'.repeat(500)));
  let bytes = 0;
  const take = (more: number) => {
    bytes += more;
    if (bytes > 600) throw new Error('no room');
  };
  await fetchImage(new URL(url), { ...limits, take }, everything);
  expect(bytes).toBe(500);
  await expect(fetchImage(new URL(url), { ...limits, take }, everything)).rejects.toThrow();
  close();
});

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { readBytes } from '../../src/platform/bytes.js';
import { proxyFor } from '../../src/platform/proxy.js';
import { serve } from '../support/loopback.js';

const PROXIES = { HTTP_PROXY: 'http://plain:1', HTTPS_PROXY: 'http://secure:2' };

test.each([
  ['http://h/', PROXIES, 'http://plain:1'],
  ['https://h/', PROXIES, 'http://secure:2'],
  ['https://h/', { HTTP_PROXY: 'http://plain:1' }, undefined],
  ['http://h/', { http_proxy: 'http://lower:1', HTTP_PROXY: 'http://upper:1' }, 'http://lower:1'],
  ['http://h/', { http_proxy: '', HTTP_PROXY: 'http://upper:1' }, 'http://upper:1'],
  ['http://h/', { HTTP_PROXY: 'h.example:3128' }, 'http://h.example:3128'],
  ['http://h/', { HTTP_PROXY: ' https://h.example/ ' }, 'https://h.example'],
  ['data:,a', PROXIES, undefined],
] as const)('%s with %j goes by %s', (url, env, proxy) => {
  expect(proxyFor(new URL(url), env)?.url).toBe(proxy);
});

test.each([
  ['h.example', '*', true],
  ['h.example', 'h.example', true],
  ['H.example', 'other, H.EXAMPLE', true],
  ['a.h.example', 'h.example', true],
  ['a.h.example', '.h.example', true],
  ['a.h.example', '*.h.example', true],
  ['nh.example', 'h.example', false],
  ['h.example', 'h.example:80', true],
  ['h.example', 'h.example:443', false],
  ['h.example:8080', 'h.example:8080 x', true],
  ['h.example', '', false],
  ['127.0.0.1', '127.0.0.1', true],
  ['127.0.0.1', '0.0.1', false],
  ['10.1.2.3', '10.0.0.0/8', true],
  ['11.1.2.3', '10.0.0.0/8', false],
  ['h.example', '10.0.0.0/8', false],
  ['[::1]', '::1', true],
  ['[::1]:8080', '[::1]:8080', true],
  ['[::1]', '[::1]:8080', false],
  ['[fd00::1]', 'fd00::/8', true],
])('%s with NO_PROXY=%s goes past the proxy: %s', (host, NO_PROXY, isDirect) => {
  expect(proxyFor(new URL(`http://${host}/`), { ...PROXIES, NO_PROXY }) === undefined).toBe(isDirect);
});

test.each([
  [{ HTTP_PROXY: 'socks5://me:s3cret@h:1' }, 'HTTP_PROXY: expected .*, found a SOCKS proxy'],
  [{ http_proxy: 'ftp://me:s3cret@h' }, 'http_proxy: expected http://HOST:PORT or .*, found something else'],
  [{ HTTP_PROXY: 'http://me:s3cret@h:99999' }, 'HTTP_PROXY: expected .*, found something else'],
  [{ HTTP_PROXY: 'http://me:s3c/ret@h' }, 'HTTP_PROXY: expected .*, found something else'],
  [{ HTTP_PROXY: 'http://h/?s3cret' }, 'HTTP_PROXY: expected .*, found one with a path'],
  [{ HTTP_PROXY: 'http://me:s3cret%@h' }, 'HTTP_PROXY: expected .*, found a user or password with "%"'],
  [{ ...PROXIES, NO_PROXY: 's3cret/99' }, 'NO_PROXY: expected hosts and blocks'],
])('%j is refused, and not repeated', (env, message) => {
  const found = (() => {
    try {
      return proxyFor(new URL('http://a/'), env);
    } catch (error) {
      return error as Error & { code: string };
    }
  })() as Error & { code: string };
  expect(found.code).toBe('PROXY');
  expect(found.message).toMatch(new RegExp(`^${message}`));
  expect(found.message).not.toMatch(/s3c/);
});

const env = { ...process.env };
afterEach(() => {
  process.env = { ...env };
});

test('a request goes through the proxy, with its user and password, and past it where NO_PROXY says so', async () => {
  const asked: string[] = [];
  const proxy = await serve((request, response) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization']}`);
    response.end('by the proxy');
  });
  const server = await serve((request, response) => {
    if (request.url === '/redirect') response.writeHead(302, { location: 'http://nowhere.invalid/b' });
    response.end('direct');
  });
  process.env.HTTP_PROXY = proxy.url.replace('//', '//me:s3%20cret@');
  process.env.NO_PROXY = '127.0.0.1';
  const text = async (url: string) => new TextDecoder().decode((await readBytes(url)).bytes);
  expect(await text('http://nowhere.invalid/a?b')).toBe('by the proxy');
  expect(await text(`${server.url}/c`)).toBe('direct');
  expect(await text(`${server.url}/redirect`)).toBe('by the proxy');
  const authorization = `Basic ${Buffer.from('me:s3 cret').toString('base64')}`;
  expect(asked).toEqual([
    `http://nowhere.invalid/a?b ${authorization}`,
    `http://nowhere.invalid/b ${authorization}`,
  ]);
  proxy.close();
  server.close();
});

test('https goes through a tunnel; what the proxy refuses is said with the name of the variable', async () => {
  const asked: string[] = [];
  const proxy = createServer().on('connect', (request, socket) => {
    asked.push(request.url!);
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  process.env.HTTPS_PROXY = `http://me:s3cret@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const reading = readBytes('https://nowhere.invalid/a?s3cret');
  await expect(reading).rejects.toMatchObject({
    code: 'SOURCE',
    message: expect.stringMatching(
      /^https:\/\/nowhere\.invalid\/a: expected an answer, found status 407 through the proxy of HTTPS_PROXY$/,
    ),
  });
  expect(asked).toEqual(['nowhere.invalid:443']);
  proxy.close();

  process.env.HTTPS_PROXY = 'socks5://me:s3cret@127.0.0.1';
  await expect(readBytes('https://nowhere.invalid/a')).rejects.toMatchObject({ code: 'PROXY' });
});

import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readBytes } from '../../src/platform/bytes.js';
import { serve } from '../support/loopback.js';

/** Takes connections and says nothing. */
const sockets: Socket[] = [];
const silent = createServer((socket) => {
  sockets.push(socket.on('error', () => {}));
});
let host: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
});
afterAll(() => {
  silent.close();
  for (const socket of sockets) socket.destroy();
});

test.each(['http', 'https'])('a server that takes the connection and says nothing: %s', async (scheme) => {
  await expect(readBytes(`${scheme}://${host}/a?s3cret`, { silenceMs: 100 })).rejects.toMatchObject({
    code: 'SOURCE',
    message: `${scheme}://${host}/a: expected an answer, found nothing for 0.1 s`,
  });
});

test('a server that stops in the middle; one that goes on slowly is waited for', async () => {
  const server = await serve((request, response) => {
    response.writeHead(200, { 'content-length': 10 }).write('12345');
    if (request.url?.startsWith('/stops')) return;
    for (let i = 1; i <= 5; i++) setTimeout(() => response.write('6'), 60 * i);
  });
  await expect(readBytes(`${server.url}/stops?s3cret`, { silenceMs: 300 })).rejects.toMatchObject({
    code: 'SOURCE',
    message: `${server.url}/stops: expected 10 bytes, found 5 and then nothing for 0.3 s`,
  });
  const { bytes } = await readBytes(`${server.url}/slow`, { silenceMs: 300 });
  expect(new TextDecoder().decode(bytes)).toBe('1234566666');
  server.close();
});

test('a server that sends a byte now and then without an end', async () => {
  const server = await serve((_, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('a'), 20);
    response.once('close', () => clearInterval(timer));
  });
  await expect(readBytes(`${server.url}/a?s3cret`, { silenceMs: 100 })).rejects.toMatchObject({
    code: 'SOURCE',
    message: expect.stringMatching(
      /^http:\/\/[\d.:]+\/a: expected all bytes, found \d+ and then less than 1 kB\/s$/,
    ),
  });
  server.close();
});

test('a part that nobody asked for', async () => {
  const server = await serve((_, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-4/10' }).end('12345');
  });
  await expect(readBytes(`${server.url}/a`)).rejects.toMatchObject({
    message: `${server.url}/a: expected status 200, found 206`,
  });
  server.close();
});

test('user and password are refused and not repeated; a query is sent and not repeated', async () => {
  await expect(readBytes(`http://me:s3cret@${host}/a`)).rejects.toMatchObject({
    code: 'SOURCE',
    message: `http://${host}/a: expected an address without user and password, found one with them`,
  });
  const asked: (string | undefined)[] = [];
  const server = await serve((request, response) => {
    asked.push(request.url);
    response.writeHead(403).end();
  });
  await expect(readBytes(`${server.url}/a?s3cret`)).rejects.toMatchObject({
    message: `${server.url}/a: expected status 200, found 403`,
  });
  const response = await fetch(`${server.url}/b?s3cret`);
  await expect(readBytes(response)).rejects.toMatchObject({
    message: `${server.url}/b: expected status 200, found 403`,
  });
  expect(asked).toEqual(['/a?s3cret', '/b?s3cret']);
  server.close();
});

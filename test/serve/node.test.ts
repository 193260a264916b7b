import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type Listening, type ListenOptions, listen } from '../../src/serve/node.js';

const servers: Listening[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.stop(0);
});

/**
 * `/body` reads the body, `/wait` never answers, `/refuse` answers 413 at once, `/long` with 4 MB,
 * others with their path.
 */
const app = {
  async fetch(request: Request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/body') return new Response(String((await request.arrayBuffer()).byteLength));
    if (pathname === '/wait') await new Promise(() => {});
    if (pathname === '/refuse') return new Response('refused', { status: 413 });
    if (pathname === '/long') return new Response('x'.repeat(4e6));
    return new Response(pathname);
  },
};

async function started(options: Partial<ListenOptions> = {}) {
  const server = await listen(app, {
    port: 0,
    host: '127.0.0.1',
    timeoutMs: 30_000,
    maxConnections: 100,
    ...options,
  });
  servers.push(server);
  return server;
}

/** A connection that stays open from this side, and what came over it. */
function opened({ url }: Listening, bytes = '') {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(socket);
  const one = {
    socket,
    text: '',
    /** Both sides. */
    closed: new Promise<void>((resolve) => socket.on('error', () => {}).once('close', () => resolve())),
    /** The server's side, which may also reset the connection. */
    ended: new Promise<void>((resolve) => socket.once('end', resolve).once('close', () => resolve())),
  };
  socket.setEncoding('latin1').on('data', (text: string) => {
    one.text += text;
  });
  socket.write(bytes);
  return one;
}

const post = (path: string, head: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`;
const GET = 'GET /good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const good = async (server: Listening) => (await (await fetch(`${server.url}/good`)).text()) === '/good';

test('after its last answer a connection ends within a second or two, whatever it still sends', async () => {
  const server = await started();
  const lasts: [bytes: string, status: number][] = [
    [post('/refuse', 'Content-Length: 100000'), 413],
    [`${post('/refuse', 'Transfer-Encoding: chunked')}1\r\nx\r\n`, 413],
    ['hello\r\n\r\n', 400],
    [post('/body', 'Content-Length: 3\r\nTransfer-Encoding: chunked'), 400],
    [`GET /${'a'.repeat(20_000)}`, 431],
    [GET, 200],
  ];
  const start = performance.now();
  await Promise.all(
    lasts.map(async ([bytes, status]) => {
      const one = opened(server, bytes);
      // not before: it would be a damaged request of its own
      const timer = setInterval(() => one.text === '' || one.socket.write('x'), 20);
      await one.closed;
      clearInterval(timer);
      expect(one.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(one.text.toLowerCase()).toContain('connection: close');
    }),
  );
  expect(performance.now() - start).toBeLessThan(10_000);
});

describe('where all connections are taken, the next gets the place of', () => {
  test.each([
    ['one that sends nothing', ''],
    ['one that sends a part of a head', 'GET / HTTP/1.1\r\na'],
    ['one between two requests', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['one that has its last answer', 'hello\r\n\r\n'],
  ])('%s', async (_, bytes) => {
    const server = await started({ maxConnections: 4 });
    const taken = Array.from({ length: 4 }, () => opened(server, bytes));
    await Promise.all(taken.map(({ socket }) => once(socket, 'connect')));
    expect(await good(server)).toBe(true);
    await taken[0]!.ended;
    expect(taken[3]!.socket.destroyed).toBe(false);
  });

  test('one that does not take its answer', async () => {
    const server = await started({ maxConnections: 2 });
    const [deaf, busy] = [opened(server), opened(server, post('/wait', 'Content-Length: 0'))];
    deaf!.socket.pause();
    deaf!.socket.write('GET /long HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await good(server)).toBe(true);
    expect(busy!.socket.destroyed).toBe(false);
    deaf!.socket.resume();
    await deaf!.ended;
    expect(deaf!.text.length).toBeLessThan(4e6);
  });

  test('none that waits for an answer', async () => {
    const server = await started({ maxConnections: 2 });
    const taken = [1, 2].map(() => opened(server, post('/wait', 'Content-Length: 0')));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await expect(good(server)).rejects.toThrow();
    expect(taken.map(({ socket }) => socket.destroyed)).toEqual([false, false]);
  });
});

test('requests that are sent at once are answered in their order', async () => {
  const paths = Array.from({ length: 50 }, (_, i) => `/${i}`);
  const one = opened(
    await started(),
    paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join('') + GET,
  );
  await once(one.socket, 'end');
  expect(one.text.match(/\r\n\r\n\/(\d+|good)/g)).toEqual(
    [...paths, '/good'].map((path) => `\r\n\r\n${path}`),
  );
});

describe('a client that waits for 100 Continue', () => {
  test('gets it when its body is read', async () => {
    const one = opened(await started(), post('/body', 'Content-Length: 3\r\nExpect: 100-continue'));
    await until(() => one.text === 'HTTP/1.1 100 Continue\r\n\r\n');
    one.socket.write('abc');
    await until(() => one.text.endsWith('\r\n\r\n3'));
  });

  test('is refused without it', async () => {
    const one = opened(await started(), post('/refuse', 'Content-Length: 3\r\nExpect: 100-continue'));
    await once(one.socket, 'end');
    expect(one.text).toMatch(/^HTTP\/1\.1 413 /);
    expect(one.text).not.toContain('100 Continue');
  });
});

describe('chunks', () => {
  const chunked = (data: string, size: number) => {
    let text = '';
    for (let at = 0; at < data.length; at += size) {
      const part = data.slice(at, at + size);
      text += `${part.length.toString(16)}\r\n${part}\r\n`;
    }
    return `${post('/body', 'Transfer-Encoding: chunked\r\nConnection: close')}${text}0\r\n\r\n`;
  };

  test.each([
    [1, 4000],
    [20, 500_000],
    [1000, 500_000],
    [5000, 500_000],
  ])('of %d bytes give the body', async (size, length) => {
    const one = opened(await started(), chunked('x'.repeat(length), size));
    await once(one.socket, 'end');
    expect(one.text).toMatch(new RegExp(`^HTTP/1.1 200 [^]*\r\n\r\n${length}$`));
  });

  test('by the thousand of one byte each are cut', async () => {
    const one = opened(await started(), chunked('x'.repeat(100_000), 1));
    await one.closed;
    expect(one.text).toBe('');
  });

  test('that come slowly are handed on as they come', async () => {
    const one = opened(await started(), post('/body', 'Transfer-Encoding: chunked'));
    for (const part of ['1\r\na\r\n', '2\r\nbc\r\n', '0\r\n\r\n']) {
      one.socket.write(part);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await until(() => one.text.endsWith('\r\n\r\n3'));
  });
});

test('a stop waits for nobody but those who sent a whole request', async () => {
  const server = await started();
  const idle = ['', 'GET / HTTP/1.1\r\na', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'hello\r\n\r\n'].map(
    (bytes) => opened(server, bytes),
  );
  const silent = opened(server, post('/body', 'Content-Length: 100'));
  const deaf = opened(server);
  deaf.socket.pause();
  deaf.socket.write('GET /long HTTP/1.1\r\nHost: a\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const start = performance.now();
  await server.stop(20_000);
  expect(performance.now() - start).toBeLessThan(5000);
  await Promise.all([...idle, silent].map(({ ended }) => ended));
});

test('a stop waits for a request that is there as a whole, as long as it may', async () => {
  const server = await started();
  const waits = opened(server, post('/wait', 'Content-Length: 0'));
  await new Promise((resolve) => setTimeout(resolve, 500));
  let hasStopped = false;
  const stopped = server.stop(1500).then(() => {
    hasStopped = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(hasStopped).toBe(false);
  await stopped;
  await waits.ended;
});

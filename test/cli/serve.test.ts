import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { load } from '../../src/index.js';
import { ihdr, png, pngChunk } from '../image/support.js';
import { fqvit } from './support.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const photo = readFileSync(new URL('../../examples/chelsea.png', import.meta.url));

interface Started {
  url: string;
  child: ChildProcess;
  /** JSON lines so far. */
  logs: () => Record<string, unknown>[];
  ended: Promise<number | null>;
}

async function started(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Started> {
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--workers', '2', ...args], {
    env: { ...process.env, ...env },
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  let stderr = '';
  for await (const text of child.stderr.setEncoding('utf8')) {
    stderr += text;
    const url = / at (http:\S+)\n/.exec(stderr)?.[1];
    if (url === undefined) continue;
    const logs = () =>
      stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    return { url, child, logs, ended };
  }
  throw new Error(`fqvit serve ended: ${stderr}`);
}

const post = (url: string, body: Uint8Array) =>
  fetch(`${url}/v1/classify`, { method: 'POST', body: body as BodyInit });

/** A black picture: a few kilobytes that take long to decode. */
function slowPhoto(side: number): Uint8Array {
  const rows = new Uint8Array((1 + side * 3) * side);
  return png(ihdr(side, side), pngChunk('IDAT', deflateSync(rows)));
}

describe('a service', () => {
  let service: Started;
  beforeAll(async () => {
    service = await started(['--queue', '16', '--max-images', '8', '--timeout', '2000']);
  });
  afterAll(async () => {
    service.child.kill();
    await service.ended;
  });

  test('classifies a photo like the model', async () => {
    const model = await load('deit_cifar10');
    const answer = await post(service.url, photo);
    expect([answer.status, await answer.json()]).toEqual([
      200,
      {
        model: 'deit_cifar10',
        results: [{ predictions: await model.classify(photo) }],
        ms: expect.any(Number),
      },
    ]);
    model.dispose();
  });

  test('counts its work', async () => {
    await post(service.url, Buffer.from('no photo'));
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    expect(metrics).toMatch(
      /fqvit_http_requests_total\{route="\/v1\/classify",method="POST",status="422"\} 1/,
    );
    expect(metrics).toMatch(/fqvit_images_total\{outcome="classified"\} 1/);
    expect(metrics).toMatch(/process_resident_memory_bytes \d/);
  });

  test('logs one JSON line per request, with the id from the client', async () => {
    await fetch(`${service.url}/v1/models`, { headers: { 'x-request-id': 'mine' } });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(service.logs().find(({ id }) => id === 'mine')).toMatchObject({
      method: 'GET',
      route: '/v1/models',
      status: 200,
      level: 30,
    });
  });

  test('refuses excess requests at once with a problem, and then goes on', async () => {
    const slow = slowPhoto(800);
    const answers = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const answer = await post(service.url, slow);
        return { status: answer.status, retry: answer.headers.get('retry-after'), body: await answer.json() };
      }),
    );
    const count = (status: number) => answers.filter((one) => one.status === status).length;
    expect(count(200)).toBeGreaterThanOrEqual(16);
    expect(count(200) + count(503)).toBe(60);
    for (const { body, retry } of answers.filter(({ status }) => status === 503)) {
      expect(body).toMatchObject({ status: 503, code: 'OVERLOAD' });
      expect(Number(retry)).toBeGreaterThanOrEqual(1);
    }
    expect((await post(service.url, photo)).status).toBe(200);
  }, 30_000);

  /** The answer to these bytes on a connection that stays open. */
  async function raw(bytes: string): Promise<string> {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    socket.write(bytes);
    let text = '';
    for await (const part of socket.setEncoding('latin1')) text += part;
    return text;
  }

  test('closes connections that send too slowly, and answers others meanwhile', async () => {
    const head = 'POST /v1/classify HTTP/1.1\r\nHost: x\r\n';
    const slow = [
      `${head}Content-Length: 100\r\n\r\nabc`,
      `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
      head,
    ];
    const answers = slow.map(raw);
    expect((await post(service.url, photo)).status).toBe(200);
    for (const answer of await Promise.all(answers)) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  test.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    [
      'two lengths',
      'POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      400,
    ],
    ['a long head', `GET /healthz HTTP/1.1\r\nHost: x\r\na: ${'b'.repeat(20_000)}\r\n\r\n`, 431],
  ])('answers %s with a problem', async (_, bytes, status) => {
    const [head, body] = (await raw(bytes)).split('\r\n\r\n');
    expect(head).toMatch(
      new RegExp(`^HTTP/1\\.1 ${status} .*\r\ncontent-type: application/problem\\+json\r\n`),
    );
    expect(JSON.parse(body!)).toMatchObject({ status, code: 'REQUEST' });
  });

  test.each([
    ['GET /healthz', 200],
    ['HEAD /healthz', 200],
    ['GET /readyz', 200],
    ['GET /metrics', 200],
    ['GET /v1/models', 200],
    ['GET /other', 404],
    ['POST /v1/classify', 422],
  ])('%s without a Host is %d in HTTP/1.0, 400 in HTTP/1.1', async (asked, status) => {
    const rest = 'Content-Length: 0\r\nConnection: close\r\n\r\n';
    expect(await raw(`${asked} HTTP/1.0\r\n${rest}`)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    for (const hosts of ['', 'Host: a\r\nHost: b\r\n']) {
      const answer = await raw(`${asked} HTTP/1.1\r\n${hosts}${rest}`);
      expect(answer).toMatch(/^HTTP\/1\.1 400 .*\r\ncontent-type: application\/problem\+json\r\n/s);
    }
  });

  test.each([
    ['no path', 'GET ftp://a/healthz HTTP/1.1\r\nhost: a\r\n'],
    ['no host', 'GET /healthz HTTP/1.1\r\nhost: a/b\r\n'],
  ])('answers %s with a problem', async (_, head) => {
    const socket = connect(Number(new URL(service.url).port));
    socket.write(`${head}connection: close\r\n\r\n`);
    let answer = '';
    for await (const bytes of socket) answer += bytes;
    expect(answer).toMatch(/^HTTP\/1.1 400 .*problem\+json.*"request: expected .*"code":"REQUEST"/s);
  });

  test('survives connections that break at any moment', async () => {
    const bytes = Buffer.concat([
      Buffer.from(`POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: ${photo.length}\r\n\r\n`),
      photo,
    ]);
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const socket = connect(Number(new URL(service.url).port), '127.0.0.1').on('error', () => {});
        await once(socket, 'connect');
        await new Promise((resolve) =>
          socket.write(bytes.subarray(0, Math.round((bytes.length * i) / 49)), resolve),
        );
        if (i % 2) socket.resetAndDestroy();
        else socket.destroy();
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await post(service.url, photo)).status).toBe(200);
    const waiting = /fqvit_images_inside (\d+)/.exec(
      await (await fetch(`${service.url}/metrics`)).text(),
    )?.[1];
    expect(Number(waiting)).toBe(0);
  });
});

test('SIGTERM lets it answer running requests, refuse others and exit with 0', async () => {
  const { url, child, ended, logs } = await started();
  const slow = slowPhoto(6500);
  const inside = [1, 2, 3].map(() => post(url, slow));
  for (let metrics = '', tries = 0; !metrics.includes('fqvit_images_inside 3') && tries < 100; tries++) {
    metrics = await (await fetch(`${url}/metrics`)).text();
  }
  child.kill('SIGTERM');
  for (const one of inside) {
    const { status, headers } = await one;
    expect([status, headers.get('connection')]).toEqual([200, 'close']);
  }
  expect(await ended).toBe(0);
  await expect(post(url, photo)).rejects.toThrow();
  expect(logs().at(-1)).toMatchObject({ msg: 'stopped' });
}, 30_000);

test('a second signal ends the process at once', async () => {
  const { url, child, ended } = await started();
  const inside = post(url, slowPhoto(5000)).catch(() => 'cut');
  await new Promise((resolve) => setTimeout(resolve, 300));
  child.kill('SIGINT');
  await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill('SIGINT');
  expect(await ended).toBe(130);
  expect(await inside).toBe('cut');
}, 30_000);

test('the token may come from the environment', async () => {
  const { url, child, ended } = await started([], { FQVIT_TOKEN: 'sesame' });
  expect((await post(url, photo)).status).toBe(401);
  const answer = await fetch(`${url}/v1/models`, { headers: { authorization: 'Bearer sesame' } });
  expect(await answer.json()).toMatchObject({ models: [{ id: 'deit_cifar10', classes: 10 }] });
  child.kill();
  expect(await ended).toBe(0);
});

test.each(['', ' ', 'ö'])('the token %j from the environment is refused', async (token) => {
  await expect(started([], { FQVIT_TOKEN: token })).rejects.toThrow(
    'fqvit: OPTION: variable FQVIT_TOKEN: expected visible ASCII characters, found ',
  );
});

test('a connection that floods the service or does not read its answer is closed', async () => {
  const { url, child, ended } = await started([
    ...['--timeout', '1000', '--log-level', 'silent'],
    ...['--max-images', '600', '--queue', '601'],
  ]);
  const asking = connect(Number(new URL(url).port));
  asking.on('error', () => {}).resume();
  asking.write('GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(1500));
  await once(asking, 'close');
  expect(asking.bytesRead).toBeLessThan(2e6);

  const names = Array.from({ length: 600 }, () => 'n'.repeat(15_000));
  const parts = names.map(
    (name) => `--BB\r\ncontent-disposition: form-data; name=image; filename=${name}\r\n\r\n\r\n`,
  );
  const body = `${parts.join('')}--BB--\r\n`;
  const silent = connect(Number(new URL(url).port));
  silent.on('error', () => {}).pause();
  const type = 'multipart/form-data; boundary=BB';
  silent.write(
    `POST /v1/classify HTTP/1.1\r\nhost: a\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  silent.write(body);
  await new Promise((resolve) => setTimeout(resolve, 6000));
  silent.resume();
  await once(silent, 'close');
  expect(silent.bytesRead).toBeGreaterThan(1e5); // it was an answer with the names
  expect(silent.bytesRead).toBeLessThan(names.join('').length);
  child.kill();
  expect(await ended).toBe(0);
});

test('a port in use is refused', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const { code, stderr } = await fqvit(['serve', '--port', `${port}`]);
  other.close();
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(
      /\nfqvit: LISTEN: 127\.0\.0\.1:\d+: expected an address to listen at, found another program there \(EADDRINUSE\)\n$/,
    ),
  ]);
});

test.each([
  [['--port', '65536'], /option --port: expected an integer from 0 to 65535, found "65536"/],
  [['--workers', '0'], /option --workers: expected an integer from 1 to 64, found "0"/],
  [
    ['--max-memory', 'much'],
    /option --max-memory: expected a size above 0, such as 1500MiB, 2GiB or a number of bytes, found "much"/,
  ],
  [['--max-memory', '1500MB'], /option --max-memory: expected a size above 0/],
  [
    ['--workers', '2', '--max-memory', '100MiB'],
    /option --max-memory: expected at least \d{3} MiB for this model and 2 workers, found 100 MiB/,
  ],
  [['--max-images', '129'], /option --max-images: expected at most --queue, which is 128, found 129/],
  [
    ['--log-level', 'loud'],
    /option --log-level: expected one of debug, info, warn, error, silent, found "loud"/,
  ],
])('%j is refused', async (args, message) => {
  const { code, stderr } = await fqvit(['serve', ...args]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
});

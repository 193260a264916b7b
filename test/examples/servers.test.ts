import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { crc32 } from '../../src/image/png/crc32.js';
import { load, type Prediction } from '../../src/index.js';
import { multipartCases } from '../serve/multipart-cases.js';
import { describeWith, runtimePath } from '../support/runtimes.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const PHOTOS = ['examples/chelsea.png', 'test/image/fixtures/444.jpg', 'test/image/fixtures/lossy.webp'];
const photo = (path: string) => readFileSync(join(root, path));

let folder: string;
let expected: Prediction[][];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fqvit-servers-'));
  const model = await load('deit_cifar10');
  expected = await model.classify(PHOTOS.map(photo));
  model.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('node/classify.mjs prints a row for each photo, and what is wrong with the others', async () => {
  const script = spawn(process.execPath, ['examples/node/classify.mjs', ...PHOTOS, 'LICENSE'], { cwd: root });
  const [out, err, [status]] = await Promise.all([
    text(script.stdout),
    text(script.stderr),
    once(script, 'close'),
  ]);
  expect(out).toMatch(/chelsea\.png'.*'cat 78\.4 %'.*'dog 9\.1 %'/);
  expect(out.match(/ %'.* %'/g)).toHaveLength(PHOTOS.length);
  expect(err).toMatch(/^LICENSE: expected a JPEG, PNG or WebP/);
  expect(status).toBe(1);
});

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  let all = '';
  for await (const part of stream) all += part;
  return all;
}

const WORKERD = runtimePath('@cloudflare/workerd-linux-64/bin/workerd');
const DENO = runtimePath('@deno/linux-x64-glibc/deno');
const BUN = runtimePath('@oven/bun-linux-x64/bin/bun');
const ESBUILD = runtimePath('esbuild');

const MIB = 2 ** 20;

const DEFAULTS = { bytes: 10 * MIB, pixels: 50_000_000 };
const MAIN = 'dist/cli/main.js';
const serve = (port: number) => [MAIN, 'serve', '--port', `${port}`, '--log-level', 'silent'];

const SERVERS: [name: string, limits: Limits, needs: string[], command: (port: number) => string[]][] = [
  [
    'workerd',
    { bytes: 8 * MIB, pixels: 8_000_000 },
    [WORKERD, ESBUILD],
    (port) => [WORKERD, 'serve', workerConfig(), `--socket-addr=http=127.0.0.1:${port}`],
  ],
  ['fqvit serve in Node', DEFAULTS, [], (port) => [process.execPath, ...serve(port)]],
  ['fqvit serve in Deno', DEFAULTS, [DENO], (port) => [DENO, 'run', '-A', ...serve(port)]],
  ['fqvit serve in Bun', DEFAULTS, [BUN], (port) => [BUN, ...serve(port)]],
  [
    'Deno',
    DEFAULTS,
    [DENO],
    (port) => [
      DENO,
      'run',
      '--allow-net',
      '--allow-read',
      '--allow-env',
      '--allow-sys',
      'examples/deno/server.ts',
      `${port}`,
    ],
  ],
  ['Bun', DEFAULTS, [BUN], (port) => [BUN, 'examples/bun/server.ts', `${port}`]],
];

/** Of the service, in this server. */
interface Limits {
  bytes: number;
  pixels: number;
}

/** The worker built as its README says, in a folder where fqvit, hono and esbuild are installed. */
function workerConfig(): string {
  const packages = join(folder, 'node_modules');
  mkdirSync(packages);
  symlinkSync(root, join(packages, 'fqvit'));
  symlinkSync(ESBUILD, join(packages, 'esbuild'));
  const filter = (path: string) => !path.includes('worker/dist');
  cpSync(join(root, 'examples/worker'), join(folder, 'worker'), { recursive: true, filter });
  execFileSync(process.execPath, [join(folder, 'worker/build.mjs')], { stdio: 'pipe' });
  return join(folder, 'worker/config.capnp');
}

for (const [name, limits, needs, command] of SERVERS) {
  describeWith(name, needs, () => {
    let url: string;
    let stop: () => Promise<unknown>;
    beforeAll(async () => {
      const port = await freePort();
      const [file, ...args] = command(port) as [string, ...string[]];
      const server = spawn(file, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
      stop = async () => server.kill('SIGKILL') && once(server, 'close');
      url = `http://127.0.0.1:${port}`;
      await answering(`${url}/healthz`);
    });
    afterAll(() => stop());

    const post = (body: BodyInit) => fetch(`${url}/v1/classify`, { method: 'POST', body });

    test('says what Node says of photos, the first of which come at once', async () => {
      const answers = await Promise.all(PHOTOS.map(async (path) => (await post(photo(path))).json()));
      expect(answers).toEqual(
        expected.map((predictions) => ({
          model: 'deit_cifar10',
          results: [{ predictions: predictions.map(alike) }],
          ms: expect.any(Number),
        })),
      );
    });

    test('says several photos of a form, each for itself', async () => {
      const form = new FormData();
      for (const path of [...PHOTOS, 'LICENSE']) form.append('image', new Blob([photo(path)]), path);
      form.append('top', '1');
      const answer = await (await post(form)).json();
      const results: object[] = expected.map(([best], i) => ({
        name: PHOTOS[i],
        predictions: [alike(best!)],
      }));
      const error = { code: 'IMAGE_FORMAT', message: expect.any(String) };
      expect(answer).toMatchObject({ results: [...results, { name: 'LICENSE', error }] });
    });

    test('reads forms, whoever writes them, as every other server does', async () => {
      const image = photo(PHOTOS[0]!);
      const cases = multipartCases(image);
      const answers = [];
      for (const { type, body } of cases) {
        const answer = await fetch(`${url}/v1/classify?top=1`, {
          method: 'POST',
          headers: { 'content-type': type },
          body: body as BodyInit,
        });
        answers.push((await answer.json()) as { code?: string; results: { name: string }[] });
      }
      expect(answers.map(({ code, results }, i) => [cases[i]!.name, code ?? results])).toEqual(
        cases.map(({ name, expected: answer }) => [
          name,
          typeof answer === 'string'
            ? answer
            : answer.map((file) => ({ name: file, predictions: [alike(expected[0]![0]!)] })),
        ]),
      );
    });

    test('refuses an encoded body with 415 before it has come', async () => {
      for (const encoding of ['gzip', 'identity, BR']) {
        const refusal = problem(415, 'CONTENT_ENCODING', /^content-encoding: expected identity, found/);
        const headers = { 'content-encoding': encoding, 'content-length': 1000 };
        expect(await unfinished(headers, 0)).toEqual([415, refusal]);
      }
      const headers = { 'content-encoding': 'Identity' };
      const body = photo(PHOTOS[0]!);
      expect((await fetch(`${url}/v1/classify`, { method: 'POST', headers, body })).status).toBe(200);
    });

    // workerd's own HTTP server asks for a Host in every version
    const hostless = name === 'workerd' ? 400 : 200;
    test.each(['GET /healthz', 'HEAD /healthz', 'GET /readyz'])(
      `answers %s of HTTP/1.0 without a Host: ${hostless}`,
      async (asked) => {
        const socket = connect(Number(new URL(url).port), '127.0.0.1');
        socket.write(`${asked} HTTP/1.0\r\n\r\n`);
        expect(await text(socket)).toMatch(new RegExp(`^HTTP/1\\.[01] ${hostless} `));
      },
    );

    test('is ready, has a page to try it, and describes itself', async () => {
      const [ready, page, document] = await Promise.all(
        ['/readyz', '/', '/openapi.json'].map((path) => fetch(url + path)),
      );
      expect(await ready!.json()).toEqual({ status: 'ok' });
      expect(await page!.text()).toMatch(/<h1>What is in a photo/);
      expect(await document!.json()).toMatchObject({ openapi: '3.1.0' });
    });

    test('refuses what is no photo with 422', async () => {
      const cut = await post(photo('test/image/fixtures/444.jpg').subarray(0, 1000));
      expect([cut.status, await cut.json()]).toEqual([422, problem(422, 'IMAGE_TRUNCATED', /JPEG/)]);
      const large = await post(resized(photo('examples/chelsea.png'), limits.pixels / 1000 + 1, 1000));
      expect([large.status, await large.json()]).toEqual([
        422,
        problem(422, 'IMAGE_TOO_LARGE', new RegExp(`at most ${limits.pixels} pixels`)),
      ]);
      const empty = await fetch(`${url}/v1/classify`, { method: 'POST' });
      expect([empty.status, await empty.json()]).toEqual([422, problem(422, 'IMAGE_EMPTY', /./)]);
    });

    test('refuses a long body with 413, by what is said of its length and by its length', async () => {
      const { bytes } = limits;
      const tooLong = problem(413, 'BODY_TOO_LARGE', new RegExp(`at most ${bytes} bytes`));
      expect(await unfinished({ 'content-length': bytes + 1 }, 0)).toEqual([413, tooLong]);
      expect(await unfinished({ 'transfer-encoding': 'chunked' }, bytes + 1)).toEqual([413, tooLong]);
      expect((await post(new Uint8Array(bytes))).status).toBe(422);
    });

    /** The answer to a body of which this many bytes are sent and more are to come. */
    async function unfinished(headers: OutgoingHttpHeaders, sent: number): Promise<[number, unknown]> {
      const sending = request(`${url}/v1/classify`, { method: 'POST', headers });
      sending.flushHeaders();
      if (sent > 0) sending.write(new Uint8Array(sent));
      const [answer] = (await once(sending, 'response')) as [IncomingMessage];
      const body = await text(answer);
      sending.destroy();
      return [answer.statusCode!, JSON.parse(body)];
    }

    test('refuses other methods with 405', async () => {
      const answer = await fetch(`${url}/v1/classify`, { method: 'DELETE' });
      expect(answer.headers.get('allow')).toBe('POST');
      expect([answer.status, await answer.json()]).toEqual([
        405,
        problem(405, 'METHOD', /POST, found DELETE/),
      ]);
    });
  });
}

const problem = (status: number, code: string, detail: RegExp) => ({
  status,
  code,
  title: expect.any(String),
  detail: expect.stringMatching(detail),
});

/**
 * Logits are the same to the bit everywhere; the last digit of a probability is that of the
 * engine's `Math.exp`.
 */
const alike = ({ probability, ...same }: Prediction) => ({
  ...same,
  probability: expect.closeTo(probability, 12),
});

/** A PNG whose header says this of its size. */
function resized(png: ReturnType<typeof photo>, width: number, height: number) {
  const IHDR = 12; // behind the signature and the chunk's length
  png.writeUInt32BE(width, IHDR + 4);
  png.writeUInt32BE(height, IHDR + 8);
  png.writeUInt32BE(crc32(png, IHDR, IHDR + 17), IHDR + 17);
  return png;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * When a server that has just been started answers; workerd loads the model with the first photo.
 */
async function answering(url: string): Promise<void> {
  const end = performance.now() + 60_000;
  for (;;) {
    try {
      await (await fetch(url)).text();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

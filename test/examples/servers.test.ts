import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { crc32 } from '../../src/image/crc32.js';
import { load, type Prediction } from '../../src/index.js';
import { describeWith, runtimePath } from '../support/runtimes.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const PHOTOS = ['examples/chelsea.png', 'test/image/fixtures/444.jpg', 'test/image/fixtures/lossy.webp'];
const photo = (path: string) => readFileSync(join(root, path));
const LIMIT = 8 * 2 ** 20;

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

const SERVERS: [name: string, needs: string[], command: (port: number) => string[]][] = [
  [
    'workerd',
    [WORKERD, ESBUILD],
    (port) => [WORKERD, 'serve', workerConfig(), `--socket-addr=http=127.0.0.1:${port}`],
  ],
  [
    'Deno',
    [DENO],
    (port) => [
      DENO,
      'run',
      '--allow-net',
      '--allow-read',
      '--allow-env',
      'examples/deno/server.ts',
      `${port}`,
    ],
  ],
  ['Bun', [BUN], (port) => [BUN, 'examples/bun/server.ts', `${port}`]],
];

/** The worker built as its README says, in a folder where fqvit and esbuild are installed. */
function workerConfig(): string {
  const packages = join(folder, 'node_modules');
  mkdirSync(packages);
  symlinkSync(root, join(packages, 'fqvit'));
  symlinkSync(ESBUILD, join(packages, 'esbuild'));
  for (const name of ['handler.js', 'worker']) {
    const isSource = (path: string) => !path.includes('worker/dist');
    cpSync(join(root, 'examples', name), join(folder, name), { recursive: true, filter: isSource });
  }
  execFileSync(process.execPath, [join(folder, 'worker/build.mjs')], { stdio: 'pipe' });
  return join(folder, 'worker/config.capnp');
}

for (const [name, needs, command] of SERVERS) {
  describeWith(name, needs, () => {
    let url: string;
    let stop: () => Promise<unknown>;
    beforeAll(async () => {
      const port = await freePort();
      const [file, ...args] = command(port) as [string, ...string[]];
      const server = spawn(file, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
      stop = async () => server.kill('SIGKILL') && once(server, 'close');
      url = `http://127.0.0.1:${port}/`;
      await answering(url);
    });
    afterAll(() => stop());

    const post = (body: BodyInit) => fetch(url, { method: 'POST', body });

    test('says what Node says of photos, the first of which come at once', async () => {
      const answers = await Promise.all(PHOTOS.map(async (path) => (await post(photo(path))).json()));
      expect(answers).toEqual(
        expected.map((predictions) => ({ predictions: predictions.map(alike), ms: expect.any(Number) })),
      );
    });

    test('says how it is used', async () => {
      const answer = await fetch(url);
      expect([answer.status, await answer.text()]).toEqual([200, expect.stringMatching(/^POST a JPEG.*\n$/)]);
    });

    test('refuses what is no photo with 422', async () => {
      const cut = await post(photo('test/image/fixtures/444.jpg').subarray(0, 1000));
      expect([cut.status, await cut.json()]).toEqual([
        422,
        { code: 'IMAGE_TRUNCATED', message: expect.stringMatching(/^blob: /) },
      ]);
      const large = await post(resized(photo('examples/chelsea.png'), 8001, 1000));
      expect([large.status, await large.json()]).toEqual([
        422,
        { code: 'IMAGE_TOO_LARGE', message: expect.stringMatching(/at most 8000000 pixels/) },
      ]);
      const empty = await fetch(url, { method: 'POST' });
      expect([empty.status, await empty.json()]).toEqual([
        422,
        expect.objectContaining({ code: 'IMAGE_EMPTY' }),
      ]);
    });

    test('refuses a long body with 413, by what is said of its length and by its length', async () => {
      const tooLong = {
        code: 'BODY_TOO_LARGE',
        message: `body: expected at most ${LIMIT} bytes, found more`,
      };
      expect(await unfinished({ 'content-length': LIMIT + 1 }, 0)).toEqual([413, tooLong]);
      expect(await unfinished({ 'transfer-encoding': 'chunked' }, LIMIT + 1)).toEqual([413, tooLong]);
      expect((await post(new Uint8Array(LIMIT))).status).toBe(422);
    });

    /** The answer to a body of which this many bytes are sent and more are to come. */
    async function unfinished(headers: OutgoingHttpHeaders, sent: number): Promise<[number, unknown]> {
      const sending = request(url, { method: 'POST', headers });
      sending.flushHeaders();
      if (sent > 0) sending.write(new Uint8Array(sent));
      const [answer] = (await once(sending, 'response')) as [IncomingMessage];
      const body = await text(answer);
      sending.destroy();
      return [answer.statusCode!, JSON.parse(body)];
    }

    test('refuses other methods with 405', async () => {
      const answer = await fetch(url, { method: 'DELETE' });
      expect(answer.headers.get('allow')).toBe('GET, POST');
      expect([answer.status, await answer.json()]).toEqual([
        405,
        { code: 'METHOD', message: 'method: expected GET or POST, found DELETE' },
      ]);
    });
  });
}

/** Logits are the same to the bit everywhere; the last digit of a probability is that of the engine's `Math.exp`. */
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

/** When a server that has just been started answers; without the model, which it loads with the first photo. */
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

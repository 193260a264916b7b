import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { describeWith, runtimePath } from '../support/runtimes.js';
import { RECIPE, tinyIntegerFile, tinySwinIntegerFile } from '../support/tiny-integer.js';
import { type Browser, CHROMIUM, FIREFOX, openPage } from './browser.js';
import { FILES } from './digest.mjs';

/** The result of `digest`, and the engine's version. */
interface Digests {
  readonly tiers: Readonly<Record<string, { digest: string; ms: number }>>;
  readonly cold: number | undefined;
  readonly chosen: string;
  readonly threads: number;
  readonly version: string;
}

/** The result that test/runtimes/page.mjs posts. */
interface PageDigests extends Digests {
  readonly error?: string;
  readonly two: Digests;
  readonly sources: Readonly<Record<string, string>>;
  readonly kept: { readonly loads: readonly number[]; readonly models: number };
  readonly violations: readonly string[];
  readonly userAgent: string;
  readonly isolated: boolean;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const manifest = (name: string) =>
  createRequire(import.meta.url)(runtimePath(`${name}/package.json`)) as { version: string };

/** Models whose weights are so narrow that the tiers multiply in different ways. */
const NARROW: Record<string, Uint8Array> = {
  'w7.safetensors': tinyIntegerFile({ grid: 4, classes: 9 }, { ...RECIPE, weightBits: 7 }),
  'w4.safetensors': tinyIntegerFile({ grid: 4, classes: 9 }, { ...RECIPE, weightBits: 4 }),
  'swin.safetensors': tinySwinIntegerFile({ classes: 9 }, { ...RECIPE, weightBits: 7 }),
};

let folder: string;
let expected: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fqvit-engines-'));
  mkdirSync(join(folder, 'more'));
  for (const [name, bytes] of Object.entries(NARROW)) writeFileSync(join(folder, 'more', name), bytes);
  expected = inProcess(process.execPath).tiers.scalar!.digest;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const report: string[] = [];
afterAll(() =>
  console.info(['ms of a pass of deit_cifar10; from start to first answer', ...report].join('\n')),
);

/** Expects the same digest on these tiers, whatever the engine's other digests are. */
function expectSame(name: string, { tiers, version, cold }: Digests, names: readonly string[]): void {
  const times = Object.entries(tiers).map(([tier, { ms }]) => `${tier} ${ms.toFixed(1)}`);
  report.push(`${name} ${version}: ${times.join(', ')}; ${cold?.toFixed(0) ?? '-'}`);
  const digests = Object.entries(tiers).map(([tier, { digest }]) => [tier, digest]);
  expect(digests).toEqual(names.map((tier) => [tier, expected]));
}

function inProcess(command: string, flags: readonly string[] = []): Digests {
  const models = Object.keys(NARROW).map((name) => join(folder, 'more', name));
  const { stdout, stderr, status } = spawnSync(
    command,
    [...flags, join(root, 'test/runtimes/process.mjs'), ...models],
    { cwd: folder, encoding: 'utf8', timeout: 60_000 },
  );
  if (status !== 0) throw new Error(`${command}: ${status}\n${stderr}`);
  return JSON.parse(stdout);
}

const ALL = ['scalar', 'simd', 'relaxed'];
const PROCESSES: [name: string, path: string, flags: string[], tiers: string[]][] = [
  ['Node 22', runtimePath('node22-linux-x64/bin/node'), [], ALL],
  ['Node 24', runtimePath('node24-linux-x64/bin/node'), [], ALL],
  ['Deno', runtimePath('@deno/linux-x64-glibc/deno'), ['run', '--allow-read', '--allow-env'], ALL],
  ['Bun', runtimePath('@oven/bun-linux-x64/bin/bun'), [], ALL],
];

test('this Node gives the same codes', () => {
  const major = Number(process.versions.node.split('.')[0]);
  // Node 20 has relaxed SIMD only with a flag
  expectSame('Node', inProcess(process.execPath), major < 22 ? ALL.slice(0, 2) : ALL);
});

for (const [name, path, flags, tiers] of PROCESSES) {
  describeWith(name, [path], () => {
    test('gives the same codes', () => expectSame(name, inProcess(path, flags), tiers));
  });
}

const WORKERD = runtimePath('@cloudflare/workerd-linux-64/bin/workerd');
describeWith('workerd', [WORKERD], () => {
  test('gives the same codes with modules that were compiled before it started', async () => {
    const config = bundleWorker();
    const start = performance.now();
    const workerd = spawn(WORKERD, ['serve', config, '--control-fd=3'], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
    try {
      const url = `http://127.0.0.1:${await listening(workerd.stdio[3] as Readable)}`;
      expect(await (await fetch(`${url}/first`)).text()).toBe('');
      const cold = performance.now() - start;
      const digests = (await (await fetch(url)).json()) as Digests & { error?: string };
      expect(digests.error).toBeUndefined();
      const { version } = manifest('@cloudflare/workerd-linux-64');
      expectSame('workerd', { ...digests, version, cold }, ALL);
      expect(digests.threads).toBe(1);
    } finally {
      workerd.kill('SIGKILL');
    }
  });
});

/** The worker with its files, and the configuration that names them. */
function bundleWorker(): string {
  const out = join(folder, 'worker');
  const entry = join(folder, 'worker.mjs');
  const files = [
    ...FILES.map((path) => [path, join(root, path)]),
    ...Object.keys(NARROW).map((name) => [`more/${name}`, join(folder, 'more', name)]),
  ];
  writeFileSync(
    entry,
    [
      `import { worker } from '${join(root, 'test/runtimes/worker.mjs')}';`,
      ...files.map(([, file], i) => `import file${i} from '${file}';`),
      `const files = { ${files.map(([path], i) => `'${path}': file${i}`).join(', ')} };`,
      `export default worker(files, Object.keys(files).filter((path) => path.startsWith('more/')));`,
    ].join('\n'),
  );
  const loaders = ['wasm', 'safetensors', 'png', 'jpg', 'webp'].map((type) => `--loader:.${type}=copy`);
  const { status, stderr } = spawnSync(
    runtimePath('esbuild/bin/esbuild'),
    [
      entry,
      '--bundle',
      '--format=esm',
      '--conditions=workerd',
      ...loaders,
      `--outdir=${out}`,
      '--out-extension:.js=.mjs',
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  const parts = readdirSync(out).map((name) => {
    const kind = name.endsWith('.mjs') ? 'esModule' : name.endsWith('.wasm') ? 'wasm' : 'data';
    return { name, text: `(name = "${name}", ${kind} = embed "${name}")`, isMain: kind === 'esModule' };
  });
  parts.sort((a, b) => Number(b.isMain) - Number(a.isMain)); // the first is the worker
  const config = join(out, 'config.capnp');
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (compatibilityDate = "2026-01-01", modules = [
    ${parts.map(({ text }) => text).join(',\n    ')}
  ]))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
`,
  );
  return config;
}

/** The port that workerd reports once it listens. */
async function listening(control: Readable): Promise<number> {
  for await (const line of control) {
    const { event, port } = JSON.parse(String(line));
    if (event === 'listen') return port;
  }
  throw new Error('workerd ended');
}

const BROWSERS: [name: string, browser: Browser][] = [
  ['Chromium', CHROMIUM],
  ['Firefox', FIREFOX],
];
for (const [name, browser] of BROWSERS) {
  describeWith(name, [browser.path], () => {
    let page: PageDigests;
    beforeAll(async () => {
      const models = Object.keys(NARROW).map((name) => `model=/more/${name}`);
      const path = `test/runtimes/page.html?${models.join('&')}`;
      page = (await openPage(browser, root, path, { more: join(folder, 'more') })) as PageDigests;
      expect(page.error).toBeUndefined();
    });

    test('gives the same codes under a policy of wasm-unsafe-eval only', () => {
      const version = /(?:Chrome|Firefox)\/([\d.]+)/.exec(page.userAgent)![1]!;
      expectSame(name, { ...page, version }, ALL);
      expect(page.violations).toEqual([]);
    });

    test('gives the same codes on two threads', () => {
      expect(page.isolated).toBe(true);
      expect(page.two.threads).toBe(2);
      expectSame(name, { ...page.two, version: 'with two threads', cold: undefined }, ['simd']);
    });

    test('keeps a model by its digest', () => {
      expect(page.kept).toEqual({ loads: [1, 0], models: 1 });
    });

    test('takes an image from every kind of source', () => {
      const { closed, bytes, ...codes } = page.sources;
      expect(closed).toMatch(/^IMAGE_PIXELS: pixels: expected an open frame/);
      expect(Object.keys(codes)).toEqual(
        expect.arrayContaining(['path', 'stream', 'ImageData', 'ImageBitmap', 'VideoFrame']),
      );
      for (const found of Object.values(codes)) expect(found).toBe(bytes);
    });
  });
}

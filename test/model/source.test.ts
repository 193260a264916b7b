import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  CheckpointError,
  HubError,
  type LoadOptions,
  load,
  type Model,
  RuntimeError,
} from '../../src/index.js';
import { readNamedModel as readWithoutFiles } from '../../src/model/source-browser.js';
import { readPath as readAddress } from '../../src/platform/file-browser.js';
import { refuse, send, sha256Of } from '../hub/server.js';
import { Bench, COMMIT, ID, WEIGHTS, weightsHash } from '../hub/support.js';
import { refusal } from '../support/refusal.js';
import { tinyFloatFile, tinyIntegerFile } from '../support/tiny-integer.js';

const bench = new Bench();
const file = tinyIntegerFile();
const hash = sha256Of(file);
const cut = Math.floor(file.length * 0.6);
const models: Model[] = [];
const cwd = process.cwd();

async function loaded(source: string, options: LoadOptions = {}): Promise<Model> {
  const model = await load(source, options);
  models.push(model);
  return model;
}

/** The requests that the storage got. */
const ranges = () =>
  bench.hub.seen.filter(({ server }) => server === 'storage').map(({ range }) => range ?? 'all');

beforeEach(() => {
  for (const name of ['HF_TOKEN', 'HF_HUB_OFFLINE']) delete process.env[name];
  Object.assign(process.env, bench.env());
  bench.hub.models[ID]!.files[WEIGHTS] = file;
  process.chdir(bench.cacheDir);
});
afterEach(() => {
  process.chdir(cwd);
  for (const model of models.splice(0)) model.dispose();
});

describe('a model on the hub', () => {
  test('downloads once; then only asks the hub for the commit', async () => {
    const seen: unknown[][] = [];
    const { info } = await loaded(ID, { onProgress: (...progress) => seen.push(progress) });
    expect(info.bytes).toBe(file.length);
    expect(seen[0]).toEqual([0, file.length]);
    expect(seen.at(-1)).toEqual([file.length, file.length]);
    expect(ranges()).toEqual(['all']);
    bench.hub.requests();

    seen.length = 0;
    await loaded(`${ID}@main`, { onProgress: (...progress) => seen.push(progress) });
    expect(seen).toEqual([[file.length, file.length]]);
    expect(bench.hub.requests()).toEqual([`hub /api/models/${ID}/revision/main`]);
  });

  test('is read at the revision that its name has', async () => {
    bench.hub.models[ID]!.revisions = { 'refs/pr/1': COMMIT };
    await loaded(`${ID}@refs/pr/1`);
    await loaded(`hf://${ID}@refs%2Fpr%2F1`);
    expect(await refusal(load(`${ID}@v9`), HubError, 'HUB_NOT_FOUND')).toBe(
      `${ID}: expected the revision "v9", found none of that name`,
    );
  });

  test('takes one of several files, or the only one whatever its name', async () => {
    const { files } = bench.hub.models[ID]!;
    delete files[WEIGHTS];
    files['w4/tiny.safetensors'] = file;
    await loaded(ID);
    files['other.safetensors'] = tinyIntegerFile({ classes: 3 });
    bench.hub.models[ID]!.commit = 'c'.repeat(40);
    expect(await refusal(load(ID), HubError, 'HUB_SEVERAL')).toBe(
      `${ID}@main: expected one .safetensors file, found "w4/tiny.safetensors", "other.safetensors"; ` +
        `name the one you mean: hf://${ID}@main/w4/tiny.safetensors`,
    );
    expect((await loaded(`hf://${ID}@main/other.safetensors`)).info.architecture.classes).toBe(3);
    expect(await refusal(load(`hf://${ID}/none.safetensors`), HubError, 'HUB_NOT_FOUND')).toContain(
      `${ID}: expected the file "none.safetensors", found "config.json", `,
    );
  });

  test('resumes a download that was cut at 60 %', async () => {
    let held: ServerResponse | undefined;
    bench.hub.fault = (request, response, { server }) => {
      if (server !== 'storage' || held) return undefined;
      held = send(request, response, file, `"${file.length}-5"`, { stopAt: cut });
      return held;
    };
    await loaded(ID, { onProgress: (bytes) => void (bytes === cut && held!.destroy()) });
    expect(ranges()).toEqual(['all', `bytes=${cut}-`]);
  });

  test('an abort keeps what has arrived, and the next call resumes', async () => {
    bench.hub.fault = (request, response, { server, range }) =>
      server === 'storage' && range === undefined
        ? send(request, response, file, `"${file.length}-5"`, { stopAt: cut })
        : undefined;
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = (bytes: number) => void (bytes === cut && controller.abort(reason));
    await expect(load(ID, { signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect(bench.incomplete()).toMatchObject([{ size: cut }]);
    await loaded(ID);
    expect(ranges()).toEqual(['all', `bytes=${cut}-`]);
    await expect(load(ID, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test("refuses a SHA-256 that differs from the hub's, and keeps nothing", async () => {
    bench.hub.entry = (entry) =>
      entry.lfs ? { ...entry, lfs: { oid: weightsHash, size: file.length } } : entry;
    bench.hub.fault = (request, response, { server }) =>
      server === 'storage' ? send(request, response, file, '"etag"') : undefined;
    expect(await refusal(load(ID), HubError, 'HUB_HASH')).toBe(
      `${ID}/${WEIGHTS}: expected the hash ${weightsHash}, found ${hash}`,
    );
    expect(bench.tree().filter((name) => !name.endsWith('.json'))).toEqual([]);
  });

  test('refuses a missing or gated model, and a rejected token', async () => {
    expect(await refusal(load('someone/nothing'), HubError, 'HUB_NOT_FOUND')).toContain('someone/nothing: ');
    bench.hub.models[ID]!.gated = true;
    expect(await refusal(load(ID), HubError, 'HUB_GATED')).toContain('accept its terms');
    process.env.HF_TOKEN = 'hf_x';
    bench.hub.fault = (_, response) => refuse(response, 401);
    expect(await refusal(load(ID), HubError, 'HUB_TOKEN')).toContain('HF_TOKEN: expected a token');
  });

  test('if the hub is away, takes the cached copy with a warning, or refuses', async () => {
    process.env.HF_HUB_OFFLINE = '1';
    expect(await refusal(load(ID), HubError, 'HUB_OFFLINE')).toContain('there is no copy in');
    process.env.HF_HUB_OFFLINE = '';
    await loaded(ID);
    process.env.HF_HUB_OFFLINE = '1';
    bench.hub.requests();
    const warnings: string[] = [];
    await loaded(ID, { onWarning: (message) => warnings.push(message) });
    expect(warnings).toEqual([
      `${ID}@main: expected to ask the hub, found HF_HUB_OFFLINE set: the copy in the cache is taken`,
    ]);
    await loaded(ID);
    expect(bench.hub.requests()).toEqual([]);
  });

  test('without an integer checkpoint, lists the files and says what to do', async () => {
    const { files } = bench.hub.models[ID]!;
    files[WEIGHTS] = tinyFloatFile();
    for (const source of [ID, `hf://${ID}/${WEIGHTS}`]) {
      expect(await refusal(load(source), CheckpointError, 'MODEL_KIND')).toMatch(
        new RegExp(
          `^${source}: .*this is a float model: run \`fqvit quantize ${source} -o m.safetensors\`, then use m.safetensors$`,
        ),
      );
    }
    delete files[WEIGHTS];
    files['pytorch_model.bin'] = new Uint8Array(5);
    bench.hub.models[ID]!.commit = 'd'.repeat(40);
    expect(await refusal(load(ID), HubError, 'HUB_NOT_FOUND')).toMatch(
      /a-model@main: expected a \.safetensors file, found .*"pytorch_model\.bin"; if it is a float model, run `fqvit quantize someone\/a-model@main -o m\.safetensors`/,
    );
  });

  test('an existing path comes first; a missing one that is no id is refused as a file', async () => {
    mkdirSync('someone');
    writeFileSync(ID, 'text');
    await refusal(load(ID), CheckpointError, 'CHECKPOINT_TRUNCATED');
    for (const path of ['none', './someone/none', 'a/none.safetensors', 'a/b/c']) {
      expect(await refusal(load(path), RuntimeError, 'SOURCE')).toBe(
        `${path}: expected a readable file, found ENOENT`,
      );
    }
    mkdirSync('float');
    writeFileSync('float/config.json', '{}');
    expect(await refusal(load('float'), RuntimeError, 'SOURCE')).toMatch(
      /^float: .*; this is a float model: run `fqvit quantize float\/ -o m\.safetensors`/,
    );
    await refusal(load('hf://someone'), HubError, 'HUB_ID');
    expect(bench.hub.requests()).toEqual([]);
  });
});

describe('without files', () => {
  afterEach(() => void jest.restoreAllMocks());

  test('a model on the hub is one request, without a cache', async () => {
    const fetch = jest.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response(file.slice()));
    expect((await readWithoutFiles(ID, {})).bytes).toEqual(file);
    await readWithoutFiles(`hf://${ID}@v1/w4/tiny.safetensors`, {});
    expect(fetch.mock.calls.map(([url]) => url)).toEqual([
      `https://huggingface.co/${ID}/resolve/main/model.safetensors`,
      `https://huggingface.co/${ID}/resolve/v1/w4/tiny.safetensors`,
    ]);
    expect(bench.tree()).toEqual([]);
    fetch.mockImplementation(async () => new Response('no', { status: 404 }));
    expect(await refusal(readWithoutFiles(ID, {}), RuntimeError, 'SOURCE')).toBe(
      `https://huggingface.co/${ID}/resolve/main/model.safetensors: expected status 200, found 404`,
    );
  });

  test('takes a path as an address', async () => {
    const fetch = jest.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response(file.slice()));
    expect((await readAddress('models/tiny.safetensors', {})).bytes).toEqual(file);
    expect(fetch.mock.calls.map(([url]) => url)).toEqual(['models/tiny.safetensors']);
  });
});

describe('a bundled model', () => {
  test.each(['deit_cifar10', 'swin_cifar10'])(
    '%s, by its name; a file of that name comes first',
    async (name) => {
      mkdirSync(name);
      expect((await loaded(name)).info.architecture.name).toBe(name);
      rmSync(name, { recursive: true });
      writeFileSync(name, file);
      expect((await loaded(name)).info.bytes).toBe(file.length);
    },
  );
});

test.each(['default', 'workerd'])(
  '%s: the library imports no module of Node, and of the hub only the meaning of names',
  (platform) => {
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const { imports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const seen = new Set<string>();
    const visit = (path: string) => {
      if (seen.has(path)) return;
      seen.add(path);
      if (path.endsWith('.wasm')) return;
      const source = readFileSync(path, 'utf8');
      for (const [, names, target] of source.matchAll(/^(?:import|export)\s([^;']*?)\s*from '([^']+)'/gms)) {
        if (names!.startsWith('type ')) continue;
        expect([path, target]).toEqual([path, expect.stringMatching(/^(#|\.{1,2}\/)/)]);
        const swapped = imports[target!]?.[platform] ?? imports[target!]?.default;
        const file = swapped ? join(root, swapped.replace('dist', 'src')) : join(dirname(path), target!);
        visit(file.replace(/\.js$/, '.ts'));
      }
    };
    visit(join(root, 'src/index.ts'));
    const hub = readdirSync(join(root, 'src/hub')).filter((name) => seen.has(join(root, 'src/hub', name)));
    expect(hub).toEqual(['id.ts']);
    expect(seen.size).toBeGreaterThan(30);
    expect([...seen].filter((path) => path.endsWith('.wasm'))).toHaveLength(platform === 'workerd' ? 4 : 0);
  },
);

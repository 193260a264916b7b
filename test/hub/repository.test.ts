import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { downloadFileToCacheDir, scanCacheDir } from '@huggingface/hub';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { HubError } from '../../src/errors.js';
import { serve } from '../support/loopback.js';
import { refusal } from '../support/refusal.js';
import { gitOidOf, refuse, sha256Of } from './server.js';
import { aModel, Bench, COMMIT, ID, noise, WEIGHTS, weights, weightsHash } from './support.js';

const bench = new Bench();
const FOLDER = 'models--someone--a-model';
const info = `hub /api/models/${ID}/revision/main`;
const tree = `hub /api/models/${ID}/tree/${COMMIT}`;
const resolve = (path: string) => `hub /${ID}/resolve/${COMMIT}/${path}`;
const storage = `storage /${weightsHash}`;

describe('requests', () => {
  test('cold: commit, listing, files; then one request for the commit alone', async () => {
    const repository = await bench.open();
    expect(repository).toMatchObject({ id: ID, revision: 'main', commit: COMMIT, away: undefined });
    expect(repository.files).toEqual(
      Object.entries(aModel().files).map(([path, { length }]) => ({ path, size: length })),
    );
    // opening alone leaves nothing
    expect(bench.tree()).toEqual([]);
    expect(bench.hub.requests()).toEqual([info, tree, tree]);

    const paths = await repository.fetch(['config.json', WEIGHTS]);
    expect(paths).toEqual(['config.json', WEIGHTS].map((name) => join(repository.folder, name)));
    expect(sha256Of(readFileSync(paths[1]!))).toBe(weightsHash);
    expect(bench.hub.requests()).toEqual([resolve('config.json'), resolve(WEIGHTS), storage]);

    // as another process would
    expect(await bench.fetch([WEIGHTS, 'config.json'])).toEqual([
      weightsHash,
      sha256Of(aModel().files['config.json']!),
    ]);
    expect(bench.hub.requests()).toEqual([info]);
    expect(bench.pauses).toEqual([]);
  });

  test('names with spaces and signs, in folders; a file without bytes needs no request', async () => {
    const [text, empty] = await bench.fetch(['folder/with a space #1.txt', 'empty.txt']);
    expect(text).toBe(sha256Of(new TextEncoder().encode('text')));
    expect(empty).toBe(sha256Of(new Uint8Array(0)));
    expect(bench.hub.requests().slice(3)).toEqual([resolve('folder/with%20a%20space%20%231.txt')]);
  });

  test('a file asked for twice comes once', async () => {
    expect(await bench.fetch([WEIGHTS, WEIGHTS])).toEqual([weightsHash, weightsHash]);
    expect(bench.hub.requests().slice(3)).toEqual([resolve(WEIGHTS), storage]);
  });

  test('branches, tags and commits', async () => {
    bench.hub.models[ID]!.revisions = { 'refs/pr/1': COMMIT };
    await bench.fetch(['config.json'], {}, `${ID}@refs/pr/1`);
    expect(bench.hub.requests()[0]).toBe(`hub /api/models/${ID}/revision/refs%2Fpr%2F1`);
    expect(readFileSync(join(bench.cacheDir, FOLDER, 'refs/refs/pr/1'), 'utf8')).toBe(COMMIT);
    await bench.fetch(['config.json'], {}, `${ID}@${COMMIT}`);
    expect(bench.hub.requests()).toEqual([`hub /api/models/${ID}/revision/${COMMIT}`]);
    expect(bench.tree().filter((name) => name.includes('/refs/'))).toEqual([`${FOLDER}/refs/refs/pr/1`]);
  });

  test('a new commit: what has not changed is not fetched again', async () => {
    await bench.fetch(['config.json', WEIGHTS]);
    const commit = 'f'.repeat(40);
    const config = new TextEncoder().encode('{}');
    const model = bench.hub.models[ID]!;
    bench.hub.models[ID] = { ...model, commit, files: { ...model.files, 'config.json': config } };
    bench.hub.requests();
    expect(await bench.fetch(['config.json', WEIGHTS])).toEqual([sha256Of(config), weightsHash]);
    const of = (text: string) => text.replaceAll(COMMIT, commit);
    expect(bench.hub.requests()).toEqual([info, of(tree), of(tree), of(resolve('config.json'))]);
    expect(readFileSync(join(bench.cacheDir, FOLDER, 'refs/main'), 'utf8')).toBe(commit);
  });

  test('progress counts what is missing, over all files', async () => {
    await bench.fetch(['empty.txt']);
    const calls: number[][] = [];
    const onProgress = (...call: number[]) => void calls.push(call);
    await bench.fetch(['config.json', 'empty.txt', WEIGHTS], { onProgress });
    const total = 28 + weights.length;
    expect(calls.map(([, all]) => all)).toEqual(calls.map(() => total));
    expect(calls[0]).toEqual([0, total]);
    expect(calls).toContainEqual([28, total]);
    expect(calls.at(-1)).toEqual([total, total]);
    expect(calls.map(([loaded]) => loaded)).toEqual(calls.map(([loaded]) => loaded!).sort((a, b) => a - b));
    calls.length = 0;
    await bench.fetch([WEIGHTS], { onProgress });
    expect(calls).toEqual([]);
  });
});

describe("the cache is that of the hub's other tools", () => {
  test('it has their folders and links', async () => {
    await bench.fetch(['config.json', WEIGHTS, 'folder/with a space #1.txt']);
    const { files } = aModel();
    const blobs = {
      'config.json': gitOidOf(files['config.json']!),
      [WEIGHTS]: weightsHash,
      'folder/with a space #1.txt': gitOidOf(files['folder/with a space #1.txt']!),
    };
    expect(bench.tree()).toEqual(
      [
        ...Object.values(blobs).map((name) => `${FOLDER}/blobs/${name}`),
        `${FOLDER}/refs/main`,
        ...Object.keys(blobs).map((name) => `${FOLDER}/snapshots/${COMMIT}/${name}`),
        `${FOLDER}/trees/${COMMIT}.json`,
      ].sort(),
    );
    const at = (name: string) => join(bench.cacheDir, FOLDER, name);
    expect(readFileSync(at('refs/main'), 'utf8')).toBe(COMMIT);
    for (const [name, blob] of Object.entries(blobs)) {
      const up = name.includes('/') ? '../../../' : '../../';
      expect(readlinkSync(at(`snapshots/${COMMIT}/${name}`))).toBe(`${up}blobs/${blob}`);
    }
    // as huggingface_hub 1.x writes it
    expect(JSON.parse(readFileSync(at(`trees/${COMMIT}.json`), 'utf8'))).toEqual({
      format_version: 1,
      files: Object.fromEntries(
        Object.entries(files).map(([name, bytes]) => [
          name,
          {
            size: bytes.length,
            blob_id: gitOidOf(bytes),
            ...(name === WEIGHTS ? { lfs_sha256: sha256Of(bytes), lfs_size: bytes.length } : {}),
          },
        ]),
      ),
    });
  });

  test('@huggingface/hub finds what is here', async () => {
    const [path] = await (await bench.open()).fetch([WEIGHTS]);
    const { repos, warnings } = await scanCacheDir(bench.cacheDir);
    expect(warnings).toEqual([]);
    expect(repos).toMatchObject([
      {
        id: { name: ID, type: 'model' },
        revisions: [{ commitOid: COMMIT, refs: ['main'] }],
        size: weights.length,
      },
    ]);
    const fetch = () => Promise.reject(new Error('a request'));
    const options = { repo: ID, path: WEIGHTS, revision: COMMIT, cacheDir: bench.cacheDir, fetch };
    expect(await downloadFileToCacheDir(options)).toBe(path);
  });

  test('and what another tool has put there is found: with one listing, or without the hub', async () => {
    const at = (name: string) => {
      const path = join(bench.cacheDir, FOLDER, name);
      mkdirSync(join(path, '..'), { recursive: true });
      return path;
    };
    writeFileSync(at(`blobs/${weightsHash}`), weights);
    symlinkSync(`../../blobs/${weightsHash}`, at(`snapshots/${COMMIT}/${WEIGHTS}`));
    writeFileSync(at('refs/main'), COMMIT);

    const offline = await bench.open({ env: bench.env({ HF_HUB_OFFLINE: '1' }) });
    expect(offline.files).toEqual([{ path: WEIGHTS, size: weights.length }]);
    expect(await offline.fetch([WEIGHTS])).toEqual([at(`snapshots/${COMMIT}/${WEIGHTS}`)]);
    expect(bench.hub.requests()).toEqual([]);

    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(bench.hub.requests()).toEqual([info, tree, tree]);
    await bench.fetch([WEIGHTS]);
    expect(bench.hub.requests()).toEqual([info]);
  });

  test('a blob without its link is linked, a link without its blob is fetched', async () => {
    const [path] = await (await bench.open()).fetch([WEIGHTS]);
    rmSync(path!);
    bench.hub.requests();
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(bench.hub.requests()).toEqual([info]);
    rmSync(join(bench.cacheDir, FOLDER, 'blobs', weightsHash));
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(bench.hub.requests()).toEqual([info, resolve(WEIGHTS), storage]);
    expect(lstatSync(path!).isSymbolicLink()).toBe(true);
  });

  test('a damaged listing or ref counts as none', async () => {
    await bench.fetch([WEIGHTS]);
    bench.hub.requests();
    const listing = join(bench.cacheDir, FOLDER, 'trees', `${COMMIT}.json`);
    for (const text of [
      '',
      '[',
      '{"format_version":2,"files":{}}',
      '{"format_version":1,"files":{"../a":{}}}',
    ]) {
      writeFileSync(listing, text);
      await bench.fetch([WEIGHTS]);
      expect(bench.hub.requests()).toEqual([info, tree, tree]);
      await bench.fetch([WEIGHTS]);
      expect(bench.hub.requests()).toEqual([info]);
    }
    writeFileSync(join(bench.cacheDir, FOLDER, 'refs/main'), '../../elsewhere');
    const offline = bench.open({ env: bench.env({ HF_HUB_OFFLINE: '1' }) });
    expect(await refusal(offline, HubError, 'HUB_OFFLINE')).toContain('there is no copy');
  });
});

describe('without the hub', () => {
  const offline = () => ({ env: bench.env({ HF_HUB_OFFLINE: '1' }) });
  /** Where nothing listens any more. */
  let nowhere: string;
  beforeAll(async () => {
    const { url, close } = await serve(() => {});
    close();
    nowhere = url;
  });
  const away = () => ({ env: bench.env({ HF_ENDPOINT: nowhere }) });

  test.each([
    ['HF_HUB_OFFLINE', offline, 'HUB_OFFLINE', 'found HF_HUB_OFFLINE set'],
    ['no network', away, 'HUB_NETWORK', 'found ECONNREFUSED'],
  ])('%s: what is cached works, what is missing is named', async (_, options, code, reason) => {
    await bench.fetch(['config.json']);
    bench.hub.requests();
    const repository = await bench.open(options());
    expect(repository.away).toMatchObject({ code });
    expect(repository.files).toHaveLength(4);
    expect(await repository.fetch(['config.json'])).toEqual([join(repository.folder, 'config.json')]);
    const message = await refusal(repository.fetch(['config.json', WEIGHTS]), HubError, code);
    expect(message).toContain(`${FOLDER}: expected "${WEIGHTS}", found "config.json"; ${ID}@main: `);
    expect(message).toContain(reason);
    // who has a copy does not wait
    expect(bench.pauses).toEqual([]);
    expect(bench.hub.requests()).toEqual([]);
  });

  test('nothing is cached', async () => {
    expect(await refusal(bench.open(offline()), HubError, 'HUB_OFFLINE')).toBe(
      `${ID}@main: expected to ask the hub, found HF_HUB_OFFLINE set; there is no copy in ${bench.cacheDir}/${FOLDER}`,
    );
    expect(await refusal(bench.open(away()), HubError, 'HUB_NETWORK')).toBe(
      `${ID}@main: expected an answer of ${nowhere}, found ECONNREFUSED; ` +
        `there is no copy in ${bench.cacheDir}/${FOLDER}`,
    );
    expect(bench.pauses).toEqual([1000, 2000, 4000, 8000]);
  });

  test('a commit by its own name', async () => {
    await bench.fetch(['config.json'], {}, `${ID}@${COMMIT}`);
    const repository = await bench.open(offline(), `${ID}@${COMMIT}`);
    expect(await repository.fetch(['config.json'])).toHaveLength(1);
    const other = bench.open(offline(), `${ID}@${'e'.repeat(40)}`);
    expect(await refusal(other, HubError, 'HUB_OFFLINE')).toContain('there is no copy');
  });

  test('a hub that is overloaded counts as away, one that refuses does not', async () => {
    await bench.fetch(['config.json']);
    for (const [status, code] of [
      [503, 'HUB_NETWORK'],
      [429, 'HUB_RATE'],
    ] as const) {
      bench.hub.fault = (_, response) => refuse(response, status);
      const repository = await bench.open();
      expect(repository.away).toMatchObject({ code });
      expect(await repository.fetch(['config.json'])).toHaveLength(1);
    }
    bench.hub.fault = (_, response) => refuse(response, 404, 'RepoNotFound');
    await refusal(bench.open(), HubError, 'HUB_NOT_FOUND');
  });
});

test('a second model, side by side', async () => {
  const other = noise(500, 7);
  bench.hub.models['x/y'] = { commit: 'a'.repeat(40), files: { [WEIGHTS]: other } };
  expect(await bench.fetch([WEIGHTS], {}, 'x/y')).toEqual([sha256Of(other)]);
  expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
});

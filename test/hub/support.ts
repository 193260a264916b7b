import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { openRepository, type Repository, type RepositoryOptions } from '../../src/hub/repository.js';
import { FakeHub, type FakeModel, sha256Of } from './server.js';

export const ID = 'someone/a-model';
export const COMMIT = '0123456789abcdef0123456789abcdef01234567';
export const WEIGHTS = 'model.safetensors';

/** Bytes without a pattern that a mistake in an offset could hide behind. */
export function noise(length: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 24;
  });
}

export const weights = noise(200_000);
export const weightsHash = sha256Of(weights);

export function aModel(): FakeModel {
  return {
    commit: COMMIT,
    files: {
      'config.json': new TextEncoder().encode('{"architecture":"deit_tiny"}'),
      [WEIGHTS]: weights,
      'folder/with a space #1.txt': new TextEncoder().encode('text'),
      'empty.txt': new Uint8Array(0),
    },
    lfs: [WEIGHTS],
  };
}

/** The hub of a test file, and a cache folder for each of its tests. */
export class Bench {
  hub!: FakeHub;
  cacheDir = '';
  /** What each pause would have waited. */
  pauses: number[] = [];
  readonly #root = mkdtempSync(join(tmpdir(), 'fqvit-hub-'));

  constructor() {
    beforeAll(async () => {
      this.hub = await FakeHub.start();
    });
    beforeEach(() => {
      this.cacheDir = mkdtempSync(join(this.#root, 'cache-'));
      this.pauses = [];
      Object.assign(this.hub, { fault: undefined, entry: undefined, info: undefined });
      this.hub.models[ID] = aModel();
      this.hub.seen.length = 0;
    });
    afterAll(() => {
      this.hub.close();
      rmSync(this.#root, { recursive: true, force: true });
    });
  }

  /** The environment of a person: neither token nor cache of who runs the tests. */
  env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return { HF_ENDPOINT: this.hub.url, HF_HOME: this.cacheDir, HF_HUB_CACHE: this.cacheDir, ...more };
  }

  open(options: RepositoryOptions = {}, id = ID): Promise<Repository> {
    return openRepository(id, {
      env: this.env(),
      pause: async (ms) => {
        this.pauses.push(ms);
      },
      ...options,
    });
  }

  /** The SHA-256 of each file. */
  async fetch(paths: readonly string[], options: RepositoryOptions = {}, id = ID): Promise<string[]> {
    const files = await (await this.open(options, id)).fetch(paths);
    return files.map((path) => sha256Of(readFileSync(path)));
  }

  /** The files and links in the cache folder, without the folders. */
  tree(): string[] {
    return readdirSync(this.cacheDir, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(this.cacheDir, join(entry.parentPath, entry.name)))
      .sort();
  }

  /** Names and sizes of what is still arriving. */
  incomplete(): { name: string; size: number }[] {
    return this.tree()
      .filter((name) => name.endsWith('.incomplete'))
      .map((name) => ({ name, size: statSync(join(this.cacheDir, name)).size }));
  }
}

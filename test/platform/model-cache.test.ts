import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type LoadOptions, load, RuntimeError, UsageError } from '../../src/index.js';
import { sha256Of } from '../hub/server.js';
import { serve } from '../support/loopback.js';
import { refusal } from '../support/refusal.js';
import { tinyIntegerFile } from '../support/tiny-integer.js';

const file = tinyIntegerFile();
const sha256 = sha256Of(file);
const home = mkdtempSync(join(tmpdir(), 'fqvit-cache-'));
const folder = join(home, 'fqvit');
const kept = join(folder, sha256);
const before = process.env.XDG_CACHE_HOME;

let url: string;
let close: () => void;
let requests = 0;
let answer: Uint8Array;

beforeAll(async () => {
  process.env.XDG_CACHE_HOME = home;
  ({ url, close } = await serve((_, response) => {
    requests++;
    response.end(answer);
  }));
});
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  requests = 0;
  answer = file;
});
afterAll(() => {
  close();
  rmSync(home, { recursive: true });
  if (before === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = before;
});

async function loaded(source: string | URL | Uint8Array, options: LoadOptions): Promise<void> {
  const model = await load(source, options);
  expect(model.info.bytes).toBe(file.length);
  model.dispose();
}

describe('a model with its SHA-256', () => {
  test('comes from a URL once and then from the cache, whatever the URL', async () => {
    await loaded(url, { sha256 });
    expect(readdirSync(folder)).toEqual([sha256]);
    expect(new Uint8Array(readFileSync(kept))).toEqual(file);
    await loaded(new URL(url), { sha256 });
    await loaded(`${url}/another/name`, { sha256 });
    expect(requests).toBe(1);
  });

  test('a damaged copy is fetched and kept again', async () => {
    await loaded(url, { sha256 });
    writeFileSync(kept, file.subarray(0, 100));
    await loaded(url, { sha256 });
    expect(requests).toBe(2);
    expect(new Uint8Array(readFileSync(kept))).toEqual(file);
  });

  test('refuses other bytes and does not keep them', async () => {
    answer = file.slice();
    answer[answer.length - 1]! ^= 1;
    expect(await refusal(load(url, { sha256 }), RuntimeError, 'INTEGRITY')).toBe(
      `${url}: expected the SHA-256 ${sha256}, found ${sha256Of(answer)}`,
    );
    expect(() => readdirSync(folder)).toThrow('ENOENT');
    await refusal(load(answer, { sha256 }), RuntimeError, 'INTEGRITY');
  });

  test('accepts a digest in capitals', async () => {
    await loaded(url, { sha256: sha256.toUpperCase() });
    await loaded(url, { sha256 });
    expect(requests).toBe(1);
  });

  test('checks bytes and files without keeping them', async () => {
    await loaded(file, { sha256 });
    const path = join(home, 'model.safetensors');
    writeFileSync(path, file);
    await loaded(path, { sha256 });
    expect(() => readdirSync(folder)).toThrow('ENOENT');
  });

  test('keeps nothing with cache: false, or without a digest', async () => {
    await loaded(url, { sha256, cache: false });
    await loaded(url, { sha256, cache: false });
    await loaded(url, {});
    expect(requests).toBe(3);
    expect(() => readdirSync(folder)).toThrow('ENOENT');
  });

  test('checks bytes in shared memory', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(file.length));
    shared.set(file);
    await loaded(shared, { sha256 });
  });

  test('does not wait for a pipe in place of a copy', async () => {
    await loaded(url, { sha256 });
    rmSync(kept);
    execFileSync('mkfifo', [kept]);
    await loaded(url, { sha256 });
    expect(requests).toBe(2);
    expect(new Uint8Array(readFileSync(kept))).toEqual(file);
  });

  test('loads without a known cache folder', async () => {
    const { env } = process;
    process.env = new Proxy(env, {
      get() {
        throw new Error('no permission');
      },
    });
    try {
      await loaded(url, { sha256 });
    } finally {
      process.env = env;
    }
    expect(requests).toBe(1);
  });

  test('loads if the cache cannot be written', async () => {
    writeFileSync(folder, 'a file in its place');
    await loaded(url, { sha256 });
    await loaded(url, { sha256 });
    expect(requests).toBe(2);
  });

  test.each(['', 'abc', `${sha256}0`, '../../../etc/passwd', 5 as never])(
    'refuses %j as a digest',
    async (wrong) => {
      const message = await refusal(load(url, { sha256: wrong }), UsageError, 'SHA256');
      expect(message).toMatch(/^sha256: expected 64 hexadecimal digits, found /);
      expect(requests).toBe(0);
    },
  );
});

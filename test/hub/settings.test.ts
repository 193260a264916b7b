import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { HubError } from '../../src/errors.js';
import { readSettings } from '../../src/hub/settings.js';
import { refusal } from '../support/refusal.js';

const home = mkdtempSync(join(tmpdir(), 'fqvit-settings-'));
afterAll(() => rmSync(home, { recursive: true }));
writeFileSync(join(home, 'token'), 'hf_of_the_file\n');
writeFileSync(join(home, 'other'), 'hf_of_another');

test("the defaults are those of the hub's Python library", async () => {
  const { cacheDir, ...rest } = await readSettings({ HF_TOKEN: 'hf_a' });
  expect(cacheDir).toBe(join(homedir(), '.cache/huggingface/hub'));
  expect(rest).toEqual({
    endpoint: 'https://huggingface.co',
    token: { value: 'hf_a', from: 'HF_TOKEN' },
    offline: false,
  });
});

test.each([
  [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
  [{ XDG_CACHE_HOME: '/x', HF_HOME: '/h' }, '/h/hub'],
  [{ HF_HOME: '/h', HF_HUB_CACHE: '/c' }, '/c'],
  [{ HF_HOME: '/h', HF_HUB_CACHE: '' }, '/h/hub'],
])('the cache folder: %j', async (env, expected) => {
  expect((await readSettings(env)).cacheDir).toBe(expected);
});

test('the token: the variable, then the file', async () => {
  const token = async (env: NodeJS.ProcessEnv) => (await readSettings({ HF_HOME: home, ...env })).token;
  expect(await token({ HF_TOKEN: ' hf_a\n' })).toEqual({ value: 'hf_a', from: 'HF_TOKEN' });
  expect(await token({ HF_TOKEN: '' })).toEqual({ value: 'hf_of_the_file', from: join(home, 'token') });
  const other = join(home, 'other');
  expect(await token({ HF_TOKEN_PATH: other })).toEqual({ value: 'hf_of_another', from: other });
  expect(await token({ HF_TOKEN_PATH: join(home, 'absent') })).toBeUndefined();
  mkdirSync(join(home, 'folder'));
  expect(await token({ HF_TOKEN_PATH: join(home, 'folder') })).toBeUndefined();
});

test('a token that no header can hold is refused, unseen', async () => {
  for (const HF_TOKEN of ['hf_a\nb', 'hf_ä', 'hf_a b', 'hf_\u0001']) {
    expect(await refusal(readSettings({ HF_TOKEN }), HubError, 'HUB_TOKEN')).toBe(
      'HF_TOKEN: expected a token of visible ASCII characters, found others',
    );
  }
});

test('the endpoint', async () => {
  const endpoint = async (HF_ENDPOINT: string) => (await readSettings({ HF_ENDPOINT })).endpoint;
  expect(await endpoint('https://mirror.example/hub//')).toBe('https://mirror.example/hub');
  expect(await endpoint('')).toBe('https://huggingface.co');
  for (const [text, found] of [
    ['mirror.example', 'something else'],
    ['file:///etc', 'something else'],
    ['https://me:secret@mirror.example', 'one with a user name or password'],
    ['https://mirror.example/?a', 'one with "?" or "#"'],
  ]) {
    expect(await refusal(endpoint(text!), HubError, 'HUB_ENDPOINT')).toBe(
      `HF_ENDPOINT: expected an http or https address, found ${found}`,
    );
  }
});

test.each([
  ['1', true],
  ['ON', true],
  ['yes', true],
  ['True', true],
  ['0', false],
  ['', false],
  ['no', false],
])('HF_HUB_OFFLINE=%s', async (HF_HUB_OFFLINE, offline) => {
  expect((await readSettings({ HF_HUB_OFFLINE })).offline).toBe(offline);
});

import { describe, expect, jest, test } from '@jest/globals';
import { HubError } from '../../src/errors.js';
import { refusal } from '../support/refusal.js';
import { Bench, COMMIT, ID, WEIGHTS } from './support.js';

const bench = new Bench();

/** Nothing of it may reach the disk. */
async function refused(code = 'HUB_ANSWER'): Promise<string> {
  const message = await refusal(bench.fetch(['config.json']), HubError, code);
  expect(bench.tree()).toEqual([]);
  expect(message.length).toBeLessThan(300);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not reach a terminal
  expect(message).not.toMatch(/[\u0000-\u001f]/);
  return message;
}

describe('answers about the model', () => {
  test.each([['<html>'], [''], ['null'], ['[]'], ['{"sha":'], ['5'], [{}], [{ siblings: 5 }]])(
    '%j',
    async (info) => {
      bench.hub.info = info;
      expect(await refused()).toMatch(/^someone\/a-model@main: expected /);
      expect(bench.pauses).toEqual([]);
    },
  );

  test.each([
    '../../../etc',
    'main',
    'A'.repeat(40),
    `${'a'.repeat(40)}/`,
    `${'a'.repeat(40)}\n`,
    'a'.repeat(64),
    7,
  ])('the commit %j', async (sha) => {
    bench.hub.info = { sha };
    expect(await refused()).toMatch(
      /^someone\/a-model@main: expected a commit of 40 hexadecimal digits, found ["7]/,
    );
  });
});

describe('entries of the listing', () => {
  test.each([
    '../x',
    'a/../x',
    '..',
    '.',
    './a',
    '',
    '/etc/passwd',
    'a//b',
    'a/',
    '\\\\host\\a',
    'a\\..\\b',
    'C:/a',
    'd/C:a',
    '.git/hooks/post-checkout',
    'a/.GIT/config',
    'a\0b',
    'a\nb',
    '\u001b[2J',
    'a'.repeat(1025),
    5,
    null,
    undefined,
    ['a'],
  ])('the name %j', async (path) => {
    bench.hub.entry = (entry) => (entry.path === WEIGHTS ? { ...entry, path } : entry);
    expect(await refused()).toMatch(`${ID}@${COMMIT}: expected names of files inside the model, found `);
  });

  test.each([-1, 0.5, 2 ** 53, '5', null, undefined])('the size %j', async (size) => {
    bench.hub.entry = (entry) => (entry.path === 'config.json' ? { ...entry, size } : entry);
    expect(await refused()).toBe(
      `${ID}@${COMMIT}: expected the bytes of "config.json", found ${quoted(size)}`,
    );
    bench.hub.entry = (entry) => (entry.lfs ? { ...entry, lfs: { ...entry.lfs, size } } : entry);
    expect(await refused()).toBe(
      `${ID}@${COMMIT}: expected the bytes of "${WEIGHTS}", found ${quoted(size)}`,
    );
  });

  test.each(['../x', 'a'.repeat(39), 'A'.repeat(40), `${'a'.repeat(39)}/`, 'a'.repeat(64), 5, undefined])(
    "git's hash %j",
    async (oid) => {
      bench.hub.entry = (entry) => (entry.path === 'config.json' ? { ...entry, oid } : entry);
      expect(await refused()).toBe(
        `${ID}@${COMMIT}: expected the SHA-1 of "config.json", found ${quoted(oid)}`,
      );
    },
  );

  test.each(['../x', 'a'.repeat(40), 'A'.repeat(64), 5, undefined])('the SHA-256 %j', async (oid) => {
    bench.hub.entry = (entry) => (entry.lfs ? { ...entry, lfs: { ...entry.lfs, oid } } : entry);
    expect(await refused()).toBe(
      `${ID}@${COMMIT}: expected the SHA-256 of "${WEIGHTS}", found ${quoted(oid)}`,
    );
  });

  test.each([[null], ['text'], [[]], [{ type: 'file' }]])('the entry %j', async (entry) => {
    bench.hub.entry = () => entry;
    // what is no file at all is none of ours: then config.json is not there
    expect(
      await refused(entry === 'text' || Array.isArray(entry) ? 'HUB_NOT_FOUND' : 'HUB_ANSWER'),
    ).toContain(ID);
  });

  test('a file that nothing here could read is not fetched', async () => {
    bench.hub.entry = (entry) => (entry.path === 'config.json' ? { ...entry, size: 2 ** 31 + 1 } : entry);
    expect(await refused('HUB_SIZE')).toBe(
      `${ID}/config.json: expected at most 2147483648 bytes, found 2147483649`,
    );
  });

  test('a file called __proto__', async () => {
    const bytes = new TextEncoder().encode('{}');
    Object.defineProperty(bench.hub.models[ID]!.files, '__proto__', { value: bytes, enumerable: true });
    await bench.fetch(['__proto__']);
    const again = await bench.open();
    expect(again.files.map(({ path }) => path)).toContain('__proto__');
  });
});

describe('answers without an end', () => {
  test('endless pages are refused', async () => {
    bench.hub.fault = (request, response, { path }) => {
      if (!path.includes('/tree/')) return undefined;
      const next = `${bench.hub.url}${request.url}`;
      return response.writeHead(200, { link: `<${next}>; rel="next"` }).end('[]');
    };
    expect(await refused()).toBe(`${ID}@${COMMIT}: expected at most 100 pages, found more`);
  });

  test('an endless page is refused', async () => {
    const mebibyte = Buffer.alloc(2 ** 20, ' ');
    bench.hub.fault = (_, response) => {
      const more = (): unknown => response.destroyed || response.write(mebibyte, more);
      more();
      return response;
    };
    expect(await refused()).toBe(`${ID}@main: expected at most 67108864 bytes, found more`);
    expect(bench.pauses).toEqual([]);
  });
});

test('without the library: how to get it; what is cached works all the same', async () => {
  await bench.fetch(['config.json']);
  jest.resetModules();
  jest.unstable_mockModule('@huggingface/hub', () => {
    throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
  });
  const { openRepository } = await import('../../src/hub/repository.js');
  await expect(openRepository(ID, { env: bench.env() })).rejects.toMatchObject({
    code: 'HUB_LIBRARY',
    message:
      'models of the hub: expected the package @huggingface/hub, found none; `npm install @huggingface/hub`',
  });
  const offline = await openRepository(ID, { env: bench.env({ HF_HUB_OFFLINE: '1' }) });
  expect(await offline.fetch(['config.json'])).toHaveLength(1);
});

function quoted(value: unknown): string {
  if (typeof value !== 'string') return String(value);
  return `"${value.slice(0, 80)}"${value.length > 80 ? '...' : ''}`;
}

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { countOf, listOf } from '../../src/batch/image-list.js';
import { Scratch } from '../cli/support.js';

const scratch = new Scratch();

async function all(list: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const path of list) found.push(path);
  return found;
}

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? new TextEncoder().encode(part) : part;
}

describe('a folder', () => {
  test('its images by code units of the whole path, those behind links too', async () => {
    for (const name of [
      'b.png',
      'a/z.jpg',
      'a/b/c.WEBP',
      'a.jpg',
      'a/.hidden.png',
      '.git/x.png',
      'a/notes.txt',
      'é.jpeg',
    ]) {
      scratch.write(`folder/${name}`, '');
    }
    const folder = scratch.at('folder');
    symlinkSync('nowhere', join(folder, 'c.png'));
    symlinkSync('..', join(folder, 'a/loop'));
    const expected = ['a.jpg', 'a/b/c.WEBP', 'a/z.jpg', 'b.png', 'c.png', 'é.jpeg'];
    expect(await all(listOf(folder))).toEqual(expected.map((name) => join(folder, name)));
    expect(await all(listOf(`${folder}/`))).toEqual(await all(listOf(folder)));
    expect(await countOf(folder)).toBe(6);
  });

  test('more links than are followed at a time', async () => {
    mkdirSync(scratch.at('links'));
    const names = Array.from({ length: 200 }, (_, i) => `${1000 + i}.png`);
    for (const name of names) symlinkSync(scratch.at('folder/b.png'), scratch.at(`links/${name}`));
    expect(await all(listOf(scratch.at('links')))).toEqual(names.map((name) => scratch.at(`links/${name}`)));
  });

  test('names that read as addresses are files', async () => {
    for (const name of ['http:x.png', 'data:y.png', 'http:/z.png']) scratch.write(`odd/${name}`, '');
    const here = process.cwd();
    process.chdir(scratch.at('odd'));
    const found = await all(listOf('.')).finally(() => process.chdir(here));
    expect(found).toEqual(['./data:y.png', './http:/z.png', './http:x.png']);
  });

  test('a name that is not UTF-8 is said with its bytes; others than images do not matter', async () => {
    const folder = scratch.at('latin');
    const name = (text: string) => Buffer.from(join(folder, text), 'latin1');
    mkdirSync(folder);
    writeFileSync(name('b\xff.txt'), '');
    scratch.write('latin/\ufffd.png', '');
    expect(await all(listOf(folder))).toEqual([join(folder, '\ufffd.png')]);
    writeFileSync(name('caf\xe9.png'), '');
    mkdirSync(name('\xe8'));
    await expect(all(listOf(folder))).rejects.toMatchObject({
      code: 'SOURCE',
      message: expect.stringMatching(
        /latin\/(caf\\xe9\.png|\\xe8): expected a name in UTF-8, found other bytes, and 1 more such names beside it$/,
      ),
    });
  });

  test('without images', async () => {
    mkdirSync(scratch.at('empty'));
    await expect(all(listOf(scratch.at('empty')))).rejects.toMatchObject({
      code: 'IMAGES',
      message: `${scratch.at('empty')}: expected images, found none`,
    });
  });
});

describe('a list', () => {
  test('a path a line; blank lines, CRLF and a byte order mark are no paths', async () => {
    const list = scratch.write('list.txt', '\ufeffa.jpg\r\n\r\n  \n b c.png\nhttps://x.org/d.webp');
    expect(await all(listOf(list))).toEqual(['a.jpg', ' b c.png', 'https://x.org/d.webp']);
    expect(await countOf(list)).toBe(3);
  });

  test('from standard input, in pieces that end anywhere', async () => {
    const text = new TextEncoder().encode('é/a.jpg\r\nb.jpg\n\nü.png\n');
    for (let at = 1; at < text.length; at++) {
      const pieces = chunks(text.subarray(0, at), text.subarray(at));
      expect(await all(listOf('-', pieces))).toEqual(['é/a.jpg', 'b.jpg', 'ü.png']);
    }
    expect(await countOf('-')).toBeUndefined();
  });

  test('is read as it is asked for', async () => {
    async function* endless() {
      for (;;) yield* chunks('a.jpg\nb.j', 'pg\n');
    }
    const found: string[] = [];
    for await (const path of listOf('-', endless())) if (found.push(path) === 5000) break;
    expect(new Set(found)).toEqual(new Set(['a.jpg', 'b.jpg']));
  });

  test.each([
    [
      'an image',
      [Uint8Array.of(0xff, 0xd8, 0xff)],
      'TEXT',
      'expected a list of paths in UTF-8, found other bytes',
    ],
    ['half a character', ['a.jpg\n', Uint8Array.of(0xc3)], 'TEXT', 'found other bytes in line 2: \\xc3'],
    [
      'a line in Latin-1',
      ['a.jpg\nb.jpg\nca', Uint8Array.of(0x66, 0xe9), '.jpg\nc.jpg'],
      'TEXT',
      'found other bytes in line 3: caf\\xe9.jpg',
    ],
    ['a line without end', Array(40).fill('a'.repeat(1000)), 'TEXT', 'found a line above 32768 characters'],
    ['nothing', [], 'IMAGES', 'standard input: expected images, found none'],
    ['blank lines', ['\n \r\n'], 'IMAGES', 'found none'],
  ])('%s is refused', async (_, parts, code, message) => {
    await expect(all(listOf('-', chunks(...parts)))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test.each(['nowhere', 'a\0b'])('that cannot be read: %j', async (source) => {
    for (const read of [() => all(listOf(source)), () => countOf(source)]) {
      await expect(read()).rejects.toMatchObject({
        code: 'SOURCE',
        message: expect.stringContaining('expected a folder or a list of paths'),
      });
    }
  });
});

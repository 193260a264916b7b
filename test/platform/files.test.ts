import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { listImages } from '../../src/cli/image-folder.js';
import { expectFile, expectFolder, readText } from '../../src/platform/files.js';
import { checkOutput } from '../../src/platform/output-file.js';
import { Scratch } from '../cli/support.js';

const scratch = new Scratch();

describe('the images of a folder', () => {
  test('are sorted by the code units of their paths, whatever the order on disk', async () => {
    for (const name of [
      'b.PNG',
      'a/z.jpeg',
      'a.webp',
      'ä.jpg',
      'B.jpg',
      'a/b/c.JPG',
      'a-1.png',
      '10.png',
      '9.png',
    ]) {
      scratch.write(`tree/${name}`, '');
    }
    for (const name of ['notes.txt', 'jpg', 'a/labels.csv', '.hidden/x.png', '._b.png', 'x.gif']) {
      scratch.write(`tree/${name}`, '');
    }
    mkdirSync(scratch.at('tree/folder.png'));
    expect(await listImages(scratch.at('tree'))).toEqual([
      ...['10.png', '9.png', 'B.jpg', 'a-1.png', 'a.webp', 'a/b/c.JPG', 'a/z.jpeg', 'b.PNG', 'ä.jpg'],
    ]);
  });

  test('include linked folders, each once', async () => {
    scratch.write('outside/photo.png', '');
    scratch.write('links/a.png', '');
    symlinkSync('../outside', scratch.at('links/first'));
    symlinkSync('../outside', scratch.at('links/second'));
    symlinkSync('.', scratch.at('links/loop'));
    symlinkSync('a.png', scratch.at('links/b.jpg'));
    symlinkSync('nowhere', scratch.at('links/broken.jpg'));
    expect(await listImages(scratch.at('links'))).toEqual([
      'a.png',
      'b.jpg',
      'broken.jpg',
      'first/photo.png',
    ]);
  });

  test('are refused in a folder that is too deep', async () => {
    mkdirSync(scratch.at('deep'));
    const nest = 'name=$(printf "x%.0s" {1..200}); for i in {1..25}; do mkdir $name && cd $name; done';
    execFileSync('bash', ['-c', nest], { cwd: scratch.at('deep') });
    await expect(listImages(scratch.at('deep'))).rejects.toMatchObject({
      code: 'SOURCE',
      message: expect.stringMatching(/expected a readable folder, found a name that is too long/),
    });
    execFileSync('rm', ['-r', scratch.at('deep')]);
  });
});

describe('paths', () => {
  test('with NUL are refused', async () => {
    const expected = { message: '"a\\u0000b": expected a path, found a NUL character in it' };
    for (const look of [expectFile, expectFolder, readText, listImages]) {
      await expect(look('a\0b')).rejects.toMatchObject({ code: 'SOURCE', ...expected });
    }
    expect(() => checkOutput('a\0b', { force: true, inputs: [] })).toThrow(expected.message);
  });

  test('that are URLs are not looked up on disk', async () => {
    await expectFile('https://example.org/model.safetensors');
  });
});

describe('the output', () => {
  const free = { force: false, inputs: [] };
  const forced = { force: true, inputs: [] };

  beforeAll(() => {
    writeFileSync(scratch.at('there'), '');
  });

  test('replaces the target of a link', () => {
    symlinkSync('there', scratch.at('link'));
    expect(() => checkOutput(scratch.at('link'), free)).toThrow('expected a free name');
    expect(checkOutput(scratch.at('link'), forced)).toBe(scratch.at('there'));
    symlinkSync('nothing', scratch.at('dangling'));
    expect(() => checkOutput(scratch.at('dangling'), free)).toThrow('expected a free name');
  });

  test('does not replace a device', () => {
    expect(() => checkOutput('/dev/null', forced)).toThrow(
      'expected a file to write, found a device or pipe',
    );
  });

  test('does not replace an input, whatever its name', () => {
    symlinkSync('there', scratch.at('alias'));
    const options = { force: true, inputs: [scratch.at('nowhere'), scratch.at('alias')] };
    expect(() => checkOutput(scratch.at('there'), options)).toThrow('expected a file other than the input');
  });
});

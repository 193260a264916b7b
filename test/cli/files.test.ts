import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { expectFile, expectFolder, readText } from '../../src/cli/files.js';
import { listImages } from '../../src/cli/image-folder.js';
import { readLabels } from '../../src/cli/label-file.js';
import { labelsOfFolders } from '../../src/cli/labels-folders.js';
import { checkOutput } from '../../src/cli/output-file.js';
import { describeWithShared, shared } from '../support/shared.js';
import { Scratch } from './support.js';

const scratch = new Scratch();

describe('the images of a folder', () => {
  test('by code units of their paths, whatever the order on the disk', async () => {
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

  test('links are followed, loops and second ways are not', async () => {
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

  test('a folder that is too deep', async () => {
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

describe('the classes that subfolders are named as', () => {
  const refused = (labels: string[]) => labelsOfFolders(scratch.at('classes'), labels);

  test('a link to another class is a folder as any other; names are compared in one Unicode form', async () => {
    scratch.write('classes/caf\u00e9/1.png', '');
    scratch.write('classes/dog/1.png', '');
    scratch.write('classes/dog/old/2.png', '');
    symlinkSync('dog', scratch.at('classes/ant'));
    expect(await refused(['dog', 'ant', 'cafe\u0301'])).toEqual([
      { file: 'dog/1.png', class: 0, rank: 0 },
      { file: 'ant/1.png', class: 1, rank: 0 },
      { file: 'caf\u00e9/1.png', class: 2, rank: 0 },
      { file: 'dog/old/2.png', class: 0, rank: 1 },
      { file: 'ant/old/2.png', class: 1, rank: 1 },
    ]);
  });

  test('two classes of one name, a class that the model lacks, a class without photos, labels without end', async () => {
    await expect(refused(['dog', 'ant', 'caf\u00e9', 'dog'])).rejects.toMatchObject({
      code: 'LABELS',
      message: expect.stringMatching(/found "dog", which classes 0 and 3 are called$/),
    });
    await expect(refused(['dog', 'caf\u00e9'])).rejects.toMatchObject({ code: 'LABELS' });
    const long = refused(['x'.repeat(1e6)]);
    await expect(long).rejects.toMatchObject({ message: expect.stringMatching(/^.{0,400}$/s) });
    mkdirSync(scratch.at('classes/eel'));
    await expect(refused(['dog', 'ant', 'caf\u00e9', 'eel'])).rejects.toMatchObject({ code: 'IMAGES' });
  });
});

describe('labels', () => {
  test.each([
    ['lines', 'a\nb b\r\nc\n\n', ['a', 'b b', 'c']],
    ['lines after a byte order mark', '\ufeffa\nb', ['a', 'b']],
    ['strings', '["a", "b"]', ['a', 'b']],
    ['objects', '[{"index": 1, "label": "b"}, {"index": 0, "label": "a", "wnid": "n"}]', ['a', 'b']],
  ])('%s', async (_, text, labels) => {
    expect(await readLabels(scratch.write('labels', text))).toEqual(labels);
  });

  test.each([
    ['a blank line', 'a\n\nb', /expected a name, found none for class 1/],
    ['nothing', '', /expected a name, found none for class 0/],
    ['an empty list', '[]', /expected labels, found none/],
    ['broken JSON', '["a"', /expected JSON, found /],
    [
      'a number',
      '["a", 2]',
      /expected strings, or objects with "index" and "label", found "a" at position 0/,
    ],
    [
      'an index twice',
      '[{"index":0,"label":"a"},{"index":0,"label":"b"}]',
      /every index from 0 to 1 once, found 0 at position 1/,
    ],
    ['an index too high', '[{"index":1,"label":"a"}]', /every index from 0 to 0 once, found 1 at position 0/],
    ['null', '[null]', /found null at position 0/],
  ])('%s is refused', async (_, text, message) => {
    const path = scratch.write('labels', text);
    await expect(readLabels(path)).rejects.toMatchObject({
      code: 'LABELS',
      message: expect.stringMatching(message),
    });
  });

  test('other bytes than UTF-8', async () => {
    const path = scratch.write('bytes', Uint8Array.of(0x61, 0xff));
    await expect(readLabels(path)).rejects.toMatchObject({ code: 'TEXT' });
  });
});

describeWithShared('labels of ImageNet', 1, () => {
  test('objects with an index', async () => {
    const labels = await readLabels(`${shared}data/imagenet-labels.json`);
    expect(labels).toHaveLength(1000);
    expect(labels[0]).toBe('tench');
  });
});

describe('paths', () => {
  test('with NUL', async () => {
    const expected = { message: '"a\\u0000b": expected a path, found a NUL character in it' };
    for (const look of [expectFile, expectFolder, readText, listImages, readLabels]) {
      await expect(look('a\0b')).rejects.toMatchObject({ code: 'SOURCE', ...expected });
    }
    expect(() => checkOutput('a\0b', { force: true, inputs: [] })).toThrow(expected.message);
  });

  test('addresses are not looked up on the disk', async () => {
    await expectFile('https://example.org/model.safetensors');
  });
});

describe('the output', () => {
  const free = { force: false, inputs: [] };
  const forced = { force: true, inputs: [] };

  beforeAll(() => {
    writeFileSync(scratch.at('there'), '');
  });

  test('through a link it is the file behind it that is replaced', () => {
    symlinkSync('there', scratch.at('link'));
    expect(() => checkOutput(scratch.at('link'), free)).toThrow('expected a free name');
    expect(checkOutput(scratch.at('link'), forced)).toBe(scratch.at('there'));
    symlinkSync('nothing', scratch.at('dangling'));
    expect(() => checkOutput(scratch.at('dangling'), free)).toThrow('expected a free name');
  });

  test('a device is not replaced', () => {
    expect(() => checkOutput('/dev/null', forced)).toThrow(
      'expected a file to write, found a device or pipe',
    );
  });

  test('an input is not replaced, by whatever name', () => {
    symlinkSync('there', scratch.at('alias'));
    const options = { force: true, inputs: [scratch.at('nowhere'), scratch.at('alias')] };
    expect(() => checkOutput(scratch.at('there'), options)).toThrow('expected another file than the input');
  });
});

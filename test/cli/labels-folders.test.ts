import { mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { labelsOfFolders } from '../../src/cli/labels-folders.js';
import { Scratch } from './support.js';

const scratch = new Scratch();
let made = 0;

/** Makes a folder with these folders and a photo in each. */
function folderOf(names: readonly string[]): string {
  const folder = `set-${made++}`;
  for (const name of names) scratch.write(`${folder}/${name}/1.png`, '');
  return scratch.at(folder);
}

/** The class of each folder, and the warnings. */
async function classesOf(names: readonly string[], labels: readonly string[], wnids?: readonly string[]) {
  const { photos, warnings } = await labelsOfFolders(folderOf(names), {
    labels,
    ...(wnids ? { wnids } : {}),
  });
  const classes = Object.fromEntries(photos.map((photo) => [photo.file.split('/')[0], photo.class]));
  return { classes, warnings };
}

test('takes the first photo of every class, then the second; a link to a class is a folder too', async () => {
  scratch.write('classes/dog/1.png', '');
  scratch.write('classes/dog/old/2.png', '');
  scratch.write('classes/labels.csv', '');
  symlinkSync('dog', scratch.at('classes/ant'));
  expect(await labelsOfFolders(scratch.at('classes'), { labels: ['dog', 'ant'] })).toEqual({
    photos: [
      { file: 'dog/1.png', class: 0, rank: 0 },
      { file: 'ant/1.png', class: 1, rank: 0 },
      { file: 'dog/old/2.png', class: 0, rank: 1 },
      { file: 'ant/old/2.png', class: 1, rank: 1 },
    ],
    byOrder: false,
    warnings: [],
  });
});

describe('a folder matches a class without a warning', () => {
  const wnids = ['n01443537', 'n01440764'];
  test.each([
    ['by its label', ['b', 'a'], ['b', 'a'], undefined, { a: 1, b: 0 }],
    ['in any Unicode form', ['caf\u00e9', 'x'], ['x', 'cafe\u0301'], undefined, { caf\u00e9: 1, x: 0 }],
    [
      'without case, with _ or - for a space',
      ['Great_White-Shark', 'TENCH'],
      ['tench', 'great white shark'],
      undefined,
      { 'Great_White-Shark': 1, TENCH: 0 },
    ],
    ['with what no file name has', ['CD_DVD', 'a'], ['CD/DVD', 'a'], undefined, { CD_DVD: 0, a: 1 }],
    [
      'by one of its names',
      ['tinca_tinca', 'goldfish'],
      ['goldfish, Carassius auratus', 'tench, Tinca tinca'],
      undefined,
      { tinca_tinca: 1, goldfish: 0 },
    ],
    ['by case where that alone differs', ['Cat', 'cat'], ['cat', 'Cat'], undefined, { Cat: 1, cat: 0 }],
    [
      'by WordNet id',
      ['n01440764', 'n01443537'],
      ['goldfish', 'tench'],
      wnids,
      { n01440764: 1, n01443537: 0 },
    ],
    [
      'by WordNet id before a name',
      ['n01440764_tench', 'n01443537-Goldfish'],
      ['goldfish', 'tench'],
      wnids,
      { n01440764_tench: 1, 'n01443537-Goldfish': 0 },
    ],
    [
      'by ids that are the labels',
      ['n01440764', 'n01443537'],
      wnids,
      undefined,
      { n01440764: 1, n01443537: 0 },
    ],
    [
      'by id, of two classes of one name',
      ['n02012849', 'n03126707'],
      ['crane', 'crane'],
      ['n03126707', 'n02012849'],
      { n02012849: 1, n03126707: 0 },
    ],
  ] as const)('%s', async (_, names, labels, ids, classes) => {
    expect(await classesOf(names, labels, ids)).toEqual({ classes, warnings: [] });
  });
});

test('a warning names classes without a folder', async () => {
  const { classes, warnings } = await classesOf(['c'], ['a', 'b', 'c']);
  expect(classes).toEqual({ c: 2 });
  expect(warnings).toEqual([expect.stringMatching(/: no folder for "a", "b"$/)]);
});

describe('sorted folders are the classes, with a warning', () => {
  test.each([
    ['unknown ids', ['n01443537', 'n01440764'], ['tench', 'goldfish'], { n01440764: 0, n01443537: 1 }],
    ['other names', ['x', 'y'], ['class 0', 'class 1'], { x: 0, y: 1 }],
    ['numbers', ['000', '001'], ['cat', 'dog'], { '000': 0, '001': 1 }],
    ['names that fit, but one', ['cat', 'dogs', 'eel'], ['cat', 'dog', 'eel'], { cat: 0, dogs: 1, eel: 2 }],
    ['two classes of one name', ['crane', 'crane_2'], ['crane', 'crane'], { crane: 0, crane_2: 1 }],
  ] as const)('%s', async (_, names, labels, classes) => {
    const found = await classesOf(names, labels);
    expect(found.classes).toEqual(classes);
    expect(found.warnings).toEqual([
      expect.stringMatching(/no class for .*: the sorted folders are taken as the classes in their order/),
    ]);
  });
});

describe('refused', () => {
  test.each([
    [
      'fewer folders than classes',
      ['n01440764'],
      ['tench', 'goldfish'],
      undefined,
      /found "n01440764", among 1 folders of 2 classes$/,
    ],
    [
      'more folders than classes',
      ['a', 'b', 'c'],
      ['a', 'b'],
      undefined,
      /found "c", among 3 folders of 2 classes$/,
    ],
    [
      'two classes of one name',
      ['ant', 'dog'],
      ['dog', 'ant', 'dog'],
      undefined,
      /found "dog", which classes 0 and 2 are called, among/,
    ],
    [
      'two folders of one class',
      ['Dog', 'dog_'],
      ['dog', 'cat'],
      undefined,
      /found "Dog" and "dog_", both of class 0$/,
    ],
    [
      'an order that names contradict',
      ['cat', 'dogs'],
      ['dog', 'cat'],
      undefined,
      /found "dogs"; sorted folders are not the classes: "cat" is folder 0 and class 1$/,
    ],
    [
      'an order that depends on the tool',
      ['1', '10', '2'],
      ['x', 'y', 'z'],
      undefined,
      /sorted folders depend on the tool: "10" or "2" is folder 1$/,
    ],
    [
      'capitals that sort apart',
      ['Zebra', 'apple'],
      ['x', 'y'],
      undefined,
      /depend on the tool: "Zebra" or "apple" is folder 0$/,
    ],
    [
      'an id of no class',
      ['n01440764', 'n09999999'],
      ['tench', 'goldfish'],
      ['n01440764', 'n01443537'],
      /found "n09999999", whose WordNet id no class of the model has$/,
    ],
  ] as const)('%s', async (_, names, labels, wnids, message) => {
    await expect(classesOf(names, labels, wnids)).rejects.toMatchObject({
      code: 'LABELS',
      message: expect.stringMatching(message),
    });
  });

  test('refuses photos outside of folders, no folders, a class without photos; shortens many labels', async () => {
    const folder = folderOf(['dog']);
    const inFolder = (labels: string[]) => labelsOfFolders(folder, { labels });
    await expect(inFolder(['x'.repeat(1e6)])).resolves.toMatchObject({
      warnings: [expect.stringMatching(/^.{0,500}$/s)],
    });
    mkdirSync(`${folder}/eel`);
    await expect(inFolder(['dog', 'eel'])).rejects.toMatchObject({ code: 'IMAGES' });
    scratch.write('outside/dog/1.png', '');
    scratch.write('outside/2.png', '');
    await expect(labelsOfFolders(scratch.at('outside'), { labels: ['dog'] })).rejects.toMatchObject({
      code: 'LABELS',
      message: expect.stringMatching(/found "2\.png"$/),
    });
    mkdirSync(scratch.at('none'));
    await expect(labelsOfFolders(scratch.at('none'), { labels: ['dog'] })).rejects.toMatchObject({
      code: 'LABELS',
      message: expect.stringMatching(/found no folder$/),
    });
  });
});

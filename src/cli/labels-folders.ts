import { join } from 'node:path';
import { isImageName } from '../batch/image-walk.js';
import { FqvitError } from '../errors.js';
import { leadingWnid } from '../labels/wnids.js';
import { quote } from '../text/quote.js';
import { folderEntries, listImages } from './image-folder.js';

/** Names that a message lists. */
const NAMES_SHOWN = 10;

/** A photo and the class index of its folder. */
interface SortedPhoto {
  readonly file: string;
  readonly class: number;
}

/** The classes in `model.info`. */
interface Classes {
  readonly labels: readonly string[];
  readonly wnids?: readonly string[];
}

/**
 * The photos of a folder with a subfolder for each class (`beagle/1.jpg`, `pug/a/7.jpg`): the first
 * of every class, then the second of every class, and so on, so that a prefix covers all classes.
 *
 * A folder matches a class by the first of these that finds one:
 *
 * 1. WordNet id
 * 2. label
 * 3. label, ignoring case, `_`, `-` and space
 * 4. one of the label's comma-separated names
 *
 * If a folder matches none, the sorted folders are the classes, provided that there are as many and
 * no match contradicts it.
 *
 * @returns the photos; whether the order of the folders decided; and warnings, one sentence each
 * @throws FqvitError `LABELS` for folders that are not the classes of the model, and for photos
 *   outside of them; like `listImages` for each folder
 */
export async function labelsOfFolders(
  folder: string,
  classes: Classes,
): Promise<{ photos: SortedPhoto[]; byOrder: boolean; warnings: string[] }> {
  const entries = await folderEntries(folder);
  const outside = entries.find(({ name, isFolder }) => !isFolder && isImageName(name));
  const names = entries.filter(({ isFolder }) => isFolder).map(({ name }) => name);
  if (outside || names.length === 0) {
    throw refusal(folder, classes, outside ? quote(outside.name) : 'no folder');
  }
  const { matched, byOrder, warnings } = matchFolders(folder, names, classes);
  const photos: (SortedPhoto & { rank: number })[] = [];
  for (const [at, name] of names.entries()) {
    const files = await listImages(join(folder, name));
    photos.push(...files.map((file, rank) => ({ file: `${name}/${file}`, class: matched[at]!, rank })));
  }
  photos.sort((a, b) => a.rank - b.rank || a.class - b.class);
  return { photos, byOrder, warnings };
}

/** The class of each folder; whether their order decided. */
interface Matched {
  readonly matched: number[];
  readonly byOrder: boolean;
  readonly warnings: string[];
}

/** The class of each folder. @param names sorted by code units */
function matchFolders(folder: string, names: readonly string[], classes: Classes): Matched {
  const candidates = candidatesOf(classes);
  const found = names.map((name) => candidates(name));
  const unknown = found.indexOf(NEVER);
  if (unknown >= 0) {
    throw refusal(folder, classes, `${quote(names[unknown]!)}, whose WordNet id no class of the model has`);
  }
  const unsure = found.findIndex((indices) => indices.length !== 1);
  if (unsure >= 0) return inOrder(folder, names, found, classes, unsure);
  const matched = found.map(([index]) => index!);
  const twin = matched.findIndex((index, at) => matched.indexOf(index) !== at);
  if (twin >= 0) {
    const both = [names[matched.indexOf(matched[twin]!)]!, names[twin]!].map(quote).join(' and ');
    throw refusal(folder, classes, `${both}, both of class ${matched[twin]}`);
  }
  const there = new Set(matched);
  const missing = classes.labels.filter((_, index) => !there.has(index));
  const warnings = missing.length === 0 ? [] : [`${folder}: no folder for ${list(missing)}`];
  return { matched, byOrder: false, warnings };
}

/** Takes the sorted folders as the classes, like torchvision's ImageFolder and timm. */
function inOrder(
  folder: string,
  names: readonly string[],
  found: readonly (readonly number[])[],
  classes: Classes,
  unsure: number,
): Matched {
  const { labels } = classes;
  const among = found[unsure]!.slice(0, 2).join(' and ');
  const what = quote(names[unsure]!) + (among && `, which classes ${among} are called`);
  if (names.length !== labels.length) {
    throw refusal(folder, classes, `${what}, among ${names.length} folders of ${labels.length} classes`);
  }
  const contrary = found.findIndex((indices, at) => indices.length > 0 && !indices.includes(at));
  if (contrary >= 0) {
    const order = `${quote(names[contrary]!)} is folder ${contrary} and class ${found[contrary]![0]}`;
    throw refusal(folder, classes, `${what}; sorted folders are not the classes: ${order}`);
  }
  const natural = [...names].sort(byNumbers);
  const differs = natural.findIndex((name, at) => name !== names[at]);
  if (differs >= 0) {
    throw refusal(
      folder,
      classes,
      `${what}; sorted folders depend on the tool: ${quote(names[differs]!)} or ${quote(natural[differs]!)} is folder ${differs}`,
    );
  }
  const pairs = names.slice(0, 3).map((name, index) => `${quote(name)} is ${quote(labels[index]!)}`);
  const rest = names.length > 3 ? ', …' : '';
  return {
    matched: names.map((_, index) => index),
    byOrder: true,
    warnings: [
      `${folder}: no class for ${what}: the sorted folders are taken as the classes in their order (${pairs.join(', ')}${rest}); --labels CSV gives the classes`,
    ],
  };
}

/** Finds the classes that the name of a folder may mean, by the closest kind of match. */
function candidatesOf({ labels, wnids }: Classes): (name: string) => readonly number[] {
  const ids = index(labels.map((label, at) => [wnids?.[at] ?? leadingWnid(label)]));
  const exact = index(labels.map((label) => [label.normalize()]));
  const loose = index(labels.map((label) => [folded(label)]));
  const parts = index(labels.map((label) => label.split(',').map(folded)));
  return (name) => {
    const id = leadingWnid(name);
    if (id !== undefined && ids.size > 0) return ids.get(id) ?? NEVER;
    return exact.get(name.normalize()) ?? loose.get(folded(name)) ?? parts.get(folded(name)) ?? [];
  };
}

/** For a WordNet id that no class has, although classes have ids: the order cannot decide then. */
const NEVER: readonly number[] = [];

/** The positions of each key. */
function index(keys: readonly (readonly (string | undefined)[])[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const [at, all] of keys.entries()) {
    for (const key of new Set(all)) {
      if (!key) continue;
      const list = found.get(key);
      if (list) list.push(at);
      else found.set(key, [at]);
    }
  }
  return found;
}

/**
 * Normalises Unicode (file systems differ) and case, and replaces word separators and characters
 * that file names cannot have by a space.
 */
function folded(name: string): string {
  return name
    .normalize()
    .toLowerCase()
    .replaceAll(/[\s_\-/\\:*?"<>|]+/g, ' ')
    .trim();
}

/** timm's order: ignores case, compares numbers by value. */
function byNumbers(a: string, b: string): number {
  const [left, right] = [a, b].map((name) => name.toLowerCase().split(/(\d+)/)) as [string[], string[]];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i]!, right[i]!];
    const order = i % 2 ? Number(x) - Number(y) : x < y ? -1 : Number(x > y);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function list(names: readonly string[]): string {
  const more = names.length > NAMES_SHOWN ? `, … (${names.length})` : '';
  return names.slice(0, NAMES_SHOWN).map(quote).join(', ') + more;
}

function refusal(folder: string, { labels }: Classes, found: string): FqvitError {
  return new FqvitError(
    'LABELS',
    `${folder}: expected subfolders named as the classes of the model (${list(labels)}), or --labels; found ${found}`,
  );
}

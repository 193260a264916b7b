import { join } from 'node:path';
import { FqvitError } from '../errors.js';
import { folderEntries, listImages } from './image-folder.js';
import { shown } from './values.js';

/** Labels that a message lists. */
const LABELS_SHOWN = 10;

/** A photo and the index of the class whose name its folder bears. */
interface SortedPhoto {
  readonly file: string;
  readonly class: number;
}

/**
 * The photos of a folder that has a subfolder for each class (`beagle/1.jpg`, `pug/a/7.jpg`): the first of every class, then the
 * second of every class, and so on, so that any number of them has all classes in it.
 *
 * @param labels of the model
 * @throws FqvitError `LABELS` for anything else than subfolders with the name of one class each; as `listImages` for each of them
 */
export async function labelsOfFolders(folder: string, labels: readonly string[]): Promise<SortedPhoto[]> {
  const classes = indices(labels);
  const photos: (SortedPhoto & { rank: number })[] = [];
  for (const { name, isFolder } of await folderEntries(folder)) {
    const [index, twin] = (isFolder && classes.get(name.normalize())) || [];
    if (index === undefined) throw refusal(folder, labels, shown(name));
    if (twin !== undefined)
      throw refusal(folder, labels, `${shown(name)}, which classes ${index} and ${twin} are called`);
    const files = await listImages(join(folder, name));
    photos.push(...files.map((file, rank) => ({ file: `${name}/${file}`, class: index, rank })));
  }
  if (photos.length === 0) throw refusal(folder, labels, 'an empty folder');
  return photos.sort((a, b) => a.rank - b.rank || a.class - b.class);
}

/** The classes of each name, in one Unicode form: file systems differ in theirs. */
function indices(labels: readonly string[]): Map<string, number[]> {
  const classes = new Map<string, number[]>();
  for (const [index, label] of labels.entries()) {
    const name = label.normalize();
    classes.set(name, [...(classes.get(name) ?? []), index]);
  }
  return classes;
}

function refusal(folder: string, labels: readonly string[], found: string): FqvitError {
  const known = labels.slice(0, LABELS_SHOWN).map(shown).join(', ');
  const more = labels.length > LABELS_SHOWN ? `, … (${labels.length})` : '';
  return new FqvitError(
    'LABELS',
    `${folder}: expected subfolders named as the classes of the model (${known}${more}), or --labels; found ${found}`,
  );
}

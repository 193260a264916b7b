import { FqvitError } from '../errors.js';
import { listImages } from './image-folder.js';
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
 * @throws FqvitError `LABELS` for a photo that lies in no such subfolder; as `listImages`
 */
export async function labelsOfFolders(folder: string, labels: readonly string[]): Promise<SortedPhoto[]> {
  const classes = new Map(labels.map((label, index) => [label, index]));
  const counts = new Map<number, number>();
  const photos = (await listImages(folder)).map((file) => {
    const [name, ...rest] = file.split('/') as [string, ...string[]];
    const index = rest.length > 0 ? classes.get(name) : undefined;
    if (index === undefined) {
      const known = labels.slice(0, LABELS_SHOWN).join(', ');
      const more = labels.length > LABELS_SHOWN ? `, … (${labels.length})` : '';
      throw new FqvitError(
        'LABELS',
        `${folder}: expected photos in subfolders named as the classes of the model (${known}${more}), or --labels; found ${shown(file)}`,
      );
    }
    const rank = counts.get(index) ?? 0;
    counts.set(index, rank + 1);
    return { file, class: index, rank };
  });
  return photos.sort((a, b) => a.rank - b.rank || a.class - b.class);
}

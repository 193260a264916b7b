import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expectUtf8, REPLACEMENT, unreadableFolder, walkImages } from '../batch/image-walk.js';
import { FqvitError } from '../errors.js';
import { expectFolder } from '../platform/files.js';

/**
 * The images that `walkImages` finds.
 *
 * @throws RuntimeError `SOURCE`; FqvitError `IMAGES` if there is none
 */
export async function listImages(folder: string): Promise<string[]> {
  await expectFolder(folder);
  const found: string[] = [];
  for await (const path of walkImages(folder)) found.push(path);
  if (found.length === 0) {
    throw new FqvitError('IMAGES', `${folder}: expected images (.jpg, .jpeg, .png, .webp), found none`);
  }
  return found;
}

/** The entries of a folder by code units, without hidden ones. @throws RuntimeError `SOURCE` */
export async function folderEntries(folder: string): Promise<{ name: string; isFolder: boolean }[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw unreadableFolder(folder, cause);
  });
  const visible = entries.filter(({ name }) => !name.startsWith('.'));
  const doubtful = visible.map(({ name }) => name).filter((name) => name.includes(REPLACEMENT));
  if (doubtful.length > 0) await expectUtf8(folder, new Set(doubtful));
  return Promise.all(
    visible
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(async (entry) => {
        const what = entry.isSymbolicLink()
          ? await stat(join(folder, entry.name)).catch(() => undefined)
          : entry;
        return { name: entry.name, isFolder: what?.isDirectory() ?? false };
      }),
  );
}

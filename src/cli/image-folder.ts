import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FqvitError, RuntimeError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';
import { expectFolder } from './files.js';

const IMAGE_NAME = /\.(jpe?g|png|webp)$/i;

/**
 * The images below a folder, as paths from it with `/` between, by code units: the same folder gives the same list on
 * every machine. Links are followed, a folder is visited once, names that begin with a dot are left out.
 *
 * @throws RuntimeError `SOURCE`; FqvitError `IMAGES` where there is none
 */
export async function listImages(folder: string): Promise<string[]> {
  await expectFolder(folder);
  const found: string[] = [];
  await visit(folder, '', new Set(), found);
  if (found.length === 0) {
    throw new FqvitError('IMAGES', `${folder}: expected images (.jpg, .jpeg, .png, .webp), found none`);
  }
  return found.sort(byCodeUnit);
}

/** What a folder holds, but names that begin with a dot, by code units. @throws RuntimeError `SOURCE` */
export async function folderEntries(folder: string): Promise<{ name: string; isFolder: boolean }[]> {
  const visible = (await entries(folder)).filter(({ name }) => !name.startsWith('.'));
  return Promise.all(
    visible.map(async (entry) => {
      const what = entry.isSymbolicLink() ? await behindLink(join(folder, entry.name)) : entry;
      return { name: entry.name, isFolder: what?.isDirectory() ?? false };
    }),
  );
}

async function visit(root: string, below: string, visited: Set<string>, found: string[]): Promise<void> {
  const folder = join(root, below);
  const real = await realpath(folder).catch((cause: unknown) => {
    throw unreadable(folder, cause);
  });
  if (visited.has(real)) return;
  visited.add(real);
  for (const entry of await entries(folder)) {
    if (entry.name.startsWith('.')) continue;
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    const what = entry.isSymbolicLink() ? await behindLink(join(root, path)) : entry;
    if (what?.isDirectory()) await visit(root, path, visited, found);
    // A dangling link counts: whoever reads it says that it is broken.
    else if (IMAGE_NAME.test(entry.name) && (what?.isFile() ?? true)) found.push(path);
  }
}

/** In the order of code units, because which of two ways into a folder comes first decides under which its images are. */
async function entries(folder: string): Promise<Dirent[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).sort((a, b) => byCodeUnit(a.name, b.name));
  } catch (cause) {
    throw unreadable(folder, cause);
  }
}

function unreadable(folder: string, cause: unknown): RuntimeError {
  return new RuntimeError('SOURCE', `${folder}: expected a readable folder, found ${systemReason(cause)}`, {
    cause,
  });
}

async function behindLink(path: string) {
  return stat(path).catch(() => undefined);
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

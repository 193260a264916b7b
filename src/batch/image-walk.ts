import type { Dirent } from 'node:fs';
import { opendir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';

const IMAGE_NAME = /\.(jpe?g|png|webp)$/i;

/** Whether a file of this name counts as a photo. */
export function isImageName(name: string): boolean {
  return IMAGE_NAME.test(name);
}

/** Links that are looked behind at a time: the file system may be on another machine. */
const LINKS_AT_ONCE = 64;

/**
 * The images below a folder, as paths from it with `/` between, by code units: the same folder gives the same list on
 * every machine. Links are followed, a folder is visited once, names that begin with a dot are left out. Of names it holds those of
 * a folder and of the folders above.
 *
 * @throws RuntimeError `SOURCE`
 */
export function walkImages(folder: string): AsyncGenerator<string> {
  return visit(folder, '', new Set());
}

async function* visit(root: string, below: string, visited: Set<string>): AsyncGenerator<string> {
  const folder = join(root, below);
  const real = await realpath(folder).catch((cause: unknown) => {
    throw unreadable(folder, cause);
  });
  if (visited.has(real)) return;
  visited.add(real);
  for (const name of await names(folder)) {
    if (name.endsWith('/')) yield* visit(root, below + name, visited);
    else yield below + name;
  }
}

/**
 * The images of a folder and, with `/` behind them, its folders: then what is below them stands in the order of whole paths. Also, which of
 * two ways into a folder comes first decides under which its images are.
 */
async function names(folder: string): Promise<string[]> {
  const found: string[] = [];
  let links: string[] = [];
  const follow = async () => {
    found.push(...(await Promise.all(links.map((name) => behindLink(folder, name)))).flat());
    links = [];
  };
  try {
    for await (const entry of await opendir(folder, { bufferSize: 1024 })) {
      if (entry.name.startsWith('.')) continue;
      if (entry.isSymbolicLink()) links.push(entry.name);
      else found.push(...wanted(entry.name, entry));
      if (links.length === LINKS_AT_ONCE) await follow();
    }
  } catch (cause) {
    throw unreadable(folder, cause);
  }
  await follow();
  return found.sort();
}

async function behindLink(folder: string, name: string): Promise<string[]> {
  return wanted(name, await stat(join(folder, name)).catch(() => undefined));
}

/** None or one. A dangling link counts: whoever reads it says that it is broken. */
function wanted(name: string, what: Pick<Dirent, 'isFile' | 'isDirectory'> | undefined): string[] {
  if (what?.isDirectory()) return [`${name}/`];
  return isImageName(name) && (what?.isFile() ?? true) ? [name] : [];
}

export function unreadable(folder: string, cause: unknown): RuntimeError {
  return new RuntimeError('SOURCE', `${folder}: expected a readable folder, found ${systemReason(cause)}`, {
    cause,
  });
}

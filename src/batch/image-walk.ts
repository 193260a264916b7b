import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { opendir, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RuntimeError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';

const IMAGE_NAME = /\.(jpe?g|png|webp)$/i;

/** Whether a file of this name counts as a photo. */
export function isImageName(name: string): boolean {
  return IMAGE_NAME.test(name);
}

/** Links that are followed at the same time: the file system may be on another machine. */
const LINKS_AT_ONCE = 64;

/**
 * The images below a folder as relative paths with `/`, sorted by code units: the same folder gives
 * the same list on every machine. Follows links, visits each folder once, and skips names that
 * begin with a dot. Holds only the names of a folder and of the folders above it.
 *
 * @throws RuntimeError `SOURCE`, also for a name that is not UTF-8, to which no path leads
 */
export function walkImages(folder: string): AsyncGenerator<string> {
  return visit(folder, '', new Set());
}

async function* visit(root: string, below: string, visited: Set<string>): AsyncGenerator<string> {
  const folder = join(root, below);
  // latin1 keeps every byte, even of names that are not UTF-8
  const real = await realpath(folder, 'latin1').catch((cause: unknown) => {
    throw unreadableFolder(folder, cause);
  });
  if (visited.has(real)) return;
  visited.add(real);
  for (const name of await names(folder)) {
    if (name.endsWith('/')) yield* visit(root, below + name, visited);
    else yield below + name;
  }
}

/**
 * The images of a folder, and its folders with a trailing `/`: sorted like this, the walk follows
 * the order of whole paths. If two paths lead to a folder, the first one names its images.
 */
async function names(folder: string): Promise<string[]> {
  const found: string[] = [];
  let links: string[] = [];
  const doubtful = new Set<string>();
  const follow = async () => {
    found.push(...(await Promise.all(links.map((name) => behindLink(folder, name)))).flat());
    links = [];
  };
  try {
    for await (const entry of await opendir(folder, { bufferSize: 1024 })) {
      if (entry.name.startsWith('.')) continue;
      const isWanted = !entry.isFile() || IMAGE_NAME.test(entry.name);
      if (isWanted && entry.name.includes(REPLACEMENT)) doubtful.add(entry.name);
      if (entry.isSymbolicLink()) links.push(entry.name);
      else found.push(...wanted(entry.name, entry));
      if (links.length === LINKS_AT_ONCE) await follow();
    }
  } catch (cause) {
    throw unreadableFolder(folder, cause);
  }
  await follow();
  if (doubtful.size > 0) await expectUtf8(folder, doubtful);
  return found.sort();
}

/** The replacement character for bytes that are not UTF-8; a valid name may contain it too. */
export const REPLACEMENT = '\ufffd';

/** @throws RuntimeError `SOURCE` if one of these names is not UTF-8 on disk */
export async function expectUtf8(folder: string, doubtful: ReadonlySet<string>): Promise<void> {
  const names = await readdir(folder, 'buffer');
  const [first, ...others] = names.filter((name) => !isUtf8(name) && doubtful.has(name.toString()));
  if (first === undefined) return;
  const more = others.length === 0 ? '' : `, and ${others.length} more such names beside it`;
  throw new RuntimeError(
    'SOURCE',
    `${join(folder, escapeBytes(first))}: expected a name in UTF-8, found other bytes${more}`,
  );
}

/** `caf\xe9.png` */
export function escapeBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

async function behindLink(folder: string, name: string): Promise<string[]> {
  return wanted(name, await stat(join(folder, name)).catch(() => undefined));
}

/** None or one entry. A dangling link counts: reading it reports that it is broken. */
function wanted(name: string, what: Pick<Dirent, 'isFile' | 'isDirectory'> | undefined): string[] {
  if (what?.isDirectory()) return [`${name}/`];
  return isImageName(name) && (what?.isFile() ?? true) ? [name] : [];
}

export function unreadableFolder(folder: string, cause: unknown): RuntimeError {
  return new RuntimeError('SOURCE', `${folder}: expected a readable folder, found ${systemReason(cause)}`, {
    cause,
  });
}

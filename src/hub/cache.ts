/**
 * A model in the cache folder that all tools of the hub share:
 *
 *     models--owner--name/refs/main                    the commit that `main` named last
 *                         trees/COMMIT.json            its files, with sizes and hashes
 *                         blobs/HASH                   their bytes
 *                         snapshots/COMMIT/config.json a link to its blob
 */

import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { HubId } from './id.js';
import { blobName, checkFile, isCommit, type ListedFile } from './listing.js';

/** The version of `trees/COMMIT.json`. */
const TREE_VERSION = 1;

export class HubCache {
  readonly folder: string;
  readonly #id: HubId;

  constructor(cacheDir: string, id: HubId) {
    this.#id = id;
    this.folder = join(cacheDir, `models--${id.name.replace('/', '--')}`);
  }

  get blobs(): string {
    return join(this.folder, 'blobs');
  }

  /** The folder with the files of a commit under their own names. */
  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  /** The commit that the revision last named. */
  async commit(): Promise<string | undefined> {
    const { revision } = this.#id;
    if (isCommit(revision)) {
      return (await found(this.snapshot(revision)))?.isDirectory() ? revision : undefined;
    }
    const commit = (await readFile(this.#ref, 'utf8').catch(() => '')).trim();
    return isCommit(commit) ? commit : undefined;
  }

  /**
   * All files of a commit, as the hub once listed them; undefined if the listing is damaged or has
   * another version.
   */
  async listing(commit: string): Promise<ListedFile[] | undefined> {
    try {
      const tree = JSON.parse(await readFile(this.#tree(commit), 'utf8'));
      if (tree.format_version !== TREE_VERSION) return undefined;
      return Object.entries<Record<string, unknown>>(tree.files).map(([path, entry]) => {
        const { size, blob_id: oid, lfs_sha256: sha256, lfs_size: lfsSize, xet_hash: xetHash } = entry;
        const lfs = sha256 === undefined ? undefined : { oid: sha256, size: lfsSize };
        return checkFile({ path, size, oid, lfs, xetHash }, path);
      });
    } catch {
      return undefined;
    }
  }

  /** The files of a commit that are in the cache. */
  async held(commit: string): Promise<Pick<ListedFile, 'path' | 'size'>[]> {
    const folder = this.snapshot(commit);
    const files = [];
    for (const name of await readdir(folder, { recursive: true }).catch(() => [])) {
      const file = await found(join(folder, name));
      if (file?.isFile()) files.push({ path: name.replaceAll(sep, '/'), size: file.size });
    }
    return files.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  path(commit: string, file: string): string {
    return join(this.snapshot(commit), ...file.split('/'));
  }

  /** Whether a file is here. If its bytes came with another commit, links its name to them. */
  async provides(commit: string, file: ListedFile): Promise<boolean> {
    if ((await found(this.path(commit, file.path)))?.isFile()) return true;
    if ((await found(join(this.blobs, blobName(file))))?.size !== file.size) return false;
    await this.link(commit, file);
    return true;
  }

  /** Gives the bytes of a file its name in a commit, by a link or, if that fails, a copy. */
  async link(commit: string, file: ListedFile): Promise<void> {
    const blob = join(this.blobs, blobName(file));
    const link = this.path(commit, file.path);
    await this.#put(link, (temporary) =>
      symlink(relative(dirname(link), blob), temporary).catch(() => copyFile(blob, temporary)),
    );
  }

  /** Stores what the hub said for use offline. The snapshot must exist. */
  async remember(commit: string, files: readonly ListedFile[]): Promise<void> {
    if ((await this.commit()) !== commit) {
      await this.#put(this.#ref, (temporary) => writeFile(temporary, commit));
    }
    if (await this.listing(commit)) return;
    const entries = files.map((file) => [file.path, treeEntry(file)]);
    const tree = { format_version: TREE_VERSION, files: Object.fromEntries(entries) };
    const text = JSON.stringify(tree, null, 1);
    await this.#put(this.#tree(commit), (temporary) => writeFile(temporary, text));
  }

  get #ref(): string {
    return join(this.folder, 'refs', ...this.#id.revision.split('/'));
  }

  #tree(commit: string): string {
    return join(this.folder, 'trees', `${commit}.json`);
  }

  /** Atomic: written outside the folders that other tools read, then renamed. */
  async #put(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
    const temporary = join(this.folder, `.fqvit-${randomBytes(6).toString('hex')}.tmp`);
    await mkdir(dirname(path), { recursive: true });
    try {
      await make(temporary);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

function treeEntry({ size, oid, sha256, xetHash }: ListedFile): Record<string, unknown> {
  const lfs = sha256 === undefined ? {} : { lfs_sha256: sha256, lfs_size: size };
  return { size, blob_id: oid, ...lfs, ...(xetHash === undefined ? {} : { xet_hash: xetHash }) };
}

/** Follows links; undefined if nothing is there. */
function found(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined);
}

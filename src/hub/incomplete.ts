/**
 * A blob that is still arriving: `blobs/HASH.OWNER.incomplete`. Its owner alone writes it, since it takes the file by renaming it;
 * what it leaves behind, another may take over and go on with.
 */

import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { blobName, type ListedFile } from './listing.js';

/** The owner of a file that was left in good order. */
const NOBODY = 'free';

/** Of a process on another machine or in another container only the time of its last write is known. */
const ABANDONED_MS = 600_000;

const READ_BYTES = 2 ** 20;

export class IncompleteBlob {
  readonly #file: ListedFile;
  readonly #blobs: string;
  readonly #path: string;
  readonly #handle: FileHandle;
  #hash;
  #length = 0;
  #whole = true;

  private constructor(file: ListedFile, blobs: string, path: string, handle: FileHandle) {
    this.#file = file;
    this.#blobs = blobs;
    this.#path = path;
    this.#handle = handle;
    this.#hash = startHash(file);
  }

  /** Takes over what an earlier attempt has left of the file, or starts anew. */
  static async take(
    file: ListedFile,
    blobs: string,
    signal: AbortSignal | undefined,
  ): Promise<IncompleteBlob> {
    await mkdir(blobs, { recursive: true });
    const path = nameOf(file, blobs, `${machine()}-${process.pid}-${randomBytes(4).toString('hex')}`);
    let taken = false;
    for (const left of await leftovers(file, blobs)) {
      // Of two that take one file the second finds it gone. One file is enough.
      if (taken) await rm(left, { force: true });
      else taken = await renamed(left, path);
    }
    const handle = await open(path, taken ? 'r+' : 'wx+');
    const blob = new IncompleteBlob(file, blobs, path, handle);
    try {
      await blob.#readBack(signal);
      return blob;
    } catch (error) {
      await blob.leave();
      throw error;
    }
  }

  /** Bytes that are here. */
  get length(): number {
    return this.#length;
  }

  /** Whether it comes in one answer, and not in pieces that might not belong together. */
  get whole(): boolean {
    return this.#whole;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, at, bytes.length - at, this.#length);
      this.#hash.update(bytes.subarray(at, at + bytesWritten));
      this.#length += bytesWritten;
      at += bytesWritten;
    }
  }

  /** What is appended from now on comes with an answer of its own. */
  goOn(): void {
    this.#whole = this.#length === 0;
  }

  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = startHash(this.#file);
    this.#length = 0;
    this.#whole = true;
  }

  /** The hash of what is here, as `blobName` gives that of the file. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** It is complete: gives it its name in the cache. */
  async finish(): Promise<void> {
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#path, join(this.#blobs, blobName(this.#file)));
  }

  /** Leaves what is here for another attempt. */
  async leave(): Promise<void> {
    await this.#handle.close();
    if (this.#length === 0) await rm(this.#path, { force: true });
    else await rename(this.#path, nameOf(this.#file, this.#blobs, NOBODY));
  }

  async #readBack(signal: AbortSignal | undefined): Promise<void> {
    const { size } = await this.#handle.stat();
    if (size > this.#file.size) return this.restart();
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size));
    while (this.#length < size) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#length);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#length += bytesRead;
      this.#whole = false;
    }
  }
}

/** Of the bytes alone, or as git hashes them. */
function startHash({ sha256, size }: ListedFile) {
  return sha256 === undefined ? createHash('sha1').update(`blob ${size}\0`) : createHash('sha256');
}

function nameOf(file: ListedFile, blobs: string, owner: string): string {
  return join(blobs, `${blobName(file)}.${owner}.incomplete`);
}

async function leftovers(file: ListedFile, blobs: string): Promise<string[]> {
  const left = [];
  const form = new RegExp(`^${blobName(file)}\\.([\\w-]+)\\.incomplete$`);
  for (const name of await readdir(blobs)) {
    const owner = form.exec(name)?.[1];
    const path = join(blobs, name);
    if (owner !== undefined && (await isLeft(path, owner))) left.push(path);
  }
  return left;
}

async function isLeft(path: string, owner: string): Promise<boolean> {
  if (owner === NOBODY) return true;
  const [host, pid] = owner.split('-');
  if (host === machine()) return !isRunning(Number(pid));
  const written = (await stat(path).catch(() => undefined))?.mtimeMs ?? Number.POSITIVE_INFINITY;
  return Date.now() - written > ABANDONED_MS;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function machine(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
}

function renamed(from: string, to: string): Promise<boolean> {
  return rename(from, to).then(
    () => true,
    () => false,
  );
}

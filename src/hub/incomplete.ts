/**
 * A blob during its download: `blobs/HASH.OWNER.incomplete`. A process takes the file by renaming
 * it, so that only its owner writes it. Another process can take over and continue a file that its
 * owner left.
 */

import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { blobName, type ListedFile } from './listing.js';

/** The owner in the name of a file that was closed properly. */
const NOBODY = 'free';

/** For a process on another machine or in another container, only the last write time is known. */
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

  /** Takes over the file of an earlier attempt, or starts a new one. */
  static async take(
    file: ListedFile,
    blobs: string,
    signal: AbortSignal | undefined,
  ): Promise<IncompleteBlob> {
    await mkdir(blobs, { recursive: true });
    const path = nameOf(file, blobs, `${machine()}-${process.pid}-${randomBytes(4).toString('hex')}`);
    let taken = false;
    for (const left of await leftovers(file, blobs)) {
      // If two processes take one file, the second finds it gone and tries the next.
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

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** Whether all bytes came in one answer. Pieces may come from different versions. */
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

  /** Declares that the bytes from here on come with another answer. */
  goOn(): void {
    this.#whole = this.#length === 0;
  }

  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = startHash(this.#file);
    this.#length = 0;
    this.#whole = true;
  }

  /** The hash of the bytes so far, in the form of `blobName`. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** Gives the complete file its name in the cache. */
  async finish(): Promise<void> {
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#path, join(this.#blobs, blobName(this.#file)));
  }

  /** Closes the file and leaves its bytes for another attempt. */
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

/** Hashes the plain bytes, or hashes them as git does. */
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
    // EPERM: it runs under another user.
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

import { readFile, stat } from 'node:fs/promises';
import { RuntimeError } from '../errors.js';
import { shownSource } from './address.js';
import { checkSize, type NamedBytes, type ReadOptions, unreadableSource } from './read-options.js';

/** A file: Node, Deno and Bun. @throws RuntimeError `SOURCE`; the reason of `signal` */
export async function readPath(source: string | URL, options: ReadOptions): Promise<NamedBytes> {
  const { signal, onProgress } = options;
  const name = shownSource(source).replaceAll('\0', '\\0') || '""';
  const failed = (cause: unknown): never => {
    signal?.throwIfAborted();
    throw unreadableSource(name, 'a readable file', cause);
  };
  const path = await toPath(source).catch(failed);
  const found = await stat(path).catch(failed);
  // Opening a pipe can block a thread for ever, and a device may never end.
  if (!found.isFile() && !found.isDirectory()) {
    throw new RuntimeError('SOURCE', `${name}: expected a file, found a pipe or device`);
  }
  checkSize(found.size, name, options);
  const { buffer, byteOffset, length } = await readFile(path, { signal }).catch(failed);
  onProgress?.(length, length);
  return { bytes: new Uint8Array(buffer, byteOffset, length), name };
}

async function toPath(source: string | URL): Promise<string | URL> {
  return typeof source === 'string' && /^file:\//i.test(source) ? new URL(source) : source;
}

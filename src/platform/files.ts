import { stat } from 'node:fs/promises';
import { FqvitError, RuntimeError } from '../errors.js';
import { quote } from '../text/quote.js';
import { isAddress, shownSource } from './address.js';
import { readBytes } from './bytes.js';
import { pathReason } from './system-reason.js';

/** Whether this is a URL and not a path. */
export function isUrl(source: string): boolean {
  return isAddress(source) || /^file:\//i.test(source);
}

/**
 * Refuses a path that is not a file. Pipes and devices count as files.
 *
 * @param hint what to do with a folder
 * @throws RuntimeError `SOURCE`
 */
export async function expectFile(path: string, hint?: string): Promise<void> {
  if (isUrl(path)) return;
  if ((await kind(path, 'a file')) === 'file') return;
  throw source(path, 'a file', hint === undefined ? 'a folder' : `a folder; ${hint}`);
}

/** @throws RuntimeError `SOURCE` */
export async function expectFolder(path: string): Promise<void> {
  if ((await kind(path, 'a folder')) === 'file') throw source(path, 'a folder', 'a file');
}

/** The UTF-8 text of a file. @throws RuntimeError `SOURCE`, FqvitError `TEXT` */
export async function readText(path: string): Promise<string> {
  await expectFile(path);
  const { bytes } = await readBytes(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FqvitError('TEXT', `${path}: expected UTF-8 text, found other bytes`, { cause });
  }
}

/** @throws RuntimeError `SOURCE` if there is neither */
export async function kind(path: string, expected: string): Promise<'file' | 'folder'> {
  if (path.includes('\0')) throw source(path, 'a path', 'a NUL character in it');
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (cause) {
    throw source(path, expected, pathReason(path, cause), cause);
  }
}

function source(path: string, expected: string, found: string, cause?: unknown): RuntimeError {
  const name = path.includes('\0') ? quote(path) : shownSource(path);
  return new RuntimeError('SOURCE', `${name}: expected ${expected}, found ${found}`, { cause });
}

import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FqvitError } from '../errors.js';
import { quote } from '../text/quote.js';
import { systemReason } from './system-reason.js';

export interface OutputOptions {
  /** Replace an existing file. */
  force: boolean;
  /** Files that must not be replaced, since they are read. */
  inputs: readonly string[];
  /** The other output, as `checkOutput` returned it. */
  other?: string;
}

/**
 * Checks before any work whether a file can be written.
 *
 * @returns the path to write, with links resolved
 * @throws FqvitError `OUTPUT_EXISTS` without `force`; `OUTPUT` for a folder, a file in a missing or
 *   read-only folder, an input, or the other output
 */
export function checkOutput(path: string, { force, inputs, other }: OutputOptions): string {
  if (path.includes('\0')) throw refusal(path, 'a path', 'a NUL character in it');
  if (/[\\/]$/.test(path)) throw refusal(path, 'a file to write', 'the name of a folder');
  const there = existing(path, force);
  expectNoInput(path, inputs);
  const target = there ?? path;
  const folder = dirname(target);
  try {
    if (!statSync(folder).isDirectory()) throw refusal(folder, 'a folder for the output', 'a file');
    accessSync(folder, constants.W_OK);
  } catch (cause) {
    if (cause instanceof FqvitError) throw cause;
    throw refusal(folder, 'a folder for the output', systemReason(cause), cause);
  }
  if (other !== undefined && realTarget(other) === realTarget(target)) {
    throw refusal(path, 'a different file for each output', 'the same');
  }
  return target;
}

/** @throws FqvitError `OUTPUT` for a path to an input, through links too */
export function expectNoInput(path: string, inputs: readonly string[]): void {
  const own = realPath(path);
  if (own !== undefined && inputs.some((input) => realPath(input) === own)) {
    throw refusal(path, 'a file other than the input', 'the input itself');
  }
}

/**
 * Writes a whole file or none: to a temporary file next to it, synced to the disk, then renamed.
 * It is synchronous, so that no signal is handled in between.
 *
 * @throws FqvitError `OUTPUT`, `OUTPUT_EXISTS`
 */
export function writeOutput(path: string, bytes: Uint8Array, { force }: Pick<OutputOptions, 'force'>): void {
  const temporary = join(dirname(path), `.fqvit-${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = openSync(temporary, 'wx');
    try {
      writeFileSync(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // again: another run may have taken the name
    existing(path, force);
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    if (cause instanceof FqvitError) throw cause;
    throw refusal(path, `room for ${bytes.length} bytes`, systemReason(cause), cause);
  }
}

/** The file at `path`, with links resolved; undefined if the name is free. */
function existing(path: string, force: boolean): string | undefined {
  let target: Stats | undefined;
  try {
    lstatSync(path);
    target = statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw refusal(path, 'a file to write', systemReason(cause), cause);
  }
  if (target?.isDirectory()) throw refusal(path, 'a file to write', 'a folder');
  if (target && !target.isFile()) throw refusal(path, 'a file to write', 'a device or pipe');
  if (!force) {
    throw new FqvitError('OUTPUT_EXISTS', `${path}: expected a free name, found a file; --force replaces it`);
  }
  return target ? realpathSync(path) : path;
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** The one name of a file in an existing folder, whatever links lead to it. */
function realTarget(path: string): string {
  return join(realpathSync(dirname(path)), basename(path));
}

function refusal(path: string, expected: string, found: string, cause?: unknown): FqvitError {
  const name = path.includes('\0') ? quote(path) : path;
  return new FqvitError('OUTPUT', `${name}: expected ${expected}, found ${found}`, { cause });
}

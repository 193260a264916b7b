import { accessSync, closeSync, constants, existsSync, fsyncSync, openSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FqvitError } from '../errors.js';
import { expectFolder } from '../platform/files.js';
import { writeOutput } from '../platform/output-file.js';
import { systemReason } from '../platform/system-reason.js';
import type { PartOutput } from './output.js';

/**
 * Parts in a folder that must exist: if a shared folder is not mounted, none may be created in its
 * place.
 *
 * @throws RuntimeError `SOURCE`; FqvitError `OUTPUT` if the folder cannot be written
 */
export async function openFolder(folder: string): Promise<PartOutput> {
  await expectFolder(folder);
  try {
    accessSync(folder, constants.W_OK);
  } catch (cause) {
    refuse(folder, cause);
  }
  return {
    async write(name, bytes) {
      writeOutput(join(folder, name), bytes, { force: true });
      flush(folder);
    },
    async missing(names) {
      const there = new Set(await readdir(folder).catch((cause: unknown) => refuse(folder, cause)));
      // a shared folder may list another machine's files late, but finds them at once
      return names.filter((name) => !there.has(name) && !existsSync(join(folder, name)));
    },
  };
}

/**
 * A part is done only when its name survives a power failure too. Some systems cannot flush a
 * folder.
 */
function flush(folder: string): void {
  try {
    const file = openSync(folder, 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch {}
}

function refuse(folder: string, cause: unknown): never {
  const found = systemReason(cause);
  throw new FqvitError('OUTPUT', `${folder}: expected a folder for the output, found ${found}`, { cause });
}

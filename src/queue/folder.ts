import { accessSync, closeSync, constants, existsSync, fsyncSync, openSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expectFolder } from '../cli/files.js';
import { writeOutput } from '../cli/output-file.js';
import { FqvitError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';
import type { PartOutput } from './output.js';

/**
 * Parts in a folder, which has to be there: where a shared one is not mounted, none should be made in its place.
 *
 * @throws RuntimeError `SOURCE`; FqvitError `OUTPUT` where it cannot be written
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
      // a shared folder may list late what another machine has written, and not find it late
      return names.filter((name) => !there.has(name) && !existsSync(join(folder, name)));
    },
  };
}

/** A part is done only when its name, too, outlives a power failure. Not every system can flush a folder. */
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

import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { expectFolder } from '../cli/files.js';
import { writeOutput } from '../cli/output-file.js';
import { FqvitError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';
import type { PartOutput } from './work.js';

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
    const found = systemReason(cause);
    throw new FqvitError('OUTPUT', `${folder}: expected a folder for the output, found ${found}`, { cause });
  }
  return {
    write: async (name, bytes) => writeOutput(join(folder, name), bytes, { force: true }),
  };
}

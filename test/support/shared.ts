import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, test } from '@jest/globals';

/** The folder of reference data next to a working copy; most users do not have it. */
export const shared = fileURLToPath(new URL('../../../shared/', import.meta.url));

export function readShared(path: string): Uint8Array {
  return new Uint8Array(readFileSync(`${shared}${path}`));
}

export function readSharedJson<T>(path: string): T {
  return JSON.parse(readFileSync(`${shared}${path}`, 'utf8')) as T;
}

/**
 * A suite that needs reference data. If one of its files is absent, it is one skipped test, and a
 * warning counts the tests: others may have a folder of that name with other files.
 *
 * @param count tests in the suite
 * @param files that it reads, relative to ../shared; of a folder of photos, one
 */
export function describeWithShared(
  name: string,
  count: number,
  files: readonly string[],
  suite: () => void,
): void {
  const absent = files.find((file) => !existsSync(`${shared}${file}`));
  if (absent === undefined) {
    describe(name, suite);
    return;
  }
  console.warn(`SKIPPED ${count} tests (${name}): ../shared/${absent} is absent`);
  test.skip(name, () => {});
}

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, test } from '@jest/globals';

/** A file in the packages of test/runtimes: engines, bundlers, checkers. */
export const runtimePath = (path: string): string =>
  fileURLToPath(new URL(`../runtimes/node_modules/${path}`, import.meta.url));

/** A suite that needs files which may be absent: it is then one skipped test. */
export function describeWith(name: string, paths: readonly string[], suite: () => void): void {
  const absent = paths.filter((path) => !existsSync(path));
  if (absent.length === 0) {
    describe(name, suite);
    return;
  }
  console.warn(`SKIPPED 1 suite (${name}): ${absent.join(', ')} is absent`);
  test.skip(name, () => {});
}

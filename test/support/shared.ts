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
 * A suite that needs the reference data. If that is absent, it is one skipped test, and a warning
 * counts the tests.
 * @param count tests in the suite
 * @param path the part of the data that it needs
 */
export function describeWithShared(name: string, count: number, suite: () => void, path = ''): void {
  if (existsSync(`${shared}${path}`)) {
    describe(name, suite);
    return;
  }
  console.warn(`SKIPPED ${count} tests (${name}): ../shared/${path} is absent`);
  test.skip(name, () => {});
}

import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ModelCache } from './model-cache.js';

/** A folder: `fqvit` in `XDG_CACHE_HOME` or `~/.cache`. Undefined for a source that is a file. */
export function cacheFor(source: string | URL): ModelCache | undefined {
  if (!/^https?:/i.test(String(source))) return undefined;
  return {
    async get(sha256) {
      const path = join(place(), sha256);
      // opening a pipe can block a thread for ever
      return (await stat(path)).isFile() ? readFile(path) : undefined;
    },
    async put(sha256, bytes) {
      const folder = place();
      await mkdir(folder, { recursive: true });
      const temporary = join(folder, `${sha256}.${crypto.randomUUID()}.tmp`);
      try {
        await writeFile(temporary, bytes);
        await rename(temporary, join(folder, sha256));
      } finally {
        await rm(temporary, { force: true });
      }
    },
  };
}

/** Fails without variables and home: a user without an entry, Deno without the permission. */
function place(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'fqvit');
}

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ModelCache } from './model-cache.js';

/** A folder of files: `fqvit` in `XDG_CACHE_HOME` or `~/.cache`. Undefined for what is a file already. */
export function cacheFor(source: string | URL): ModelCache | undefined {
  if (!/^https?:/i.test(String(source))) return undefined;
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'fqvit');
  return {
    get: (sha256) => readFile(join(folder, sha256)),
    async put(sha256, bytes) {
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

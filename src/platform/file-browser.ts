import type { NamedBytes, ReadOptions } from './read-options.js';
import { readUrl } from './read-url.js';

/** Where there are no files a path is an address, which a page takes from its own. @throws as `readUrl` */
export function readPath(source: string | URL, options: ReadOptions): Promise<NamedBytes> {
  return readUrl(String(source), options);
}

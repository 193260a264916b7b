import type { NamedBytes, ReadOptions } from './read-options.js';
import { readUrl } from './read-url.js';

/** Without files, a path is an address relative to the page. @throws as `readUrl` */
export function readPath(source: string | URL, options: ReadOptions): Promise<NamedBytes> {
  return readUrl(String(source), options);
}

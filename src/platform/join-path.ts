import { isAbsolute, join } from 'node:path';

/** The path of a file in a folder, never one that looks like an address (`./http:x.png`). */
export function joinPath(folder: string, name: string): string {
  const path = join(folder, name);
  return !isAbsolute(path) && /^[a-z][a-z\d+.-]*:/i.test(path) ? `./${path}` : path;
}

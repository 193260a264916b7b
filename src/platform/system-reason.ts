const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'nothing of that name',
  ENOTDIR: 'a file among its folders',
  EISDIR: 'a folder',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'a read-only file system',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'no space left in the quota',
  EFBIG: 'a limit on the size of files',
  ENAMETOOLONG: 'a name that is too long',
  ELOOP: 'a loop of links',
  EADDRINUSE: 'another program there',
  EADDRNOTAVAIL: 'none of this machine',
  ECONNRESET: 'a connection that ended',
  ETIMEDOUT: 'no answer in time',
  ENOTFOUND: 'a name that nobody has',
};

/** The system's error, in words if they are known. */
export function systemReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  const words = code === undefined ? undefined : REASONS[code];
  return words === undefined ? String(code ?? error) : `${words} (${code})`;
}

/** As `systemReason`, for a path; it also explains addresses and names that are not UTF-8. */
export function pathReason(path: string, error: unknown): string {
  const scheme = /^([a-z][a-z\d+.-]+):\/\//i.exec(path)?.[1];
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return systemReason(error);
  if (scheme !== undefined) return `an address of ${scheme.toLowerCase()}:, from which nothing is read here`;
  // Node decodes arguments that are not UTF-8 to this character
  if (path.includes('\ufffd'))
    return `${systemReason(error)}; it has U+FFFD, which stands for bytes that are not UTF-8`;
  return systemReason(error);
}

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

/** What the system said, in words where they are known. */
export function systemReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  const words = code === undefined ? undefined : REASONS[code];
  return words === undefined ? String(code ?? error) : `${words} (${code})`;
}

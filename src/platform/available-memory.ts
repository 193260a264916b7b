import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname } from 'node:path/posix';

/** Bytes to assume if the process may not ask: Deno without --allow-sys. */
const ASSUMED_BYTES = 4 * 2 ** 30;

/** Bytes that this process may use: the machine's memory or the lowest limit of its containers. */
export function availableMemory(read: (path: string) => string | undefined = textOf): number {
  return Math.min(machineMemory(), ...cgroupLimits(read));
}

function machineMemory(): number {
  try {
    return totalmem();
  } catch {
    return ASSUMED_BYTES;
  }
}

/** The limits of Linux control groups, v1 and v2, from this process's group up to the root. */
function cgroupLimits(read: (path: string) => string | undefined): number[] {
  const limits: number[] = [];
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || group === undefined) continue;
    const [root, file] =
      controllers === ''
        ? ['/sys/fs/cgroup', 'memory.max']
        : controllers.split(',').includes('memory')
          ? ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes']
          : [];
    if (root === undefined) continue;
    for (let at = group; ; at = dirname(at)) {
      // In a container the root may be the group itself, whatever the path says. "max" and 2^63 are
      // no limits.
      const limit = Number.parseInt(read(`${root}${at === '/' ? '' : at}/${file}`) ?? '', 10);
      if (limit > 0) limits.push(limit);
      if (at === '/') break;
    }
  }
  return limits;
}

/** Undefined if the file is missing or may not be read. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

import { cpus, loadavg } from 'node:os';

const before = loadavg()[0]!;

/** The machine, the engine, and the load average of a minute at the start and now. */
export function machine() {
  const versions = process.versions as NodeJS.ProcessVersions & { deno?: string; bun?: string };
  const engine = versions.deno ? 'deno' : versions.bun ? 'bun' : 'node';
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    platform: process.platform,
    arch: process.arch,
    engine,
    version: versions[engine]!,
    load: { before, after: loadavg()[0]! },
  };
}

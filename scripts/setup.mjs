// Sets a fresh clone up: installs the dependencies of the lock file and builds, each only where it is needed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Newest modification below a file or folder; 0 where there is none. */
function newest(path) {
  const full = `${root}${path}`;
  if (!existsSync(full)) return 0;
  const stat = statSync(full);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(full).map((name) => newest(`${path}/${name}`)));
}

function npm(...args) {
  console.error(`npm ${args.join(' ')}`);
  // stdout stays free for what the caller prints
  execFileSync('npm', args, {
    cwd: root,
    stdio: ['ignore', process.stderr, process.stderr],
    shell: process.platform === 'win32',
  });
}

export function setup() {
  // not `npm ci`: it refuses a lock file made where optional builds for other platforms could not be seen
  if (newest('node_modules/.package-lock.json') < newest('package-lock.json'))
    npm('install', '--ignore-scripts', '--no-save', '--no-audit', '--no-fund');
  const stale = (outputs, inputs) => {
    const built = Math.min(...outputs.map(newest));
    return inputs.some((input) => newest(input) > built);
  };
  const modules = ['scalar', 'simd', 'relaxed', 'simd-threads', 'relaxed-threads', 'probe', 'float'].map(
    (name) => `wasm/fqvit.${name}.wasm`,
  );
  if (stale(modules, ['assembly', 'asconfig.json'])) npm('run', '--silent', 'build:wasm');
  if (stale(['dist/index.js', 'dist/cli/main.js'], ['src', 'tsconfig.json', 'tsconfig.build.json']))
    npm('run', '--silent', 'build:ts');
}

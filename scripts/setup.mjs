// Sets up a fresh clone: installs the dependencies of the lock file and builds, where needed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { KERNEL_MODULES } from './kernel-modules.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The newest modification time of a file, or in a folder; 0 if there is none. */
function newest(path) {
  const full = `${root}${path}`;
  if (!existsSync(full)) return 0;
  const stat = statSync(full);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(full).map((name) => newest(`${path}/${name}`)));
}

const INSTALL = ['install', '--ignore-scripts', '--no-save', '--no-audit', '--no-fund'];

function npm(...args) {
  console.error(`npm ${args.join(' ')}`);
  // stdout is for the caller's output
  execFileSync('npm', args, {
    cwd: root,
    stdio: ['ignore', process.stderr, process.stderr],
    shell: process.platform === 'win32',
  });
}

export function setup() {
  // `npm ci` refuses a lock file that lacks optional builds for other platforms
  if (newest('node_modules/.package-lock.json') < newest('package-lock.json')) npm(...INSTALL);
  const stale = (outputs, inputs) => {
    const built = Math.min(...outputs.map(newest));
    return inputs.some((input) => newest(input) > built);
  };
  const modules = [...KERNEL_MODULES, 'jpeg', 'jpeg-encode', 'webp'];
  if (
    stale(
      modules.map((name) => `wasm/${name}.wasm`),
      ['assembly', 'asconfig.json', 'codecs', 'scripts/copy-codecs.mjs'],
    )
  )
    npm('run', '--silent', 'build:wasm');
  const built = ['dist/index.js', 'dist/cli/main.js', 'dist/cjs/index.js', 'dist/browser/fqvit.js'];
  const sources = [
    'src',
    'wasm',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts/bundle.mjs',
    'package.json',
  ];
  if (stale(built, sources)) npm('run', '--silent', 'build:ts');
}

/** Installs the engines and bundlers of the tests, 900 MB. Without them those tests are skipped. */
export function setupRuntimes() {
  const folder = 'test/runtimes';
  if (newest(`${folder}/node_modules/.package-lock.json`) >= newest(`${folder}/package.json`)) return;
  try {
    npm(...INSTALL, '--no-package-lock', '--prefix', folder);
  } catch (error) {
    console.error(`${folder}: ${error.message}`);
  }
}

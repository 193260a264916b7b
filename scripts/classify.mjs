// `npm run classify [-- IMAGE... OPTIONS]`: sets up a fresh clone, then classifies. Without an
// image it takes the sample photo.
import { spawnSync } from 'node:child_process';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setup } from './setup.mjs';

setup();
const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const args = process.argv.slice(2);
// npm runs scripts in the package's folder, but paths are relative to the caller's
const cwd = process.env.INIT_CWD ?? process.cwd();
const takesValue = { type: 'string' };
const { values, positionals } = parseArgs({
  args,
  options: { model: takesValue, top: takesValue, threads: takesValue, help: { type: 'boolean', short: 'h' } },
  allowPositionals: true,
  strict: false,
});
const sample = positionals.length > 0 || values.help ? [] : [relative(cwd, at('examples/chelsea.png'))];
const { status } = spawnSync(process.execPath, [at('dist/cli/main.js'), 'classify', ...sample, ...args], {
  stdio: 'inherit',
  cwd,
});
process.exit(status ?? 1);

// `npm run classify [-- IMAGE... OPTIONS]`: sets a fresh clone up, then classifies; without arguments the sample photo.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { setup } from './setup.mjs';

setup();
const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const args = process.argv.slice(2);
const images = args.length > 0 ? args : [path('examples/chelsea.png')];
// npm runs scripts in the package's folder; paths are meant from where the caller stands
const { status } = spawnSync(process.execPath, [path('dist/cli/main.js'), 'classify', ...images], {
  stdio: 'inherit',
  cwd: process.env.INIT_CWD ?? process.cwd(),
});
process.exit(status ?? 1);

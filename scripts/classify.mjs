// `npm run classify [-- IMAGE... OPTIONS]`: sets a fresh clone up, then classifies; without arguments the sample photo.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { setup } from './setup.mjs';

setup();
const root = fileURLToPath(new URL('..', import.meta.url));
const args = process.argv.slice(2);
// npm runs scripts in the package's folder; a caller's paths are meant from where the caller stands
const [images, cwd] = args.length > 0 ? [args, process.env.INIT_CWD] : [['examples/chelsea.png'], root];
const { status } = spawnSync(process.execPath, [`${root}dist/cli/main.js`, 'classify', ...images], {
  stdio: 'inherit',
  cwd,
});
process.exit(status ?? 1);

// Compiles the kernel modules of asconfig.json, or those named as arguments, into wasm/.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { TARGETS } from './kernel-modules.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
mkdirSync('wasm', { recursive: true });

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(TARGETS);
for (const name of names) {
  const { error, stderr } = await asc.main([
    TARGETS[name].entry,
    '--config',
    'asconfig.json',
    '--target',
    name,
  ]);
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
}

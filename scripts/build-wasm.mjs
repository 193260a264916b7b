// Compiles the kernel modules of asconfig.json, or those named as arguments, into wasm/.
import { mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const config = JSON.parse(readFileSync('asconfig.json', 'utf8'));
mkdirSync('wasm', { recursive: true });

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(config.targets);
for (const name of names) {
  const { error, stderr } = await asc.main([
    config.targets[name].entry,
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

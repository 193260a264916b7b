// Copies the image codecs of codecs/ next to the kernels, so that every platform finds all modules
// in one place.
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
mkdirSync('wasm', { recursive: true });
for (const name of ['jpeg', 'jpeg-encode', 'webp']) copyFileSync(`codecs/${name}.wasm`, `wasm/${name}.wasm`);

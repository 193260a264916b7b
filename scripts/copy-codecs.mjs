// Copies the image codecs of codecs/ beside the kernels: one place, one form of address for the modules of all platforms.
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
mkdirSync('wasm', { recursive: true });
for (const name of ['jpeg', 'jpeg-encode', 'webp']) copyFileSync(`codecs/${name}.wasm`, `wasm/${name}.wasm`);

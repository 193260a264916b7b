// Copies the image decoders of @jsquash beside the kernels: one place, one form of address for the modules of all platforms.
import { copyFileSync, mkdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
mkdirSync('wasm', { recursive: true });
for (const path of ['jpeg/codec/dec/mozjpeg_dec.wasm', 'webp/codec/dec/webp_dec.wasm'])
  copyFileSync(`node_modules/@jsquash/${path}`, `wasm/${basename(path)}`);

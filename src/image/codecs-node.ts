import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type CodecModules, createImageCodecs, type ImageCodecs } from './codec.js';

async function compile(path: string): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(createRequire(import.meta.url).resolve(path)));
}

/** The decoders as files of the installed packages: Node, Deno and Bun. */
export const nodeCodecModules: CodecModules = {
  jpeg: () => compile('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'),
  webp: () => compile('@jsquash/webp/codec/dec/webp_dec.wasm'),
};

let shared: ImageCodecs | undefined;

/** The decoders that calls share when none are given to them. */
export function sharedCodecs(): ImageCodecs {
  shared ??= createImageCodecs(nodeCodecModules);
  return shared;
}

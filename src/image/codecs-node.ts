import { readFile } from 'node:fs/promises';
import { type CodecModules, createImageCodecs } from './codec.js';

async function compile(file: string): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(new URL(`../../wasm/${file}`, import.meta.url)));
}

/** The decoders as files of the package: Node, Deno and Bun. */
export const nodeCodecModules: CodecModules = {
  jpeg: () => compile('jpeg.wasm'),
  webp: () => compile('webp.wasm'),
};

/** The decoders that calls share when none are given to them. */
export const sharedCodecs = createImageCodecs(nodeCodecModules);

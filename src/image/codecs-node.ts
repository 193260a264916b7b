import { readFile } from 'node:fs/promises';
import { type CodecModules, createImageCodecs } from './codec.js';

async function compile(file: string): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(new URL(`../../wasm/${file}`, import.meta.url)));
}

/** The compiled decoders, which threads can share. */
export type CompiledCodecs = { readonly [Name in keyof CodecModules]: WebAssembly.Module };

let taken: CompiledCodecs | undefined;

/** Loads the decoders from files of the package, in Node, Deno and Bun. */
export const nodeCodecModules: CodecModules = {
  jpeg: async () => taken?.jpeg ?? compile('jpeg.wasm'),
  webp: async () => taken?.webp ?? compile('webp.wasm'),
};

/** The default decoders, shared by all calls. */
export const sharedCodecs = createImageCodecs(nodeCodecModules);

/** @throws {RuntimeError} `CODEC_MISSING` */
export async function compileCodecs(): Promise<CompiledCodecs> {
  const { jpeg, webp } = sharedCodecs;
  const modules = await Promise.all([jpeg.compiled(), webp.compiled()]);
  return { jpeg: modules[0], webp: modules[1] };
}

/** Makes this thread use modules that another thread compiled. Call it before the first image. */
export function takeCodecs(modules: CompiledCodecs): void {
  taken = modules;
}

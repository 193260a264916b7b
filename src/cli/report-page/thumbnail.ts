import { readFile } from 'node:fs/promises';
import { resize } from '../../image/resize/resize.js';

/** Side in pixels. */
const SIDE = 96;
const QUALITY = 70;

/** Exports of codecs/jpeg-encode.c. */
interface EncoderExports {
  alloc(length: number): number;
  encode(pointer: number, width: number, height: number, quality: number): void;
}

let compiled: Promise<WebAssembly.Module> | undefined;

/**
 * A small JPEG of the model's input, as a data URL of about 4 kB.
 *
 * @param pixels uint8 `[side, side, 3]`
 */
export async function thumbnail(pixels: Uint8Array, side: number): Promise<string> {
  compiled ??= readFile(new URL('../../../wasm/jpeg-encode.wasm', import.meta.url)).then((bytes) =>
    WebAssembly.compile(bytes),
  );
  const size = Math.min(side, SIDE);
  const { data } = resize({ width: side, height: side, data: pixels }, size, size, 'bilinear');
  const jpeg = encode(await compiled, data, size);
  return `data:image/jpeg;base64,${Buffer.from(jpeg).toString('base64')}`;
}

function encode(module: WebAssembly.Module, rgb: Uint8Array, size: number): Uint8Array {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 64 });
  const view = (at: number, length: number) => new Uint8Array(memory.buffer, at, length);
  let jpeg = new Uint8Array(0);
  const emit = (at: number, length: number) => {
    jpeg = view(at, length).slice();
  };
  const fail = (at: number, length: number) => {
    throw new Error(String.fromCharCode(...view(at, length)));
  };
  const { exports } = new WebAssembly.Instance(module, { env: { memory, emit, fail } });
  const { alloc, encode } = exports as unknown as EncoderExports;
  const pixels = alloc(rgb.length);
  view(pixels, rgb.length).set(rgb);
  encode(pixels, size, size, QUALITY);
  return jpeg;
}

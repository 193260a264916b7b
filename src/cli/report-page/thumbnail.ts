import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import encode, { init } from '@jsquash/jpeg/encode.js';
import { resize } from '../../image/resize.js';

/** Pixels of a side. */
const SIDE = 96;
const QUALITY = 70;

let ready: Promise<void> | undefined;

/**
 * A small JPEG of what a model saw, as a data URL of some 4 kB.
 *
 * @param pixels uint8 `[side, side, 3]`
 */
export async function thumbnail(pixels: Uint8Array, side: number): Promise<string> {
  ready ??= start();
  await ready;
  const size = Math.min(side, SIDE);
  const { data } = resize({ width: side, height: side, data: pixels }, size, size, 'bilinear');
  const image = { width: size, height: size, data: withAlpha(data), colorSpace: 'srgb' as const };
  const jpeg = await encode(image as ImageData, { quality: QUALITY });
  return `data:image/jpeg;base64,${Buffer.from(jpeg).toString('base64')}`;
}

async function start(): Promise<void> {
  const path = createRequire(import.meta.url).resolve('@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm');
  const module = await WebAssembly.compile(await readFile(path));
  // its types leave out that the module may come first
  await (init as (module: unknown) => Promise<void>)(module);
}

function withAlpha(rgb: Uint8Array): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray((rgb.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4)
    rgba.set(rgb.subarray(from, from + 3), to);
  return rgba;
}

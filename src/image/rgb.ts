import type { RgbImage } from './types.js';

/** Drops the fourth byte of every pixel without compositing, like Pillow's `convert('RGB')`. */
export function dropAlpha({
  width,
  height,
  data: rgba,
}: {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from]!;
    data[to + 1] = rgba[from + 1]!;
    data[to + 2] = rgba[from + 2]!;
  }
  return { width, height, data };
}

import type { Orientation } from './exif.js';
import type { RgbImage } from './types.js';

/**
 * For each orientation: whether to swap width and height, and whether x and y of the result then
 * run against the stored direction. The same as `PIL.ImageOps.exif_transpose`.
 */
export const TURNS: Record<Orientation, { swap: boolean; flipX: boolean; flipY: boolean }> = {
  1: { swap: false, flipX: false, flipY: false },
  2: { swap: false, flipX: true, flipY: false },
  3: { swap: false, flipX: true, flipY: true },
  4: { swap: false, flipX: false, flipY: true },
  5: { swap: true, flipX: false, flipY: false },
  6: { swap: true, flipX: true, flipY: false },
  7: { swap: true, flipX: true, flipY: true },
  8: { swap: true, flipX: false, flipY: true },
};

/**
 * Turns the stored pixels upright.
 *
 * @param image `[height, width, 3]`
 * @param orientation EXIF orientation; 1 returns `image` itself
 * @returns `[height, width, 3]`, or `[width, height, 3]` for 5 to 8
 */
export function orient(image: RgbImage, orientation: Orientation): RgbImage {
  if (orientation === 1) return image;
  const { swap, flipX, flipY } = TURNS[orientation];
  const { data: source } = image;
  const width = swap ? image.height : image.width;
  const height = swap ? image.width : image.height;
  // Bytes in the stored image for one step to the right, and one step down, in the result.
  let right = swap ? image.width * 3 : 3;
  let down = swap ? 3 : image.width * 3;
  let start = 0;
  if (flipX) {
    start += (width - 1) * right;
    right = -right;
  }
  if (flipY) {
    start += (height - 1) * down;
    down = -down;
  }
  const data = new Uint8Array(source.length);
  let to = 0;
  for (let y = 0; y < height; y++) {
    let from = start + y * down;
    for (let x = 0; x < width; x++, from += right) {
      data[to++] = source[from]!;
      data[to++] = source[from + 1]!;
      data[to++] = source[from + 2]!;
    }
  }
  return { width, height, data };
}

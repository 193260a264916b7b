import { ImageError } from '../errors.js';
import type { Orientation } from './exif.js';

/** A decoded picture: RGB interleaved, three bytes a pixel, rows from top to bottom without padding. */
export interface RgbImage {
  /** Pixels in a row, at least 1. */
  width: number;
  /** Rows, at least 1. */
  height: number;
  /** `height * width * 3` bytes, `[height, width, 3]`. */
  data: Uint8Array;
}

/** A decoded picture as it is stored, and how it has to be turned to stand upright. */
export interface StoredImage {
  image: RgbImage;
  orientation: Orientation;
}

/**
 * Checks pixels that came from outside.
 *
 * @throws {ImageError} `IMAGE_PIXELS` if the sizes are no positive integers or do not fit the bytes.
 */
export function checkRgbImage(image: RgbImage): void {
  const { width, height, data } = image;
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height) || width < 1 || height < 1)
    throw new ImageError(
      'IMAGE_PIXELS',
      `pixels: expected a width and height of at least 1, found ${width}×${height}`,
    );
  if (data.length !== width * height * 3)
    throw new ImageError(
      'IMAGE_PIXELS',
      `pixels: expected ${width}×${height}×3 = ${width * height * 3} bytes, found ${data.length}`,
    );
}

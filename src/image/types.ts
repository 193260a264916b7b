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

/** Takes the next rows of a picture, whole ones, three bytes a pixel. They are good until it returns. */
export type RowSink = (rows: Uint8Array) => void;

/** A picture whose header is read and whose pixels are not, as it is stored. */
export interface OpenImage {
  readonly width: number;
  readonly height: number;
  /** How it has to be turned to stand upright. */
  readonly orientation: Orientation;
  /** What decoding takes at most, in bytes: `memory.ts`. */
  readonly memory: number;
  /** Hands over all rows; gives how many bytes are left to the garbage collector. */
  decode(sink: RowSink): Promise<number> | number;
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

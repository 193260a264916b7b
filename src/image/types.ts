import { ImageError } from '../errors.js';
import type { Orientation } from './exif.js';

/**
 * A decoded image: interleaved RGB, three bytes per pixel, rows from top to bottom without padding.
 */
export interface RgbImage {
  /** Pixels per row, at least 1. */
  width: number;
  /** Rows, at least 1. */
  height: number;
  /** `height * width * 3` bytes, `[height, width, 3]`. */
  data: Uint8Array;
}

/** Takes the next complete rows of an image, three bytes per pixel; valid until it returns. */
export type RowSink = (rows: Uint8Array) => void;

/**
 * An image whose header is read but whose pixels are not yet decoded; its size is the stored one.
 */
export interface OpenImage {
  readonly width: number;
  readonly height: number;
  /** How to turn it upright. */
  readonly orientation: Orientation;
  /** The most memory for decoding, in bytes (see `memory.ts`). */
  readonly memory: number;
  /** Delivers all rows. Returns the number of bytes left to the garbage collector. */
  decode(sink: RowSink): Promise<number> | number;
}

/**
 * Checks pixels from the caller.
 *
 * @throws {ImageError} `IMAGE_PIXELS` if the sizes are not positive integers or do not fit the
 *   bytes
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

/** Raw pixels, such as an `ImageData`. Their length tells RGB from RGBA. */
export interface RawPixels {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** uint8 `[height, width, 3]`, RGB; or `[height, width, 4]`, RGBA, with alpha ignored. */
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Red, green and blue. */
export type Rgb = readonly [number, number, number];

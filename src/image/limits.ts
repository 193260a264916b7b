import { ImageError } from '../errors.js';

/** The default limit of pixels: 300 MB as RGB. */
export const DEFAULT_MAX_PIXELS = 100e6;

/** What a decoder needs to know besides the bytes. */
export interface ImageContext {
  /** The file name for messages. */
  file: string;
  /** The most pixels that a header may claim. */
  maxPixels: number;
}

/**
 * Checks the dimensions in a header before memory is allocated for them.
 *
 * @throws {ImageError} `IMAGE_DAMAGED` for a zero, `IMAGE_TOO_LARGE` above `maxPixels`
 */
export function checkDimensions(width: number, height: number, context: ImageContext): void {
  const { file, maxPixels } = context;
  if (width < 1 || height < 1)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected at least 1×1 pixels, found ${width}×${height} in the header`,
    );
  // Not "greater than", so that NaN as a limit refuses everything.
  if (!(width * height <= maxPixels))
    throw new ImageError(
      'IMAGE_TOO_LARGE',
      `${file}: expected at most ${maxPixels} pixels, found ${width}×${height} = ${width * height} in the header`,
    );
}

import { ImageError } from '../errors.js';

/** Pixels an image may have unless the caller says otherwise: 300 MB as RGB. */
export const DEFAULT_MAX_PIXELS = 100e6;

/** What a decoder needs to know about the bytes beside the bytes. */
export interface ImageContext {
  /** The name that messages begin with. */
  file: string;
  /** More pixels than this are refused as soon as the header is read. */
  maxPixels: number;
}

/**
 * Checks the dimensions that a header claims, before anything is allocated for them.
 *
 * @throws {ImageError} `IMAGE_DAMAGED` for a zero, `IMAGE_TOO_LARGE` above `maxPixels`.
 */
export function checkDimensions(width: number, height: number, context: ImageContext): void {
  const { file, maxPixels } = context;
  if (width < 1 || height < 1)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected at least 1×1 pixels, the header says ${width}×${height}`,
    );
  // Not "greater than", so that a limit that is no number lets nothing through.
  if (!(width * height <= maxPixels))
    throw new ImageError(
      'IMAGE_TOO_LARGE',
      `${file}: expected at most ${maxPixels} pixels, the header says ${width}×${height} = ${width * height}`,
    );
}

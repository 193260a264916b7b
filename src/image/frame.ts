import { ImageError } from '../errors.js';
import type { RawPixels } from './types.js';

/** An `ImageBitmap` or a `VideoFrame`, by their members: Node's types have neither name. */
export type Frame = Bitmap | Video;

/** The members of an `ImageBitmap`. */
interface Bitmap {
  readonly width: number;
  readonly height: number;
  close(): void;
}

/** The members of a `VideoFrame`. */
interface Video {
  readonly displayWidth: number;
  readonly displayHeight: number;
  close(): void;
}

export function isFrame(source: unknown): source is Frame {
  return (
    (typeof ImageBitmap === 'function' && source instanceof ImageBitmap) ||
    (typeof VideoFrame === 'function' && source instanceof VideoFrame)
  );
}

/**
 * Returns the pixels of a frame at its own size. They are drawn to a canvas, so colours and the
 * rounding of alpha depend on the engine.
 *
 * @throws {ImageError} `IMAGE_PIXELS` for a closed frame
 */
export function framePixels(frame: Frame): RawPixels {
  const [width, height] =
    'displayWidth' in frame ? [frame.displayWidth, frame.displayHeight] : [frame.width, frame.height];
  if (width === 0 || height === 0) {
    throw new ImageError('IMAGE_PIXELS', 'pixels: expected an open frame, found a closed frame');
  }
  const canvas = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  canvas.drawImage(frame as ImageBitmap | VideoFrame, 0, 0, width, height);
  return canvas.getImageData(0, 0, width, height);
}

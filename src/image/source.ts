import { ImageError, UsageError } from '../errors.js';
import { BYTE_SOURCES, type ByteSource, isByteSource, readBytes } from '../platform/bytes.js';
import type { MemoryGate } from '../platform/memory-gate.js';
import { formatValue } from '../text/format-value.js';
import { type Frame, framePixels, isFrame } from './frame.js';
import { type Preprocessing, preprocess } from './resize/preprocess.js';
import { dropAlpha } from './rgb.js';
import type { RawPixels, RgbImage } from './types.js';
/**
 * An image, in one of these forms:
 *
 * - encoded bytes (JPEG, PNG, WebP), or a path, URL, Blob, File, Response or stream of them
 * - raw pixels
 * - in a browser, an `ImageBitmap` or a `VideoFrame`, which the caller closes
 *
 * The package decodes and resizes to the same bytes in every engine, but the browser decodes the
 * colours of an `ImageBitmap` or a `VideoFrame`.
 */
export type ImageSource = ByteSource | RawPixels | Frame;

export interface PixelOptions {
  maxPixels?: number;
  imageMemory?: number;
  signal?: AbortSignal | undefined;
  /** The memory gate of a pool, for its workers. */
  gate?: MemoryGate;
  /** The name for messages of encoded bytes that another thread has read. */
  name?: string | undefined;
}

/** The largest encoded image; ends an endless download. */
export const MAX_IMAGE_BYTES = 2 ** 28;

/**
 * Decodes, turns upright, resizes and crops an image.
 *
 * @returns the model input, uint8 `[imageSize, imageSize, 3]`
 */
export async function readPixels(
  source: ImageSource,
  preprocessing: Preprocessing,
  options: PixelOptions = {},
): Promise<Uint8Array> {
  checkNumber('MAX_PIXELS', 'maxPixels', options.maxPixels);
  checkNumber('IMAGE_MEMORY', 'imageMemory', options.imageMemory);
  if (isRaw(source)) return preprocess(rgb(source), preprocessing);
  if (isFrame(source)) return preprocess(rgb(framePixels(source)), preprocessing);
  if (!isByteSource(source)) {
    throw new ImageError(
      'IMAGE_SOURCE',
      `image: expected encoded ${BYTE_SOURCES}, raw pixels, an ImageData, ImageBitmap or VideoFrame, ` +
        `found ${Object.prototype.toString.call(source)}`,
    );
  }
  const { bytes, name } = await readBytes(source, { signal: options.signal, maxBytes: MAX_IMAGE_BYTES });
  const { decodePixels } = await import('./decode.js');
  return decodePixels(bytes, preprocessing, { ...options, file: options.name ?? name });
}

function checkNumber(code: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === 'number') return;
  throw new UsageError(code, `${name}: expected a number, found ${formatValue(value)}`);
}

export function isRaw(source: unknown): source is RawPixels {
  return (
    typeof source === 'object' &&
    source !== null &&
    'width' in source &&
    'height' in source &&
    'data' in source
  );
}

/** Refuses floats (from some canvases and tensor libraries): as bytes, all would become 0 or 1. */
function rgb({ width, height, data }: RawPixels): RgbImage {
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw new ImageError(
      'IMAGE_PIXELS',
      `pixels: expected a Uint8Array or Uint8ClampedArray, found ${Object.prototype.toString.call(data)}`,
    );
  }
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height)) {
    throw new ImageError(
      'IMAGE_PIXELS',
      `pixels: expected integers as width and height, found ${formatValue(width)}×${formatValue(height)}`,
    );
  }
  if (data.length === width * height * 4) return dropAlpha({ width, height, data });
  if (data.length !== width * height * 3) {
    throw new ImageError(
      'IMAGE_PIXELS',
      `pixels: expected ${width}×${height} pixels of 3 or 4 bytes, found ${data.length} bytes`,
    );
  }
  return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
}

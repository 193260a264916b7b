import { ImageError } from '../errors.js';
import { type Codec, CodecFailure, type Decoded } from './codec.js';
import { orientationOf } from './exif.js';
import type { ImageContext } from './limits.js';
import { dropAlpha } from './rgb.js';
import type { StoredImage } from './types.js';
import { readWebpStructure } from './webp-structure.js';

/**
 * Decodes a still WebP, lossy or lossless, with libwebp. Alpha is dropped without compositing.
 *
 * @throws {ImageError} what {@link readWebpStructure} throws; `IMAGE_DAMAGED` if the decoder gives up
 */
export async function decodeWebp(
  bytes: Uint8Array,
  codec: Codec,
  context: ImageContext,
): Promise<StoredImage> {
  const { file } = context;
  const { width, height, metadata } = readWebpStructure(bytes, context);
  let decoded: Decoded;
  try {
    decoded = await codec.decode(bytes);
  } catch (cause) {
    if (!(cause instanceof CodecFailure)) throw cause;
    throw new ImageError('IMAGE_DAMAGED', `${file}: the WebP cannot be decoded: ${cause.detail}`, { cause });
  }
  if (decoded.width !== width || decoded.height !== height)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: the WebP header says ${width}×${height}, ${decoded.width}×${decoded.height} came out`,
    );
  return { image: dropAlpha(decoded), orientation: orientationOf(metadata) };
}

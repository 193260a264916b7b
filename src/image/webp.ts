import { ImageError } from '../errors.js';
import { type Codec, CodecFailure } from './codec.js';
import { orientationOf } from './exif.js';
import type { ImageContext } from './limits.js';
import type { StoredImage } from './types.js';
import { readWebpStructure } from './webp-structure.js';

/**
 * Decodes a still WebP, lossy or lossless, with libwebp. Alpha is dropped without compositing.
 *
 * @throws {ImageError} what {@link readWebpStructure} throws; `IMAGE_DAMAGED` if the decoder
 *   gives up, `IMAGE_TOO_LARGE` if it lacks memory
 */
export async function decodeWebp(
  bytes: Uint8Array,
  codec: Codec,
  context: ImageContext,
): Promise<StoredImage> {
  const { file } = context;
  const { width, height, metadata } = readWebpStructure(bytes, context);
  try {
    const { data } = await codec.decode(bytes, width, height);
    return { image: { width, height, data }, orientation: orientationOf(metadata) };
  } catch (cause) {
    if (!(cause instanceof CodecFailure)) throw cause;
    const code = cause.outOfMemory ? 'IMAGE_TOO_LARGE' : 'IMAGE_DAMAGED';
    throw new ImageError(code, `${file}: the WebP cannot be decoded: ${cause.detail}`, { cause });
  }
}

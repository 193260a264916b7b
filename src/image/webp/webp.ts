import { ImageError } from '../../errors.js';
import { type Codec, CodecFailure } from '../codec.js';
import { orientationOf } from '../exif.js';
import type { ImageContext } from '../limits.js';
import { webpMemory } from '../memory.js';
import type { OpenImage, RowSink } from '../types.js';
import { readWebpStructure, type WebpStructure } from './structure.js';

/**
 * Opens a still WebP, lossy or lossless. libwebp decodes it. Alpha is dropped without compositing.
 *
 * @throws {ImageError} as {@link readWebpStructure}; while decoding: `IMAGE_DAMAGED` if the decoder
 *   fails, `IMAGE_TOO_LARGE` if it lacks memory
 */
export function openWebp(bytes: Uint8Array, codec: Codec, context: ImageContext): OpenImage {
  const structure = readWebpStructure(bytes, context);
  const { width, height, metadata } = structure;
  const memory = webpMemory(structure, bytes.length);
  return {
    width,
    height,
    orientation: orientationOf(metadata),
    memory,
    decode: (sink) => decode(bytes, structure, codec, memory, sink, context.file),
  };
}

async function decode(
  bytes: Uint8Array,
  { width, height }: WebpStructure,
  codec: Codec,
  memory: number,
  sink: RowSink,
  file: string,
): Promise<number> {
  try {
    const { left } = await codec.decode(bytes, width, height, memory, sink);
    return left;
  } catch (cause) {
    if (!(cause instanceof CodecFailure)) throw cause;
    const code = cause.outOfMemory ? 'IMAGE_TOO_LARGE' : 'IMAGE_DAMAGED';
    throw new ImageError(code, `${file}: the WebP cannot be decoded: ${cause.detail}`, { cause });
  }
}

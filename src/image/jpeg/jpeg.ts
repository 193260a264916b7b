import { ImageError } from '../../errors.js';
import { type Codec, CodecFailure, type Decoded } from '../codec.js';
import { orientationOf } from '../exif.js';
import type { ImageContext } from '../limits.js';
import { type DecoderMemory, jpegMemory } from '../memory.js';
import type { OpenImage, RowSink } from '../types.js';
import { checkScans } from './scans.js';
import { type JpegStructure, readJpegStructure } from './structure.js';

/**
 * Opens a JPEG. libjpeg-turbo decodes it with its defaults (accurate integer DCT, fancy
 * upsampling), which gives the same bytes as Pillow. A grey file gives three equal channels.
 * Embedded colour profiles are ignored, as in Pillow.
 *
 * Every pixel must come from data, but how the file ends does not matter: the end-of-image marker
 * may be missing, and anything may follow.
 *
 * @throws {ImageError} as {@link readJpegStructure}; while decoding: `IMAGE_TRUNCATED` or
 *   `IMAGE_DAMAGED` if the decoder failed or had to invent pixels
 */
export function openJpeg(bytes: Uint8Array, codec: Codec, context: ImageContext): OpenImage {
  const structure = readJpegStructure(bytes, context);
  const { width, height, metadata } = structure;
  const memory = jpegMemory(structure);
  return {
    width,
    height,
    orientation: orientationOf(metadata),
    memory: memory.decoder + memory.script,
    decode: (sink) => decode(structure, codec, memory, sink, context.file),
  };
}

async function decode(
  structure: JpegStructure,
  codec: Codec,
  memory: DecoderMemory,
  sink: RowSink,
  file: string,
): Promise<number> {
  const { width, height, picture, closed } = structure;
  if (!closed) checkScans(structure, file);
  let decoded: Decoded;
  try {
    decoded = await codec.decode(picture, width, height, memory.decoder, sink);
  } catch (cause) {
    if (!(cause instanceof CodecFailure)) throw cause;
    throw new ImageError(refusalCode(cause), `${file}: the JPEG cannot be decoded: ${cause.detail}`, {
      cause,
    });
  }
  const { warning, left } = decoded;
  checkWarning(warning, file);
  // A harmless warning hides all later warnings.
  if (closed && warning !== '') checkScans(structure, file);
  return left + memory.script;
}

/** Maps the error message of libjpeg to an error code. */
function refusalCode({ outOfMemory, detail }: CodecFailure): string {
  if (outOfMemory || /maximum supported/i.test(detail)) return 'IMAGE_TOO_LARGE';
  return /not implemented|unsupported/i.test(detail) ? 'IMAGE_UNSUPPORTED' : 'IMAGE_DAMAGED';
}

/**
 * libjpeg only warns when it cannot read data, and fills in grey. Surplus bytes before a marker and
 * odd Adobe markers are common and change no pixel. Every other warning about the data means that
 * pixels were invented.
 */
function checkWarning(warning: string, file: string): void {
  if (/premature end/i.test(warning))
    throw new ImageError('IMAGE_TRUNCATED', `${file}: the pixels of the JPEG end too early: ${warning}`);
  if (/corrupt jpeg data|inconsistent progression/i.test(warning) && !/extraneous bytes/i.test(warning))
    throw new ImageError('IMAGE_DAMAGED', `${file}: the pixels of the JPEG are damaged: ${warning}`);
}

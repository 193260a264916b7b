import { ImageError } from '../errors.js';
import { type Codec, CodecFailure, type Decoded } from './codec.js';
import { orientationOf } from './exif.js';
import { checkScans } from './jpeg-scans.js';
import { readJpegStructure } from './jpeg-structure.js';
import type { ImageContext } from './limits.js';
import type { StoredImage } from './types.js';

/**
 * Decodes a JPEG with libjpeg-turbo at its defaults (accurate integer DCT, fancy upsampling), which gives Pillow's
 * bytes. A grey file gives three equal channels. Embedded colour profiles are ignored, as Pillow does.
 *
 * What counts is that every pixel came from data, not how the file ends: the end-of-image marker may be missing, and anything may follow.
 *
 * @throws {ImageError} what {@link readJpegStructure} throws; `IMAGE_TRUNCATED` or `IMAGE_DAMAGED` if the decoder
 *   had to make up pixels or gave up
 */
export async function decodeJpeg(
  bytes: Uint8Array,
  codec: Codec,
  context: ImageContext,
): Promise<StoredImage> {
  const { file } = context;
  const structure = readJpegStructure(bytes, context);
  const { width, height, picture, closed, metadata } = structure;
  if (!closed) checkScans(structure, file);
  let decoded: Decoded;
  try {
    decoded = await codec.decode(picture, width, height);
  } catch (cause) {
    if (!(cause instanceof CodecFailure)) throw cause;
    throw new ImageError(refusalCode(cause), `${file}: the JPEG cannot be decoded: ${cause.detail}`, {
      cause,
    });
  }
  const { data, warning } = decoded;
  checkWarning(warning, file);
  // A harmless warning hides all that come after it.
  if (closed && warning !== '') checkScans(structure, file);
  return { image: { width, height, data }, orientation: orientationOf(metadata) };
}

/** What libjpeg's last words mean. */
function refusalCode({ outOfMemory, detail }: CodecFailure): string {
  if (outOfMemory || /maximum supported/i.test(detail)) return 'IMAGE_TOO_LARGE';
  return /not implemented|unsupported/i.test(detail) ? 'IMAGE_UNSUPPORTED' : 'IMAGE_DAMAGED';
}

/**
 * libjpeg fills in grey for what it cannot read and only warns. Surplus bytes before a marker and odd Adobe
 * markers change no pixel and are common; every other complaint about the data means made-up pixels.
 */
function checkWarning(warning: string, file: string): void {
  if (/premature end/i.test(warning))
    throw new ImageError('IMAGE_TRUNCATED', `${file}: the pixels of the JPEG end too early: ${warning}`);
  if (/corrupt jpeg data|inconsistent progression/i.test(warning) && !/extraneous bytes/i.test(warning))
    throw new ImageError('IMAGE_DAMAGED', `${file}: the pixels of the JPEG are damaged: ${warning}`);
}

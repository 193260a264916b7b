import type { ImageCodecs } from './codec.js';
import { detectFormat } from './format.js';
import { decodeJpeg } from './jpeg.js';
import { DEFAULT_MAX_PIXELS, type ImageContext } from './limits.js';
import { orient } from './orient.js';
import { decodePng } from './png.js';
import type { RgbImage, StoredImage } from './types.js';
import { decodeWebp } from './webp.js';

/** How to decode an image. */
export interface DecodeOptions {
  /** The name of the file, for messages. Default: `image`. */
  file?: string;
  /** Images whose header announces more pixels are refused before anything is allocated. Default: 100 million. */
  maxPixels?: number;
  /** Whether to turn the picture as its EXIF orientation says. Default: true. */
  orient?: boolean;
  /** The decoders to use. Default: ones that all calls share, loaded from the installed packages on first use. */
  codecs?: ImageCodecs;
}

/**
 * Decodes a JPEG, PNG or WebP to RGB, whatever the file is called.
 *
 * Gives the bytes of Pillow 13.0's `ImageOps.exif_transpose(Image.open(file)).convert('RGB')`: alpha is dropped without
 * compositing, colour profiles are ignored, the orientation is taken from wherever Pillow takes it. Exception: of 16-bit grey PNG the
 * high byte of each sample is taken, as of all other 16-bit PNGs. Pillow fills in what is missing of some
 * pictures; here each pixel has to come from data. How a file ends does not matter as long as all of them are there.
 *
 * @example
 * const image = await decodeImage(await readFile('cat.jpg'), { file: 'cat.jpg' });
 *
 * @param bytes the whole file; not kept, not changed
 * @returns `[height, width, 3]`, uint8
 * @throws {ImageError} `IMAGE_EMPTY`, `IMAGE_FORMAT` (not an image), `IMAGE_UNSUPPORTED` (a kind that is refused by
 *   name), `IMAGE_TRUNCATED`, `IMAGE_DAMAGED` or `IMAGE_TOO_LARGE`
 * @throws {RuntimeError} `CODEC_MISSING` if the decoder for JPEG or WebP cannot be loaded
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<RgbImage> {
  const context = { file: options.file ?? 'image', maxPixels: options.maxPixels ?? DEFAULT_MAX_PIXELS };
  const { image, orientation } = await decodeStored(bytes, options.codecs, context);
  return options.orient === false ? image : orient(image, orientation);
}

async function decodeStored(
  bytes: Uint8Array,
  codecs: ImageCodecs | undefined,
  context: ImageContext,
): Promise<StoredImage> {
  const format = detectFormat(bytes, context.file);
  if (format === 'png') return decodePng(bytes, context);
  const { jpeg, webp } = codecs ?? (await import('#image/codecs')).sharedCodecs;
  return format === 'jpeg' ? decodeJpeg(bytes, jpeg, context) : decodeWebp(bytes, webp, context);
}

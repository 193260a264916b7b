import { processMemory } from '#platform/process-memory';
import { ImageError } from '../errors.js';
import { type MemoryGate, UNCOUNTED_BYTES } from '../platform/memory-gate.js';
import type { ImageCodecs } from './codec.js';
import { detectFormat } from './format.js';
import { openJpeg } from './jpeg/jpeg.js';
import { DEFAULT_MAX_PIXELS } from './limits.js';
import { orient } from './orient.js';
import { openPng } from './png/png.js';
import { checkParameters, type Preprocessing } from './resize/preprocess.js';
import { preprocessMemory, RowPreprocessor } from './resize/preprocess-rows.js';
import type { OpenImage, RgbImage } from './types.js';
import { openWebp } from './webp/webp.js';

/** How to decode an image. */
export interface DecodeOptions {
  /** The file name for messages. Default: `image`. */
  file?: string;
  /** The most pixels; checked in the header, before memory is allocated. Default: 100 million. */
  maxPixels?: number;
  /** Whether to apply the EXIF orientation. Default: true. */
  orient?: boolean;
  /** Default: decoders that all calls share, loaded on first use. */
  codecs?: ImageCodecs;
  /** The most bytes that decoding may take. Default: the limit of `gate`. */
  imageMemory?: number;
  /** Makes images wait for memory. Default: the process's in Node, Deno and Bun; else none. */
  gate?: MemoryGate;
  /** Ends the wait for memory. */
  signal?: AbortSignal | undefined;
}

/**
 * Decodes a JPEG, PNG or WebP to RGB. The bytes determine the format, not the file name.
 *
 * Returns the same bytes as Pillow 13.0's
 * `ImageOps.exif_transpose(Image.open(file)).convert('RGB')`: alpha is dropped without compositing,
 * colour profiles are ignored, and the orientation comes from the same metadata. There are two
 * differences. A 16-bit grey PNG keeps the high byte of each sample, like all other 16-bit PNGs.
 * And every pixel must come from data, whereas Pillow fills in some missing pixels; how the file
 * ends does not matter.
 *
 * @example
 * const image = await decodeImage(await readFile('cat.jpg'), { file: 'cat.jpg' });
 *
 * @param bytes the whole file; not kept, not changed
 * @returns `[height, width, 3]`, uint8
 * @throws {ImageError} `IMAGE_EMPTY`, `IMAGE_FORMAT` (not an image), `IMAGE_UNSUPPORTED` (a known
 *   format or variant that is not supported), `IMAGE_TRUNCATED`, `IMAGE_DAMAGED`, or
 *   `IMAGE_TOO_LARGE` (too many pixels or too much memory)
 * @throws the reason of `signal`
 * @throws {RuntimeError} `CODEC_MISSING` if the decoder for JPEG or WebP cannot be loaded
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<RgbImage> {
  const open = await openImage(bytes, options);
  const { width, height, orientation } = open;
  const turns = options.orient !== false && orientation !== 1;
  return admitted(open, (turns ? 6 : 3) * width * height, options, async () => {
    const data = new Uint8Array(width * height * 3);
    let filled = 0;
    const left = await open.decode((rows) => {
      data.set(rows, filled);
      filled += rows.length;
    });
    const image = { width, height, data };
    return { value: turns ? orient(image, orientation) : image, left };
  });
}

/**
 * Decodes like {@link decodeImage}, then resizes and crops like `preprocess`, row by row. For most
 * codings, neither the image nor the decoder takes much memory (see `memory.ts`).
 *
 * @returns uint8 `[imageSize, imageSize, 3]`
 * @throws what `decodeImage` and `preprocess` throw
 */
export async function decodePixels(
  bytes: Uint8Array,
  preprocessing: Preprocessing,
  options: DecodeOptions,
): Promise<Uint8Array> {
  const open = await openImage(bytes, options);
  const { width, height, orientation } = open;
  checkParameters(preprocessing);
  const more = preprocessMemory(width, height, orientation, preprocessing);
  return admitted(open, more, options, async () => {
    const preprocessor = new RowPreprocessor(width, height, orientation, preprocessing);
    const left = await open.decode((rows) => {
      for (let at = 0; at < rows.length; at += 3 * width) preprocessor.push(rows, at);
    });
    return { value: preprocessor.pixels, left };
  });
}

async function openImage(bytes: Uint8Array, options: DecodeOptions): Promise<OpenImage> {
  const context = { file: options.file ?? 'image', maxPixels: options.maxPixels ?? DEFAULT_MAX_PIXELS };
  const format = detectFormat(bytes, context.file);
  if (format === 'png') return openPng(bytes, context);
  const { jpeg, webp } = options.codecs ?? (await import('#image/codecs')).sharedCodecs;
  return format === 'jpeg' ? openJpeg(bytes, jpeg, context) : openWebp(bytes, webp, context);
}

/**
 * Runs `use` as soon as there is memory for it.
 *
 * @param more bytes needed in addition to the decoder's
 */
async function admitted<T>(
  { width, height, memory }: OpenImage,
  more: number,
  { file = 'image', imageMemory = Number.POSITIVE_INFINITY, gate = processMemory(), signal }: DecodeOptions,
  use: () => Promise<{ value: T; left: number }>,
): Promise<T> {
  const needed = memory + more;
  const most = Math.min(imageMemory, gate?.limit ?? imageMemory);
  if (!(needed <= most)) {
    const text = `${file}: expected an image that needs at most ${mib(most)} to decode, found ${width}×${height} pixels that need ${mib(needed)}`;
    throw new ImageError('IMAGE_TOO_LARGE', text);
  }
  const leave = needed > UNCOUNTED_BYTES ? await gate?.enter(needed, signal) : undefined;
  let left = needed;
  try {
    const used = await use();
    left = used.left;
    return used.value;
  } finally {
    leave?.(left);
  }
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

import { ImageError } from '../../errors.js';
import { be32, JoinedBytes, textAt } from '../bytes.js';
import type { Metadata } from '../exif.js';
import { checkDimensions, type ImageContext } from '../limits.js';
import { crc32 } from './crc32.js';
import { PngText } from './text.js';

/**
 * Samples per pixel by colour type (PNG specification, 11.2.2): 0 grey, 2 RGB, 3 palette, 4 grey +
 * alpha, 6 RGBA.
 */
export const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

/** The IHDR chunk. */
export interface PngHeader {
  width: number;
  height: number;
  /** Bits per sample: 1, 2, 4, 8 or 16. */
  bitDepth: number;
  colourType: number;
  /** Whether the rows are in Adam7 order. */
  interlaced: boolean;
}

/** What the chunks of a PNG say, read without inflating pixels. */
export interface PngStructure {
  header: PngHeader;
  /** RGB triples, for colour type 3. */
  palette: Uint8Array;
  /** The payloads of the IDAT chunks, joined: one zlib stream. */
  compressed: Uint8Array;
  metadata: Metadata;
}

const SIGNATURE_BYTES = 8;
/** Length and type before every payload. */
const CHUNK_HEADER = 8;
const CRC_BYTES = 4;
/** libpng's limit; it keeps a row within a few megabytes. */
const MAX_SIDE = 1_000_000;

/**
 * Reads the chunks as Pillow 13 does:
 *
 * - Chunks before the pixels must be complete and have the right CRC.
 * - The pixels are the first run of IDAT chunks. Their CRCs do not count, since the zlib stream has
 *   its own checksum, and the stream may end with the file.
 * - Chunks after the pixels may contain the orientation. They are read up to IEND or the first
 *   bytes that cannot be a chunk; they must be complete, but may have any CRC.
 * - Other ancillary chunks are skipped, so gamma and colour profiles are ignored.
 *
 * @throws {ImageError} `IMAGE_TRUNCATED` if the file ends before the pixels, or inside a chunk
 *   after them;
 *   `IMAGE_TOO_LARGE`; `IMAGE_DAMAGED` for a wrong CRC or chunks that contradict each other;
 *   `IMAGE_UNSUPPORTED` for Apple's CgBI, unknown critical chunks, and texts that are too long
 */
export function readPngStructure(bytes: Uint8Array, context: ImageContext): PngStructure {
  const { file } = context;
  const text = new PngText(file);
  const idat = new JoinedBytes(bytes.length);
  let palette = new Uint8Array(0);

  let chunk = checkedChunk(bytes, SIGNATURE_BYTES, file);
  const header = readHeader(chunk.type, chunk.payload, context);
  for (;;) {
    chunk = checkedChunk(bytes, chunk.next, file);
    if (chunk.type === 'IDAT' || chunk.type === 'IEND') break;
    if (chunk.type === 'PLTE') palette = new Uint8Array(chunk.payload);
    else readOther(chunk, text, file);
  }
  let behind: Chunk | undefined = chunk;
  for (; behind?.type === 'IDAT'; behind = chunkAt(bytes, behind.next)) idat.add(behind.payload);
  for (; behind !== undefined && behind.type !== 'IEND'; behind = chunkAt(bytes, behind.next)) {
    if (behind.next - CRC_BYTES > bytes.length) throw truncated(bytes, behind.at, file);
    if (behind.type !== 'IDAT' && behind.type !== 'PLTE') readOther(behind, text, file);
  }

  if (header.colourType === 3 && (palette.length === 0 || palette.length % 3 !== 0 || palette.length > 768))
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a PNG palette of 1 to 256 colours, found ${palette.length} bytes`,
    );
  return { header, palette, compressed: idat.bytes, metadata: text.metadata };
}

/** A chunk, which may be incomplete. */
interface Chunk {
  at: number;
  /** Four letters, digits or underscores, as in Pillow. */
  type: string;
  payload: Uint8Array;
  /** Where the next chunk begins, if this one is complete. */
  next: number;
}

/** The chunk at byte `at`; undefined if there is no valid length and type. */
function chunkAt(bytes: Uint8Array, at: number): Chunk | undefined {
  if (at + CHUNK_HEADER > bytes.length) return undefined;
  const type = textAt(bytes, at + 4, 4);
  if (!/^\w{4}$/.test(type)) return undefined;
  const end = at + CHUNK_HEADER + be32(bytes, at);
  return { at, type, payload: bytes.subarray(at + CHUNK_HEADER, end), next: end + CRC_BYTES };
}

/** A required chunk. The CRC of IDAT does not count, and its end may be missing. */
function checkedChunk(bytes: Uint8Array, at: number, file: string): Chunk {
  const chunk = chunkAt(bytes, at);
  if (chunk?.type === 'IDAT') return chunk;
  if (at + CHUNK_HEADER > bytes.length || (chunk !== undefined && chunk.next > bytes.length))
    throw truncated(bytes, at, file);
  if (chunk === undefined)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a PNG chunk at byte ${at}, found the type "${textAt(bytes, at + 4, 4)}"`,
    );
  const end = chunk.next - CRC_BYTES;
  const stored = be32(bytes, end);
  const actual = crc32(bytes, at + 4, end);
  if (stored !== actual)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: the ${chunk.type} chunk at byte ${at} is damaged: expected CRC ${stored.toString(16)}, found ${actual.toString(16)}`,
    );
  return chunk;
}

/** Reads chunks that may contain the orientation, and skips other ancillary chunks. */
function readOther({ at, type, payload }: Chunk, text: PngText, file: string): void {
  if (/^[A-Z]/.test(type))
    throw new ImageError(
      'IMAGE_UNSUPPORTED',
      `${file}: expected the critical PNG chunks IHDR, PLTE, IDAT and IEND, found ${type} at byte ${at}`,
    );
  text.read(type, payload);
}

function truncated(bytes: Uint8Array, at: number, file: string): ImageError {
  return new ImageError(
    'IMAGE_TRUNCATED',
    `${file}: expected a PNG that ends with IEND, found a file that ends after ${bytes.length} bytes, inside the chunk at byte ${at}`,
  );
}

function readHeader(type: string, payload: Uint8Array, context: ImageContext): PngHeader {
  const { file } = context;
  if (type === 'CgBI')
    throw new ImageError(
      'IMAGE_UNSUPPORTED',
      `${file}: expected a standard PNG, found a PNG that Xcode has optimised for iPhones (CgBI)`,
    );
  if (type !== 'IHDR' || payload.length !== 13)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a PNG that begins with IHDR of 13 bytes, found ${type} of ${payload.length}`,
    );
  const width = be32(payload, 0);
  const height = be32(payload, 4);
  const [bitDepth, colourType, compression, filter, interlace] = payload.subarray(8) as unknown as [
    number,
    number,
    number,
    number,
    number,
  ];
  checkDimensions(width, height, context);
  if (Math.max(width, height) > MAX_SIDE)
    throw new ImageError(
      'IMAGE_TOO_LARGE',
      `${file}: expected PNG sides of at most ${MAX_SIDE} pixels, found ${width}×${height} in the header`,
    );
  if (!DEPTHS[colourType]?.includes(bitDepth))
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a valid combination of PNG colour type and bit depth, found ${colourType} and ${bitDepth}`,
    );
  if (compression !== 0 || filter !== 0 || interlace > 1)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected PNG compression 0, filter 0 and interlace 0 or 1, found ${compression}, ${filter} and ${interlace}`,
    );
  return { width, height, bitDepth, colourType, interlaced: interlace === 1 };
}

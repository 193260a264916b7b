import { ImageError } from '../../errors.js';
import { hasText, le16, le32, textAt } from '../bytes.js';
import type { Metadata } from '../exif.js';
import { checkDimensions, type ImageContext } from '../limits.js';

/** What the chunks of a WebP say, read without decoding pixels. */
export interface WebpStructure {
  width: number;
  height: number;
  /** How pixels are coded. The alpha of a lossy image may be lossless, which takes more memory. */
  coding: 'lossy' | 'lossy and alpha' | 'lossless';
  metadata: Metadata;
}

const CHUNK_HEADER = 8;
/** VP8X flags (WebP container specification, "Extended File Format"). */
const ANIMATION = 0x02;
const XMP = 0x04;
const EXIF = 0x08;

/**
 * Reads the RIFF chunks. As in libwebp and Pillow, metadata counts only if VP8X announces it, and
 * only the first chunk of each kind. Bytes after the end that RIFF announces are ignored.
 *
 * @throws {ImageError} `IMAGE_TRUNCATED` if the file is shorter than its header says;
 *   `IMAGE_TOO_LARGE`;
 *   `IMAGE_UNSUPPORTED` for an animation; `IMAGE_DAMAGED` if there is no image, or a chunk exceeds
 *   the RIFF size
 */
export function readWebpStructure(bytes: Uint8Array, context: ImageContext): WebpStructure {
  const { file } = context;
  // RIFF, size of the rest, WEBP. Chunks of odd size are padded, but some writers omit the last
  // padding byte.
  const end = bytes.length < 12 ? Number.POSITIVE_INFINITY : 8 + le32(bytes, 4);
  let size: { width: number; height: number } | undefined;
  let picture = false;
  let hasAlpha = false;
  let isLossless = false;
  let flags = 0;
  const metadata: Metadata = {};

  for (let at = 12; at + CHUNK_HEADER <= Math.min(end, bytes.length); ) {
    const kind = textAt(bytes, at, 4);
    const length = le32(bytes, at + 4);
    const payload = bytes.subarray(at + CHUNK_HEADER, at + CHUNK_HEADER + length);
    const needed =
      kind === 'EXIF' ? flags & EXIF : kind === 'XMP ' ? flags & XMP : /^(VP8[ L]|ALPH)$/.test(kind);
    if (end <= bytes.length && at + CHUNK_HEADER + length > end && needed)
      throw new ImageError(
        'IMAGE_DAMAGED',
        `${file}: expected the ${kind} chunk of the WebP to end within its ${end} bytes, found its end at ${at + CHUNK_HEADER + length}`,
      );
    const animated =
      kind === 'ANIM' || kind === 'ANMF' || (kind === 'VP8X' && (payload[0]! & ANIMATION) !== 0);
    if (animated)
      throw new ImageError('IMAGE_UNSUPPORTED', `${file}: expected a still WebP, found an animated WebP`);
    if (kind === 'VP8X' || kind === 'VP8 ' || kind === 'VP8L') {
      // The canvas comes first. The decoder checks that it is as large as the image.
      const read = readSize(kind, payload, file);
      checkDimensions(read.width, read.height, context);
      if (kind === 'VP8X') flags ||= size === undefined ? payload[0]! : 0;
      else picture = true;
      size ??= read;
    }
    if (kind === 'ALPH') hasAlpha = true;
    if (kind === 'VP8L') isLossless = true;
    if (kind === 'EXIF' && needed) metadata.exif ??= payload;
    if (kind === 'XMP ' && needed) metadata.xmp ??= payload;
    at += CHUNK_HEADER + length + (length & 1);
  }
  if (end > bytes.length)
    throw new ImageError(
      'IMAGE_TRUNCATED',
      `${file}: expected a WebP of ${end === Number.POSITIVE_INFINITY ? 'at least 12' : end} bytes, found ${bytes.length}`,
    );
  if (size === undefined || !picture)
    throw new ImageError('IMAGE_DAMAGED', `${file}: expected a VP8 or VP8L chunk in the WebP, found none`);
  const coding = isLossless ? 'lossless' : hasAlpha ? 'lossy and alpha' : 'lossy';
  return { ...size, coding, metadata };
}

function readSize(kind: string, payload: Uint8Array, file: string): { width: number; height: number } {
  if (payload.length < 10 && !(kind === 'VP8L' && payload.length >= 5))
    throw new ImageError(
      'IMAGE_TRUNCATED',
      `${file}: expected the size in the ${kind} chunk of the WebP, found a chunk that ends after ${payload.length} bytes`,
    );
  if (kind === 'VP8X') {
    const u24 = (at: number) => le16(payload, at) | (payload[at + 2]! << 16);
    return { width: u24(4) + 1, height: u24(7) + 1 };
  }
  if (kind === 'VP8 ') {
    // RFC 6386, 9.1: a frame tag of three bytes, the start code, then width and height in 14 bits
    // with 2 bits of scale.
    if ((payload[0]! & 1) !== 0 || !hasText(payload, 3, '\x9d\x01\x2a'))
      throw new ImageError(
        'IMAGE_DAMAGED',
        `${file}: expected a VP8 key frame in the WebP, found other data`,
      );
    return { width: le16(payload, 6) & 0x3fff, height: le16(payload, 8) & 0x3fff };
  }
  // RFC 9649, 3.4: signature 0x2f, then 14 bits of width - 1 and 14 bits of height - 1.
  if (payload[0] !== 0x2f)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a lossless WebP that begins with 2f, found ${payload[0]!.toString(16)}`,
    );
  const bits = le32(payload, 1);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

import { ImageError } from '../errors.js';
import { be16, hasText } from './bytes.js';
import { checkDimensions, type ImageContext } from './limits.js';

/** What the segments of a JPEG say, read without decoding a pixel. */
export interface JpegStructure {
  /** Stored pixels in a row, before any orientation. */
  width: number;
  height: number;
  /** 1 (grey) or 3 (YCbCr or RGB). */
  components: number;
  /** The payload of the first EXIF segment, beginning with `Exif\0`. */
  exif?: Uint8Array;
}

// Markers (the byte after 0xFF): ITU-T T.81, table B.1.
const TEM = 0x01;
const RST0 = 0xd0;
const RST7 = 0xd7;
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const APP1 = 0xe1;
/** SOF0 baseline, SOF1 extended, SOF2 progressive: what the decoder can do. */
const DECODED_FRAMES = [0xc0, 0xc1, 0xc2];
const REFUSED_FRAMES: Record<number, string> = {
  195: 'lossless JPEG',
  197: 'hierarchical JPEG',
  198: 'hierarchical JPEG',
  199: 'hierarchical JPEG',
  201: 'JPEG with arithmetic coding',
  202: 'JPEG with arithmetic coding',
  203: 'JPEG with arithmetic coding',
  205: 'hierarchical JPEG',
  206: 'hierarchical JPEG',
  207: 'hierarchical JPEG',
};

/** Encoders write about 10 scans. Each costs a pass over the picture, so thousands would cost minutes. */
const MAX_SCANS = 100;

/**
 * Walks through all segments up to the end-of-image marker, as the decoder itself does not mind when they end early.
 *
 * A thumbnail inside a segment is skipped with its segment, so its own end-of-image marker does not count, and
 * bytes after the end of the image (other pictures, makers' notes) are left alone. Linear in the size of the file.
 *
 * @throws {ImageError} `IMAGE_TRUNCATED` if the file ends before the image does or has less than one bit for an
 *   8×8 block; `IMAGE_TOO_LARGE`; `IMAGE_UNSUPPORTED` for CMYK, YCCK, 12-bit, lossless, hierarchical or arithmetic
 *   coding; `IMAGE_DAMAGED` for segments that contradict each other.
 */
export function readJpegStructure(bytes: Uint8Array, context: ImageContext): JpegStructure {
  const { file } = context;
  let at = 2;
  let frame: Frame | undefined;
  let exif: Uint8Array | undefined;
  let scans = 0;
  let codedBytes = 0;

  for (;;) {
    // Between segments the decoder, too, skips what is no marker, and fill bytes (0xFF 0xFF).
    at = bytes.indexOf(0xff, at);
    while (at >= 0 && bytes[at + 1] === 0xff) at++;
    const marker = at < 0 ? undefined : bytes[at + 1];
    if (marker === undefined) throw truncated(file, bytes, scans);
    at += 2;
    if (marker === EOI) break;
    if (marker === 0 || marker === TEM || (marker >= RST0 && marker <= RST7)) continue;
    if (marker === SOI)
      throw new ImageError(
        'IMAGE_DAMAGED',
        `${file}: a second JPEG begins inside the first, at byte ${at - 2}`,
      );

    const length = at + 2 > bytes.length ? 0 : be16(bytes, at);
    if (at + Math.max(length, 2) > bytes.length) throw truncated(file, bytes, scans);
    if (length < 2)
      throw new ImageError(
        'IMAGE_DAMAGED',
        `${file}: expected a JPEG segment of at least 2 bytes at byte ${at}, found ${length}`,
      );
    const payload = bytes.subarray(at + 2, at + length);
    at += length;

    if (isFrame(marker)) {
      if (frame !== undefined)
        throw new ImageError('IMAGE_DAMAGED', `${file}: expected one JPEG frame header, found two`);
      frame = readFrame(marker, payload, context);
    } else if (marker === APP1 && exif === undefined && hasText(payload, 0, 'Exif\0')) {
      exif = payload;
    } else if (marker === SOS) {
      if (frame === undefined)
        throw new ImageError('IMAGE_DAMAGED', `${file}: the JPEG has pixels before its frame header`);
      if (++scans > MAX_SCANS)
        throw new ImageError(
          'IMAGE_UNSUPPORTED',
          `${file}: expected a JPEG of at most ${MAX_SCANS} scans, found more`,
        );
      const end = endOfScan(bytes, at);
      if (end < 0) throw truncated(file, bytes, scans);
      codedBytes += end - at;
      at = end;
    }
  }

  if (frame === undefined || scans === 0)
    throw new ImageError('IMAGE_TRUNCATED', `${file}: the JPEG ends at byte ${at} without any pixels`);
  // Every block takes at least one Huffman code, and the shortest code is one bit.
  if (codedBytes * 8 < frame.blocks)
    throw new ImageError(
      'IMAGE_TRUNCATED',
      `${file}: expected at least ${Math.ceil(frame.blocks / 8)} bytes of pixels for ${frame.width}×${frame.height}, ` +
        `found ${codedBytes}`,
    );
  const { width, height, components } = frame;
  return exif === undefined ? { width, height, components } : { width, height, components, exif };
}

interface Frame {
  width: number;
  height: number;
  components: number;
  /** 8×8 blocks in all components together, counted the way that gives the fewest. */
  blocks: number;
}

/** SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC), which share their range. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

/** T.81, B.2.2: precision, height, width, components, then identifier, sampling factors, table of each. */
function readFrame(marker: number, payload: Uint8Array, context: ImageContext): Frame {
  const { file } = context;
  if (!DECODED_FRAMES.includes(marker)) throw unsupported(file, REFUSED_FRAMES[marker] ?? 'unknown JPEG');
  const components = payload[5] ?? 0;
  if (components === 0 || payload.length < 6 + components * 3)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a JPEG frame header of ${6 + components * 3} bytes for ${components} components, ` +
        `found ${payload.length}`,
    );
  const height = be16(payload, 1);
  const width = be16(payload, 3);
  checkDimensions(width, height, context);
  if (payload[0] !== 8) throw unsupported(file, `JPEG with ${payload[0]}-bit samples`);
  if (components === 4) throw unsupported(file, 'CMYK or YCCK JPEG');
  if (components !== 1 && components !== 3) throw unsupported(file, `JPEG with ${components} components`);

  const sampling = Array.from({ length: components }, (_, i) => payload[7 + i * 3]!);
  const across = sampling.map((s) => s >> 4);
  const down = sampling.map((s) => s & 15);
  if ([...across, ...down].some((factor) => factor < 1 || factor > 4))
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected JPEG sampling factors of 1 to 4, found ${across.join()}×${down.join()}`,
    );
  const blocks = sampling.reduce(
    (sum, _, i) =>
      sum +
      Math.ceil((width * across[i]!) / (8 * Math.max(...across))) *
        Math.ceil((height * down[i]!) / (8 * Math.max(...down))),
    0,
  );
  return { width, height, components, blocks };
}

/** Where the marker after the entropy-coded bytes stands; stuffed zeros and restarts belong to them. -1: nowhere. */
function endOfScan(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) return -1;
    const next = bytes[at + 1]!;
    if (next === 0xff) at += 1;
    else if (next === 0 || (next >= RST0 && next <= RST7)) at += 2;
    else return at;
  }
}

function truncated(file: string, bytes: Uint8Array, scans: number): ImageError {
  return new ImageError(
    'IMAGE_TRUNCATED',
    `${file}: expected the JPEG end-of-image marker, the file ends after ${bytes.length} bytes ` +
      (scans === 0 ? 'before any pixels' : `inside or after scan ${scans}`),
  );
}

function unsupported(file: string, found: string): ImageError {
  return new ImageError(
    'IMAGE_UNSUPPORTED',
    `${file}: expected a grey, YCbCr or RGB JPEG with 8-bit samples and Huffman coding, found a ${found}`,
  );
}

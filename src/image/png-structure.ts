import { ImageError } from '../errors.js';
import { be32, textAt } from './bytes.js';
import { crc32 } from './crc32.js';
import { checkDimensions, type ImageContext } from './limits.js';

/** Samples in a pixel by colour type (PNG specification, 11.2.2): 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA. */
export const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

/** IHDR. */
export interface PngHeader {
  width: number;
  height: number;
  /** Bits in a sample: 1, 2, 4, 8 or 16. */
  bitDepth: number;
  colourType: number;
  /** Adam7. */
  interlaced: boolean;
}

/** What the chunks of a PNG say, read without inflating a pixel. */
export interface PngStructure {
  header: PngHeader;
  /** RGB triples, for colour type 3. */
  palette: Uint8Array;
  /** The payloads of all IDAT chunks, joined: one zlib stream. */
  compressed: Uint8Array;
  /** The payload of the eXIf chunk. */
  exif?: Uint8Array;
}

const SIGNATURE_BYTES = 8;
/** Length, type and CRC around every payload. */
const CHUNK_OVERHEAD = 12;
/** libpng's own limit; it keeps a row within some megabytes. */
const MAX_SIDE = 1_000_000;

/**
 * Walks through all chunks up to IEND and checks the CRC of each. Ancillary chunks other than eXIf are skipped, so
 * gamma and colour profiles are ignored, as Pillow does. Bytes after IEND are left alone.
 *
 * @throws {ImageError} `IMAGE_TRUNCATED` if the file ends before IEND; `IMAGE_TOO_LARGE`; `IMAGE_DAMAGED` for a
 *   wrong CRC or chunks that contradict each other; `IMAGE_UNSUPPORTED` for Apple's CgBI and unknown critical chunks
 */
export function readPngStructure(bytes: Uint8Array, context: ImageContext): PngStructure {
  const { file } = context;
  let header: PngHeader | undefined;
  let palette = new Uint8Array(0);
  let exif: Uint8Array | undefined;
  const idat = new Joined(bytes.length);

  let at = SIGNATURE_BYTES;
  for (;;) {
    const length = at + CHUNK_OVERHEAD > bytes.length ? 0 : be32(bytes, at);
    if (at + CHUNK_OVERHEAD + length > bytes.length)
      throw new ImageError(
        'IMAGE_TRUNCATED',
        `${file}: expected a PNG that ends with IEND, the file ends after ${bytes.length} bytes inside the chunk at ${at}`,
      );
    const type = textAt(bytes, at + 4, 4);
    const payload = bytes.subarray(at + 8, at + 8 + length);
    const stored = be32(bytes, at + 8 + length);
    const actual = crc32(bytes, at + 4, at + 8 + length);
    if (stored !== actual)
      throw new ImageError(
        'IMAGE_DAMAGED',
        `${file}: the ${type} chunk at byte ${at} is damaged: expected CRC ${stored.toString(16)}, found ${actual.toString(16)}`,
      );
    if (header === undefined) header = readHeader(type, payload, context);
    else if (type === 'PLTE') palette = new Uint8Array(payload);
    else if (type === 'IDAT') idat.add(payload);
    else if (type === 'eXIf') exif ??= payload;
    else if (type === 'IEND') break;
    else if ((bytes[at + 4]! & 0x20) === 0)
      throw new ImageError(
        'IMAGE_UNSUPPORTED',
        `${file}: expected the critical PNG chunks IHDR, PLTE, IDAT and IEND, found ${type} at byte ${at}`,
      );
    at += CHUNK_OVERHEAD + length;
  }

  if (header.colourType === 3 && (palette.length === 0 || palette.length % 3 !== 0 || palette.length > 768))
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a PNG palette of 1 to 256 colours, found ${palette.length} bytes`,
    );
  const structure = { header, palette, compressed: idat.bytes };
  return exif === undefined ? structure : { ...structure, exif };
}

function readHeader(type: string, payload: Uint8Array, context: ImageContext): PngHeader {
  const { file } = context;
  if (type === 'CgBI')
    throw new ImageError(
      'IMAGE_UNSUPPORTED',
      `${file}: expected a standard PNG, found one that Xcode has optimised for iPhones (CgBI)`,
    );
  if (type !== 'IHDR' || payload.length !== 13)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a PNG to begin with IHDR of 13 bytes, found ${type} of ${payload.length}`,
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
      `${file}: expected PNG sides of at most ${MAX_SIDE} pixels, the header says ${width}×${height}`,
    );
  if (!DEPTHS[colourType]?.includes(bitDepth))
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a PNG colour type and bit depth that go together, found ${colourType} and ${bitDepth}`,
    );
  if (compression !== 0 || filter !== 0 || interlace > 1)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected PNG compression 0, filter 0 and interlace 0 or 1, found ${compression}, ${filter} and ${interlace}`,
    );
  return { width, height, bitDepth, colourType, interlaced: interlace === 1 };
}

/** Joins byte runs; a single run is not copied. Takes no more memory than the file, however many runs there are. */
class Joined {
  readonly #capacity: number;
  #first: Uint8Array | undefined;
  #all: Uint8Array | undefined;
  #length = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(run: Uint8Array): void {
    if (this.#first === undefined) this.#first = run;
    else {
      if (this.#all === undefined) {
        this.#all = new Uint8Array(this.#capacity);
        this.#all.set(this.#first);
      }
      this.#all.set(run, this.#length);
    }
    this.#length += run.length;
  }

  get bytes(): Uint8Array {
    return (this.#all ?? this.#first ?? new Uint8Array(0)).subarray(0, this.#length);
  }
}

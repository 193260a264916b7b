import { ImageError } from '../../errors.js';
import { be16, hasText, JoinedBytes } from '../bytes.js';
import type { Metadata } from '../exif.js';
import { checkDimensions, type ImageContext } from '../limits.js';

/** What the segments of a JPEG say, read without decoding pixels. */
export interface JpegStructure {
  /** Stored pixels in a row, before any orientation. */
  width: number;
  height: number;
  components: Component[];
  progressive: boolean;
  metadata: Metadata;
  /** Number of scans that make up the image. */
  scans: number;
  /** The file up to the end of the last of these scans, with an end-of-image marker. */
  picture: Uint8Array;
  /** Whether this marker is in the file. */
  closed: boolean;
}

/** A colour component. */
export interface Component {
  id: number;
  /** Sampling factors. */
  across: number;
  down: number;
}

/** A marker and its segment. */
export interface Segment {
  marker: number;
  /** The segment without its length. */
  payload: Uint8Array;
  /** For a scan header: the entropy-coded bytes after it, with stuffed zeros and restarts. */
  coded: Uint8Array;
  /** Where the segment, with these bytes, ends in the file. */
  end: number;
}

// Markers (the byte after 0xFF): ITU-T T.81, table B.1.
const TEM = 0x01;
export const RST0 = 0xd0;
const RST7 = 0xd7;
const SOI = 0xd8;
const EOI = 0xd9;
export const SOS = 0xda;
const APP1 = 0xe1;
const SOF2 = 0xc2;
/** The frames that the decoder supports: SOF0 baseline, SOF1 extended, SOF2 progressive. */
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

const EXIF = 'Exif\0\0';
const XMP = 'http://ns.adobe.com/xap/1.0/\0';

/**
 * If one of the first coefficients is incomplete, libjpeg invents detail from the neighbouring
 * blocks. It reads other missing coefficients as 0.
 */
const SMOOTHED = 9;

/**
 * Encoders write about 10 scans. Each takes a pass over the image, so thousands would take minutes.
 */
const MAX_SCANS = 100;

/**
 * Reads the segments up to the end-of-image marker, or up to the end of the scan that completes
 * every coefficient: anything after that changes no pixel. The decoder itself would accept an image
 * that ends early.
 *
 * A thumbnail is skipped with its segment, so its own end-of-image marker does not count. The time
 * is linear in the size of the file.
 *
 * @throws {ImageError} `IMAGE_TRUNCATED` if the file ends before the image does, lacks a colour
 *   component or has less than one bit per 8×8 block; `IMAGE_TOO_LARGE`; `IMAGE_UNSUPPORTED` for
 *   CMYK, YCCK, 12-bit, lossless, hierarchical or arithmetic coding; `IMAGE_DAMAGED` for segments
 *   that contradict each other
 */
export function readJpegStructure(bytes: Uint8Array, context: ImageContext): JpegStructure {
  const { file } = context;
  let frame: JpegFrame | undefined;
  /** The lowest bit read so far of each component's 64 coefficients; above 13 if none was read. */
  let bits = new Uint8Array(0);
  const exif = new JoinedBytes(bytes.length);
  let xmp: Uint8Array | undefined;
  let scans = 0;
  let codedBytes = 0;
  let end = 0;
  let closed = false;

  for (const { marker, payload, coded, end: segmentEnd } of segments(bytes, file)) {
    if (marker === EOI) {
      closed = true;
      break;
    }
    if (isFrame(marker)) {
      if (frame !== undefined)
        throw new ImageError('IMAGE_DAMAGED', `${file}: expected one JPEG frame header, found two`);
      frame = readFrame(marker, payload, context);
      bits = new Uint8Array(64 * frame.components.length).fill(255);
    } else if (marker === APP1 && scans === 0) {
      // As in Pillow, EXIF may span several segments, and the last XMP segment counts.
      if (hasText(payload, 0, EXIF)) exif.add(payload.subarray(EXIF.length));
      if (hasText(payload, 0, XMP)) xmp = payload.subarray(XMP.length);
    } else if (marker === SOS) {
      if (frame === undefined)
        throw new ImageError(
          'IMAGE_DAMAGED',
          `${file}: expected a JPEG frame header before the pixels, found none`,
        );
      if (++scans > MAX_SCANS)
        throw new ImageError(
          'IMAGE_UNSUPPORTED',
          `${file}: expected a JPEG of at most ${MAX_SCANS} scans, found more`,
        );
      codedBytes += coded.length;
      end = segmentEnd;
      const scan = readScan(payload, frame.components, frame.progressive, file);
      for (const { component } of scan.parts)
        bits.fill(scan.low, 64 * component + scan.first, 64 * component + scan.last + 1);
      if (bits.every((low) => low === 0)) {
        closed = bytes[end] === 0xff && bytes[end + 1] === EOI;
        break;
      }
    }
  }

  const whole = bits.every((low, i) => low === 0 || (closed && i % 64 > SMOOTHED));
  if (frame === undefined || scans === 0 || !whole)
    throw new ImageError(
      'IMAGE_TRUNCATED',
      closed
        ? `${file}: expected all pixels of the JPEG, found ${scans === 0 ? 'none' : 'only some'}`
        : `${file}: expected a JPEG end-of-image marker, found a file that ends after ${bytes.length} bytes, ` +
            (scans === 0 ? 'before any pixels' : `inside or after scan ${scans}`),
    );
  // Every block needs at least one Huffman code, and the shortest code has one bit.
  if (codedBytes * 8 < frame.blocks)
    throw new ImageError(
      'IMAGE_TRUNCATED',
      `${file}: expected at least ${Math.ceil(frame.blocks / 8)} bytes of pixels for ${frame.width}×${frame.height}, ` +
        `found ${codedBytes}`,
    );
  let picture = bytes.subarray(0, end + 2);
  if (picture[end] !== 0xff || picture[end + 1] !== EOI) {
    picture = new Uint8Array(end + 2);
    picture.set(bytes.subarray(0, end));
    picture.set([0xff, EOI], end);
  }
  const { width, height, components, progressive } = frame;
  const metadata = { exif: exif.bytes, xmp };
  return { width, height, components, progressive, metadata, scans, picture, closed };
}

/**
 * The segments of a JPEG up to its end-of-image marker or the end of the file.
 *
 * @throws {ImageError} `IMAGE_TRUNCATED` for an incomplete segment, `IMAGE_DAMAGED` for an invalid
 *   one
 */
export function* segments(bytes: Uint8Array, file: string): Generator<Segment> {
  for (let at = 2; ; ) {
    // Like the decoder, skip bytes between segments that are not markers, and fill bytes (0xFF
    // 0xFF).
    at = bytes.indexOf(0xff, at);
    while (at >= 0 && bytes[at + 1] === 0xff) at++;
    const marker = at < 0 ? undefined : bytes[at + 1];
    if (marker === undefined) return;
    at += 2;
    if (marker === 0 || marker === TEM || (marker >= RST0 && marker <= RST7)) continue;
    if (marker === SOI)
      throw new ImageError(
        'IMAGE_DAMAGED',
        `${file}: expected one JPEG, found the beginning of a second at byte ${at - 2}`,
      );
    const length = marker === EOI ? 0 : at + 2 > bytes.length ? 2 : be16(bytes, at);
    if (at + length > bytes.length)
      throw new ImageError(
        'IMAGE_TRUNCATED',
        `${file}: expected a JPEG segment of ${length} bytes at byte ${at}, found a file that ends after ${bytes.length}`,
      );
    if (length < 2 && marker !== EOI)
      throw new ImageError(
        'IMAGE_DAMAGED',
        `${file}: expected a JPEG segment of at least 2 bytes at byte ${at}, found ${length}`,
      );
    const payload = bytes.subarray(at + 2, at + length);
    const end = marker === SOS ? endOfScan(bytes, at + length) : at + length;
    yield { marker, payload, coded: bytes.subarray(at + length, end), end };
    if (marker === EOI) return;
    at = end;
  }
}

/** The header of a scan: the components, coefficients and bits that it contains. */
export interface Scan {
  /** For each component, its number in the frame and its tables. */
  parts: { component: number; dc: number; ac: number }[];
  /** The first and last coefficient, 0 to 63. */
  first: number;
  last: number;
  /** The lowest bit of previous scans, or 0. */
  high: number;
  /** The lowest bit of this scan. */
  low: number;
}

/** T.81, B.2.3. Sequential frames have whole coefficients, regardless of the header. */
export function readScan(
  payload: Uint8Array,
  components: Component[],
  progressive: boolean,
  file: string,
): Scan {
  const count = payload[0] ?? 0;
  const parts: Scan['parts'] = [];
  for (let i = 0; i < Math.min(count, 4); i++) {
    // Components may share an identifier; libjpeg then assigns them in turn.
    const component = components.findIndex(
      ({ id }, n) => id === payload[1 + 2 * i] && !parts.some((part) => part.component === n),
    );
    const tables = payload[2 + 2 * i]!;
    parts.push({ component, dc: tables >> 4, ac: tables & 15 });
  }
  const at = 1 + 2 * count;
  const [first, last, bits] = progressive ? [payload[at]!, payload[at + 1]!, payload[at + 2]!] : [0, 63, 0];
  if (
    payload.length !== at + 3 ||
    count === 0 ||
    count > components.length ||
    parts.some(({ component }) => component < 0) ||
    first > last ||
    last > 63 ||
    // In a progressive frame, DC has its own scans, and each AC scan has one component.
    (progressive && (first === 0 ? last > 0 : count > 1))
  )
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected a JPEG scan header that fits the frame, found another`,
    );
  return { parts, first, last, high: bits >> 4, low: bits & 15 };
}

interface JpegFrame {
  width: number;
  height: number;
  components: Component[];
  progressive: boolean;
  /** Number of 8×8 blocks of all components, without padding, which gives the smallest count. */
  blocks: number;
}

/** Whether this is one of SOF0 to SOF15. DHT (C4), JPG (C8) and DAC (CC) are in the same range. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

/**
 * T.81, B.2.2: precision, height, width, count; per component: identifier, sampling factors, table.
 */
function readFrame(marker: number, payload: Uint8Array, context: ImageContext): JpegFrame {
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

  const colours = Array.from({ length: components }, (_, i) => {
    const factors = payload[7 + i * 3]!;
    return { id: payload[6 + i * 3]!, across: factors >> 4, down: factors & 15 };
  });
  if (colours.some(({ across, down }) => Math.min(across, down) < 1 || Math.max(across, down) > 4))
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected JPEG sampling factors of 1 to 4, found ${colours.map(({ across, down }) => `${across}×${down}`).join()}`,
    );
  const blocks = colours.reduce((sum, colour) => {
    const [across, down] = blocksOf(width, height, colour, colours);
    return sum + across * down;
  }, 0);
  return { width, height, components: colours, progressive: marker === SOF2, blocks };
}

/** Number of 8×8 blocks per row and per column of a component in a scan of its own. */
export function blocksOf(
  width: number,
  height: number,
  { across, down }: Component,
  components: Component[],
): [across: number, down: number] {
  return [
    Math.ceil((width * across) / (8 * Math.max(...components.map((one) => one.across)))),
    Math.ceil((height * down) / (8 * Math.max(...components.map((one) => one.down)))),
  ];
}

/**
 * Where the entropy-coded bytes end: at a marker or the end of the file. Stuffed zeros and restart
 * markers are part of them.
 */
function endOfScan(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0) return bytes.length;
    const next = bytes[at + 1];
    if (next === 0xff) at += 1;
    else if (next === 0 || (next !== undefined && next >= RST0 && next <= RST7)) at += 2;
    else return at;
  }
}

function unsupported(file: string, found: string): ImageError {
  return new ImageError(
    'IMAGE_UNSUPPORTED',
    `${file}: expected a grey, YCbCr or RGB JPEG with 8-bit samples and Huffman coding, found a ${found}`,
  );
}

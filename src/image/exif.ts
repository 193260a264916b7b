import { be16, be32, hasText, le16, le32 } from './bytes.js';

/** How to turn the stored pixels upright (TIFF 6.0, tag 274); 1 leaves them unchanged. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** The metadata blocks that may contain the orientation. */
export interface Metadata {
  /** TIFF, with or without `Exif\0\0` before it. */
  exif?: Uint8Array | undefined;
  /** XML. */
  xmp?: Uint8Array | undefined;
}

const ORIENTATION_TAG = 0x0112;
const ENTRY_BYTES = 12;
/** Bytes of one value, by TIFF type. Entries with other types are skipped. */
const UNIT_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8];

/** The TIFF headers that Pillow accepts; the first of each byte order is the specification's. */
const LITTLE = ['II*\0', 'II\0*'];
const BIG = ['MM\0*', 'MM*\0', 'MM\0+'];

/**
 * The orientation that Pillow's `ImageOps.exif_transpose` applies: from EXIF, or else from XMP. If
 * Pillow cannot read the EXIF block (most of its readers raise an exception), it is 1.
 */
export function orientationOf({ exif, xmp }: Metadata): Orientation {
  const value = (exif && exifOrientation(exif)) ?? (xmp && xmpOrientation(xmp)) ?? 1;
  return Number.isInteger(value) && value >= 1 && value <= 8 ? (value as Orientation) : 1;
}

/**
 * The value of the tag, which may be invalid; 1 if the block is not TIFF; undefined without a tag.
 *
 * Reads only the first directory, and each entry at most once, so a block that loops or points
 * outside itself costs no more than a valid one. As in Pillow, an entry whose value is outside the
 * block ends the directory.
 */
function exifOrientation(exif: Uint8Array): number | undefined {
  let tiff = exif;
  for (let i = 0; i < 2 && hasText(tiff, 0, 'Exif\0\0'); i++) tiff = tiff.subarray(6);
  if (tiff.length === 0) return undefined;
  const little = LITTLE.some((header) => hasText(tiff, 0, header));
  if (tiff.length < 8 || !(little || BIG.some((header) => hasText(tiff, 0, header)))) return 1;
  const u16 = little ? le16 : be16;
  const u32 = little ? le32 : be32;

  const directory = u32(tiff, 4);
  if (directory + 2 > tiff.length) return undefined;
  const entries = u16(tiff, directory);
  const seen = new Set<number>();
  let outside = 0;
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + i * ENTRY_BYTES;
    if (at + ENTRY_BYTES > tiff.length) return undefined;
    const tag = u16(tiff, at);
    const type = u16(tiff, at + 2);
    const size = u32(tiff, at + 4) * (UNIT_BYTES[type] ?? 0);
    if (seen.has(tag) || size === 0) continue;
    let value = at + 8;
    if (size > 4) {
      outside += size;
      if (outside > tiff.length) continue;
      value = u32(tiff, at + 8);
      if (value + size > tiff.length) return undefined;
    }
    if (tag === ORIENTATION_TAG) return readValue(tiff, value, type, little);
    seen.add(tag);
  }
  return undefined;
}

/** The first number of the entry; 1 for types without numbers. */
function readValue(tiff: Uint8Array, at: number, type: number, little: boolean): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.length);
  switch (type) {
    case 3:
      return view.getUint16(at, little);
    case 4:
    case 13:
      return view.getUint32(at, little);
    case 5:
      return view.getUint32(at, little) / view.getUint32(at + 4, little);
    case 6:
      return view.getInt8(at);
    case 8:
      return view.getInt16(at, little);
    case 9:
      return view.getInt32(at, little);
    case 10:
      return view.getInt32(at, little) / view.getInt32(at + 4, little);
    case 11:
      return view.getFloat32(at, little);
    case 12:
      return view.getFloat64(at, little);
    case 16:
      return Number(view.getBigUint64(at, little));
    default:
      return 1;
  }
}

/** Pillow's pattern. It is ASCII, so it also works in any encoding that extends ASCII. */
function xmpOrientation(xmp: Uint8Array): number | undefined {
  const found = /tiff:Orientation(?:="|>)([0-9])/.exec(new TextDecoder().decode(xmp));
  return found === null ? undefined : Number(found[1]);
}

import { be16, be32, hasText, le16, le32 } from './bytes.js';

/** How the stored pixels have to be turned to stand upright: TIFF 6.0, tag 274. 1 is "as they are". */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const ORIENTATION_TAG = 0x0112;
const TYPE_SHORT = 3;
const TYPE_LONG = 4;
const ENTRY_BYTES = 12;

/**
 * Reads the orientation from an EXIF block: JPEG's APP1 (with its `Exif\0\0`), PNG's eXIf, WebP's EXIF chunk.
 *
 * Only the first directory is read, each of its entries at most once, and no other offset is followed: a block
 * that loops or points outside itself costs no more than a sound one. Nonsense means 1, never an error.
 *
 * @param exif the block, or nothing
 */
export function exifOrientation(exif: Uint8Array | undefined): Orientation {
  if (exif === undefined) return 1;
  const tiff = hasText(exif, 0, 'Exif\0') ? exif.subarray(6) : exif;
  if (tiff.length < 8) return 1;
  const little = hasText(tiff, 0, 'II*\0');
  if (!little && !hasText(tiff, 0, 'MM\0*')) return 1;
  const u16 = little ? le16 : be16;
  const u32 = little ? le32 : be32;

  const directory = u32(tiff, 4);
  if (directory < 8 || directory + 2 > tiff.length) return 1;
  const entries = u16(tiff, directory);
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + i * ENTRY_BYTES;
    if (at + ENTRY_BYTES > tiff.length) return 1;
    if (u16(tiff, at) !== ORIENTATION_TAG) continue;
    const type = u16(tiff, at + 2);
    if ((type !== TYPE_SHORT && type !== TYPE_LONG) || u32(tiff, at + 4) !== 1) return 1;
    const value = type === TYPE_SHORT ? u16(tiff, at + 8) : u32(tiff, at + 8);
    return value >= 1 && value <= 8 ? (value as Orientation) : 1;
  }
  return 1;
}

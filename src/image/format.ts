import { ImageError } from '../errors.js';
import { hasText, textAt } from './bytes.js';

/** The supported formats. */
export type ImageFormat = 'jpeg' | 'png' | 'webp';

const PNG_SIGNATURE = '\x89PNG\r\n\x1a\n';
const JPEG_SIGNATURE = '\xff\xd8\xff';

/** Known formats that are not supported: `[name, offset, text at this offset]`. */
const REFUSED: [name: string, at: number, text: string][] = [
  ['GIF', 0, 'GIF87a'],
  ['GIF', 0, 'GIF89a'],
  ['BMP', 0, 'BM'],
  ['TIFF', 0, 'II*\0'],
  ['TIFF', 0, 'MM\0*'],
  ['BigTIFF', 0, 'II+\0'],
  ['BigTIFF', 0, 'MM\0+'],
  ['JPEG XL', 0, '\xff\x0a'],
  ['JPEG XL', 0, '\0\0\0\x0cJXL '],
  ['JPEG 2000', 0, '\0\0\0\x0cjP  '],
  ['JPEG 2000', 0, '\xff\x4f\xff\x51'],
  ['AVIF', 4, 'ftypavif'],
  ['AVIF (a sequence)', 4, 'ftypavis'],
  ['HEIC', 4, 'ftyphei'],
  ['HEIC', 4, 'ftyphev'],
  ['HEIF', 4, 'ftypmif1'],
  ['HEIF (a sequence)', 4, 'ftypmsf1'],
  ['ISO media (a film?)', 4, 'ftyp'],
  ['Photoshop', 0, '8BPS'],
  ['ICO', 0, '\0\0\x01\0'],
  ['PDF', 0, '%PDF'],
  ['SVG', 0, '<svg'],
  ['XML or SVG', 0, '<?xml'],
  ['HTML', 0, '<!DOCTYPE'],
  ['HTML', 0, '<!doctype'],
  ['HTML', 0, '<html'],
];

/**
 * Detects the format from the first bytes, never from the file name.
 *
 * @param bytes the whole file
 * @param file the file name for messages
 * @throws {ImageError} `IMAGE_EMPTY`; `IMAGE_TRUNCATED` for a file that ends inside a signature;
 *   `IMAGE_DAMAGED` for a PNG whose signature a text-mode transfer has changed; `IMAGE_UNSUPPORTED`
 *   for a known format that is not supported; `IMAGE_FORMAT` for anything else
 */
export function detectFormat(bytes: Uint8Array, file: string): ImageFormat {
  if (bytes.length === 0)
    throw new ImageError('IMAGE_EMPTY', `${file}: expected a JPEG, PNG or WebP image, found 0 bytes`);
  if (hasText(bytes, 0, JPEG_SIGNATURE)) return 'jpeg';
  if (hasText(bytes, 0, PNG_SIGNATURE)) return 'png';
  if (hasText(bytes, 0, 'RIFF') && hasText(bytes, 8, 'WEBP')) return 'webp';
  for (const start of [JPEG_SIGNATURE, PNG_SIGNATURE, 'RIFF'])
    if (bytes.length < 12 && hasText(bytes, 0, start.slice(0, bytes.length)))
      throw new ImageError(
        'IMAGE_TRUNCATED',
        `${file}: expected a JPEG, PNG or WebP image, found a file that ends after ${bytes.length} bytes`,
      );
  if (hasText(bytes, 1, 'PNG'))
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: expected the PNG signature 89 50 4e 47 0d 0a 1a 0a, found ${hex(bytes)} (a text-mode transfer?)`,
    );
  for (const [name, at, text] of REFUSED)
    if (hasText(bytes, at, text))
      throw new ImageError(
        'IMAGE_UNSUPPORTED',
        `${file}: expected a JPEG, PNG or WebP image, found ${name}, which is not supported`,
      );
  throw new ImageError(
    'IMAGE_FORMAT',
    `${file}: expected a JPEG, PNG or WebP image, found a file that begins with ${hex(bytes)} ("${textAt(bytes, 0, 8)}")`,
  );
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 8), (b) => b.toString(16).padStart(2, '0')).join(' ');
}

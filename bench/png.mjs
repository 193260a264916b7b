// PNG files for benches and attacks, including some that no encoder writes.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { crc32 } from '../dist/image/png/crc32.js';

const be32 = (value) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];

/** The file around deflated scanlines; a palette is black. */
export function pngFile(width, height, deflated, { bitDepth = 8, colourType = 2, interlaced = false } = {}) {
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', [...be32(width), ...be32(height), bitDepth, colourType, 0, 0, interlaced ? 1 : 0]),
    ...(colourType === 3 ? [chunk('PLTE', Buffer.alloc(768))] : []),
    chunk('IDAT', deflated),
    chunk('IEND', []),
  ]);
}

function chunk(type, payload) {
  const body = Buffer.concat([Buffer.from(type), Buffer.from(payload)]);
  return Buffer.concat([
    Buffer.from(be32(payload.length)),
    body,
    Buffer.from(be32(crc32(body, 0, body.length))),
  ]);
}

/**
 * Writes `count` different pictures of 32×32 pixels into the new folder `folder/pictures`.
 *
 * @param byte returns the next byte of a picture
 */
export function writePictures(folder, count, byte) {
  mkdirSync(join(folder, 'pictures'));
  for (let i = 0; i < count; i++) {
    const rows = Uint8Array.from({ length: 32 * (1 + 3 * 32) }, (_, at) => (at % 97 === 0 ? 0 : byte()));
    writeFileSync(join(folder, 'pictures', `${i}.png`), pngFile(32, 32, deflateSync(rows)));
  }
}

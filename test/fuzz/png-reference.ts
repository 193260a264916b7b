/** A plain PNG decoder after the specification, against which the library's is compared. */

import { crc32, inflateSync } from 'node:zlib';

/** The passes of Adam7: first column and row, steps. */
export const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

export interface ReferencePicture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** The RGB pixels of a PNG that is right in everything; undefined for any other. */
export function referencePng(bytes: Uint8Array, maxPixels: number): ReferencePicture | undefined {
  try {
    return decoded(Buffer.from(bytes), maxPixels);
  } catch {
    return undefined;
  }
}

function decoded(file: Buffer, maxPixels: number): ReferencePicture | undefined {
  if (file.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') return undefined;
  const idat: Buffer[] = [];
  let header: Buffer | undefined;
  let palette: Buffer = Buffer.alloc(0);
  let isEnded = false;
  let last = '';
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const payload = file.subarray(at + 8, at + 8 + length);
    if (
      payload.length !== length ||
      crc32(file.subarray(at + 4, at + 8 + length)) !== file.readUInt32BE(at + 8 + length)
    )
      return undefined;
    // Only what no decoder may refuse.
    if (
      isEnded ||
      (header === undefined) !== (type === 'IHDR') ||
      !['IHDR', 'PLTE', 'IDAT', 'IEND', 'gAMA', 'pHYs'].includes(type)
    )
      return undefined;
    if (type === 'IHDR') header = payload;
    else if (type === 'PLTE') {
      if (palette.length > 0 || idat.length > 0) return undefined;
      palette = payload;
    } else if (type === 'IDAT') {
      if (idat.length > 0 && last !== 'IDAT') return undefined;
      idat.push(payload);
    } else if (type === 'IEND') isEnded = true;
    last = type;
    at += 12 + length;
  }
  if (!isEnded || header?.length !== 13) return undefined;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, colour, compression, filter, interlace] = header.subarray(8) as unknown as [
    number,
    number,
    number,
    number,
    number,
  ];
  const depths = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] }[colour];
  if (!depths?.includes(depth) || compression + filter > 0 || interlace > 1) return undefined;
  if (width === 0 || height === 0 || width * height > maxPixels) return undefined;
  if (colour === 3 && (palette.length === 0 || palette.length % 3 > 0 || palette.length > 3 << depth))
    return undefined;

  const samples = SAMPLES[colour]!;
  const pixelBytes = Math.max(1, (samples * depth) >> 3);
  const data = new Uint8Array(width * height * 3);
  const raw = inflateSync(Buffer.concat(idat));
  let at = 0;
  for (const [x0, y0, dx, dy] of interlace === 1 ? ADAM7 : ([[0, 0, 1, 1]] as const)) {
    const columns = Math.ceil((width - x0) / dx);
    const rows = Math.ceil((height - y0) / dy);
    if (columns <= 0 || rows <= 0) continue;
    const rowBytes = Math.ceil((columns * samples * depth) / 8);
    let above: Uint8Array = new Uint8Array(rowBytes);
    for (let row = 0; row < rows; row++) {
      const kind = raw[at]!;
      const line = Uint8Array.from(raw.subarray(at + 1, at + 1 + rowBytes));
      if (kind > 4 || line.length !== rowBytes) return undefined;
      at += 1 + rowBytes;
      for (let i = 0; i < rowBytes; i++) {
        const left = i < pixelBytes ? 0 : line[i - pixelBytes]!;
        const up = above[i]!;
        const corner = i < pixelBytes ? 0 : above[i - pixelBytes]!;
        line[i]! += [0, left, up, (left + up) >> 1, paeth(left, up, corner)][kind]!;
      }
      above = line;
      for (let column = 0; column < columns; column++) {
        const rgb = pixel(line, column, depth, colour, samples, palette);
        if (rgb === undefined) return undefined;
        data.set(rgb, ((y0 + row * dy) * width + x0 + column * dx) * 3);
      }
    }
  }
  return at === raw.length ? { width, height, data } : undefined;
}

/**
 * The red, green and blue of a pixel: of 16 bits the high byte, of fewer than 8 the value stretched
 * to 255.
 */
function pixel(
  line: Uint8Array,
  column: number,
  depth: number,
  colour: number,
  samples: number,
  palette: Uint8Array,
): Uint8Array | undefined {
  const sample = (i: number): number => {
    const n = column * samples + i;
    if (depth === 16) return line[n * 2]!;
    if (depth === 8) return line[n]!;
    const bit = n * depth;
    const value = (line[bit >> 3]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
    return colour === 3 ? value : (value * 255) / ((1 << depth) - 1);
  };
  if (colour === 3) {
    const index = sample(0) * 3;
    return index < palette.length ? palette.subarray(index, index + 3) : undefined;
  }
  const isGrey = samples < 3;
  return Uint8Array.of(sample(0), sample(isGrey ? 0 : 1), sample(isGrey ? 0 : 2));
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

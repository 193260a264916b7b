import type { PngHeader } from './structure.js';

/**
 * Writes one unfiltered row as RGB.
 *
 * Grey of 1, 2 or 4 bits is stretched to 0..255, 16-bit samples keep their high byte (as in
 * Pillow), and alpha and tRNS are dropped without compositing.
 *
 * @param row packed samples, the leftmost pixel in the high bits
 * @param pixels pixels in the row
 * @param palette RGB triples, for colour type 3
 * @param out `[height, width, 3]`
 * @param at byte of `out` for the first pixel of the row
 * @param step bytes of `out` from one pixel of the row to the next
 * @returns the first palette index without a colour, or -1 if there is none
 */
export function writeRow(
  row: Uint8Array,
  pixels: number,
  header: PngHeader,
  palette: Uint8Array,
  out: Uint8Array,
  at: number,
  step: number,
): number {
  const { bitDepth, colourType } = header;
  if (bitDepth < 8) return writePacked(row, pixels, header, palette, out, at, step);
  const sample = bitDepth >> 3;
  switch (colourType) {
    case 3:
      for (let i = 0; i < pixels; i++, at += step) {
        const from = row[i]! * 3;
        if (from >= palette.length) return row[i]!;
        out[at] = palette[from]!;
        out[at + 1] = palette[from + 1]!;
        out[at + 2] = palette[from + 2]!;
      }
      return -1;
    case 0:
    case 4: {
      const pixel = colourType === 0 ? sample : 2 * sample;
      for (let i = 0, from = 0; i < pixels; i++, from += pixel, at += step)
        out[at] = out[at + 1] = out[at + 2] = row[from]!;
      return -1;
    }
    default: {
      const pixel = colourType === 2 ? 3 * sample : 4 * sample;
      for (let i = 0, from = 0; i < pixels; i++, from += pixel, at += step) {
        out[at] = row[from]!;
        out[at + 1] = row[from + sample]!;
        out[at + 2] = row[from + 2 * sample]!;
      }
      return -1;
    }
  }
}

/** Writes a row of grey or palette pixels with 1, 2 or 4 bits. */
function writePacked(
  row: Uint8Array,
  pixels: number,
  { bitDepth, colourType }: PngHeader,
  palette: Uint8Array,
  out: Uint8Array,
  at: number,
  step: number,
): number {
  const mask = (1 << bitDepth) - 1;
  const stretch = 255 / mask;
  for (let i = 0; i < pixels; i++, at += step) {
    const bit = i * bitDepth;
    const value = (row[bit >> 3]! >> (8 - bitDepth - (bit & 7))) & mask;
    if (colourType === 0) {
      out[at] = out[at + 1] = out[at + 2] = value * stretch;
    } else {
      if (value * 3 >= palette.length) return value;
      out[at] = palette[value * 3]!;
      out[at + 1] = palette[value * 3 + 1]!;
      out[at + 2] = palette[value * 3 + 2]!;
    }
  }
  return -1;
}

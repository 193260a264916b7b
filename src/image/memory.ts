import { blocksOf, type JpegStructure } from './jpeg-structure.js';
import { type PngHeader, SAMPLES } from './png-structure.js';
import type { WebpStructure } from './webp-structure.js';

/*
 * What a picture takes at most while it is decoded and resized, in bytes, from what its header says. None of it is held as RGB in whole
 * unless a line below says so: rows go from the decoder into the resize. test/image/memory.test.ts measures each bound with the worst file
 * of its coding; the memory of the decoders of JPEG and WebP cannot grow beyond it.
 *
 * | coding | bytes, beside some rows and the file |
 * | --- | --- |
 * | JPEG, baseline | none |
 * | JPEG, progressive or several scans | all coefficients: 2 a sample; and 1/8 to check them |
 * | PNG | none; interlaced: 3 a pixel |
 * | WebP, lossy | 3 a pixel; with alpha 9 a pixel and 64 MiB |
 * | WebP, lossless | 8 a pixel and 64 MiB |
 */

const MIB = 2 ** 20;

/** Huffman tables of a lossless WebP: 20 KiB for each of the 2,600 groups that encoders write. What asks for more is refused. */
const HUFFMAN_TABLES = 64 * MIB;

/** What decoding a JPEG takes. */
export interface DecoderMemory {
  /** In the memory of the decoder. */
  readonly decoder: number;
  readonly script: number;
}

export function jpegMemory({
  width,
  height,
  components,
  progressive,
  scans,
  picture,
  closed,
}: JpegStructure): DecoderMemory {
  const blocks = components.reduce((sum, component) => {
    const [across, down] = blocksOf(width, height, component, components);
    return sum + upTo(across, component.across) * upTo(down, component.down);
  }, 0);
  const coefficients = progressive || scans > 1 ? 128 * blocks : 0;
  return {
    decoder: picture.length + 256 * width + coefficients + 2 * MIB,
    // to check its scans: which coefficients of a block are not 0, tables; a copy of what lacks its end
    script: (progressive ? 8 * blocks : 0) + MIB + (closed ? 0 : picture.length),
  };
}

/** The next multiple. */
function upTo(count: number, factor: number): number {
  return Math.ceil(count / factor) * factor;
}

/** @param bytes of the file, whose IDAT chunks are joined */
export function pngMemory(
  { width, height, bitDepth, colourType, interlaced }: PngHeader,
  bytes: number,
): number {
  const row = Math.ceil((width * SAMPLES[colourType]! * bitDepth) / 8);
  // two rows for each of the last two passes of an interlaced picture
  return bytes + 4 * (row + 1) + 3 * width * (interlaced ? height : 1) + 2 * MIB;
}

/** @param bytes of the file */
export function webpMemory({ width, height, coding }: WebpStructure, bytes: number): number {
  const pixels = width * height;
  const rows = bytes + 128 * width + 2 * MIB;
  if (coding === 'lossy') return rows + 3 * pixels;
  return rows + (coding === 'lossless' ? 8 : 9) * pixels + HUFFMAN_TABLES;
}

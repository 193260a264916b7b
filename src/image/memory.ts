import { blocksOf, type JpegStructure } from './jpeg/structure.js';
import { type PngHeader, SAMPLES } from './png/structure.js';
import type { WebpStructure } from './webp/structure.js';

/*
 * Upper bounds of the memory for decoding and resizing an image, in bytes, computed from its
 * header. Rows go from the decoder straight to the resize, so the whole image is held only where
 * the table says so. test/image/memory.test.ts measures each bound with the worst file of each
 * coding. The memory of the JPEG and WebP decoders is capped at the bound.
 *
 * | coding | bytes, besides some rows and the file |
 * | --- | --- |
 * | JPEG, baseline | none |
 * | JPEG, progressive or several scans | all coefficients: 2 per sample, and 1/8 to check them |
 * | PNG | none; interlaced: 3 per pixel |
 * | WebP, lossy | 3 per pixel; with alpha, 9 per pixel and 64 MiB |
 * | WebP, lossless | 8 per pixel and 64 MiB |
 */

const MIB = 2 ** 20;

/**
 * Huffman tables of a lossless WebP: 20 KiB for each of the up to 2,600 groups that encoders write.
 * A file that needs more is refused.
 */
const HUFFMAN_TABLES = 64 * MIB;

/** The memory for decoding a JPEG. */
export interface DecoderMemory {
  /** Bytes of the decoder's WebAssembly memory. */
  readonly decoder: number;
  /** Bytes of JavaScript memory. */
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
    // to check scans: flags of nonzero coefficients, and tables; to add a missing end marker: a
    // copy
    script: (progressive ? 8 * blocks : 0) + MIB + (closed ? 0 : picture.length),
  };
}

/** Rounds up to a multiple of `factor`. */
function upTo(count: number, factor: number): number {
  return Math.ceil(count / factor) * factor;
}

/** @param bytes size of the file, whose IDAT chunks are joined */
export function pngMemory(
  { width, height, bitDepth, colourType, interlaced }: PngHeader,
  bytes: number,
): number {
  const row = Math.ceil((width * SAMPLES[colourType]! * bitDepth) / 8);
  // two rows for each of the last two passes of an interlaced image
  return bytes + 4 * (row + 1) + 3 * width * (interlaced ? height : 1) + 2 * MIB;
}

/** @param bytes size of the file */
export function webpMemory({ width, height, coding }: WebpStructure, bytes: number): number {
  const pixels = width * height;
  const rows = bytes + 128 * width + 2 * MIB;
  if (coding === 'lossy') return rows + 3 * pixels;
  return rows + (coding === 'lossless' ? 8 : 9) * pixels + HUFFMAN_TABLES;
}

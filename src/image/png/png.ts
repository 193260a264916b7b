import { ImageError } from '../../errors.js';
import { orientationOf } from '../exif.js';
import type { ImageContext } from '../limits.js';
import { pngMemory } from '../memory.js';
import type { OpenImage, RowSink } from '../types.js';
import { InflateError, Inflater } from './inflate.js';
import { writeRow } from './pixels.js';
import { type PngHeader, type PngStructure, readPngStructure, SAMPLES } from './structure.js';
import { unfilterRow } from './unfilter.js';

/**
 * A pass over some of the pixels: every `dx`-th column from `x`, and every `dy`-th row from `y`.
 */
interface InterlacePass {
  x: number;
  y: number;
  dx: number;
  dy: number;
  width: number;
  height: number;
}

/** Adam7: PNG specification, 8.2. */
const ADAM7 = [
  { x: 0, y: 0, dx: 8, dy: 8 },
  { x: 4, y: 0, dx: 8, dy: 8 },
  { x: 0, y: 4, dx: 4, dy: 8 },
  { x: 2, y: 0, dx: 4, dy: 4 },
  { x: 0, y: 2, dx: 2, dy: 4 },
  { x: 1, y: 0, dx: 2, dy: 2 },
  { x: 0, y: 1, dx: 1, dy: 2 },
];
const WHOLE = [{ x: 0, y: 0, dx: 1, dy: 1 }];

/** Deflate's maximum ratio: 258 bytes from 2 bits. */
const MAX_INFLATION = 1032;

/**
 * Opens a PNG of any colour type and bit depth, interlaced or not. An animation is ignored.
 *
 * Rows are unfiltered and delivered as they come out of the inflater; only an interlaced image is
 * held as a whole. Every pixel must come from data. Surplus data and a missing checksum are
 * accepted, a wrong checksum is not.
 *
 * @throws {ImageError} as {@link readPngStructure}; while decoding: `IMAGE_TRUNCATED` if there are
 *   fewer pixels than the header says, `IMAGE_DAMAGED` for invalid pixels
 */
export function openPng(bytes: Uint8Array, context: ImageContext): OpenImage {
  const structure = readPngStructure(bytes, context);
  const { width, height, interlaced } = structure.header;
  return {
    width,
    height,
    orientation: orientationOf(structure.metadata),
    memory: pngMemory(structure.header, bytes.length),
    decode(sink) {
      readPixels(structure, sink, context.file);
      return interlaced ? 3 * width * height : 0;
    },
  };
}

function readPixels({ header, palette, compressed }: PngStructure, sink: RowSink, file: string): void {
  const passes = passesOf(header);
  const announced = passes.reduce((sum, pass) => sum + pass.height * (1 + rowBytes(header, pass)), 0);
  if (compressed.length * MAX_INFLATION < announced)
    throw new ImageError(
      'IMAGE_TRUNCATED',
      `${file}: expected ${announced} bytes of PNG pixels, found ${compressed.length} compressed bytes, which cannot hold as many`,
    );

  const rows = new PngRows(header, passes, palette, sink, file);
  const inflater = new Inflater(compressed, announced);
  try {
    for (let run = inflater.next(); run.length > 0; run = inflater.next()) rows.write(run);
  } catch (cause) {
    if (!(cause instanceof InflateError)) throw cause;
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${file}: the PNG pixels cannot be inflated after ${rows.read} of ${announced} bytes: ${cause.message}`,
      { cause },
    );
  }
  if (!rows.complete)
    throw new ImageError(
      'IMAGE_TRUNCATED',
      `${file}: expected ${announced} bytes of PNG pixels, found ${rows.read}`,
    );
}

function passesOf({ width, height, interlaced }: PngHeader): InterlacePass[] {
  return (interlaced ? ADAM7 : WHOLE)
    .map((pass) => ({
      ...pass,
      width: Math.ceil((width - pass.x) / pass.dx),
      height: Math.ceil((height - pass.y) / pass.dy),
    }))
    .filter((pass) => pass.width > 0 && pass.height > 0);
}

/** Bytes per row, without the filter byte. */
function rowBytes({ bitDepth, colourType }: PngHeader, pass: InterlacePass): number {
  return Math.ceil((pass.width * SAMPLES[colourType]! * bitDepth) / 8);
}

/** Takes inflated bytes and delivers each complete row; an interlaced image only at the end. */
class PngRows {
  /** Inflated bytes taken so far. */
  read = 0;
  readonly #header: PngHeader;
  readonly #passes: InterlacePass[];
  readonly #palette: Uint8Array;
  readonly #sink: RowSink;
  /** One row, or the whole image if it is interlaced. */
  readonly #out: Uint8Array;
  readonly #file: string;
  readonly #step: number;
  #pass = 0;
  #y = 0;
  /** The filter byte and the row. After each row, `#row` and `#above` are swapped. */
  #row = new Uint8Array(0);
  #above = new Uint8Array(0);
  #filled = 0;

  constructor(header: PngHeader, passes: InterlacePass[], palette: Uint8Array, sink: RowSink, file: string) {
    this.#header = header;
    this.#passes = passes;
    this.#palette = palette;
    this.#sink = sink;
    this.#out = new Uint8Array(3 * header.width * (header.interlaced ? header.height : 1));
    this.#file = file;
    this.#step = Math.max(1, (SAMPLES[header.colourType]! * header.bitDepth) >> 3);
    this.#startPass();
  }

  get complete(): boolean {
    return this.#pass === this.#passes.length;
  }

  write(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const taken = Math.min(this.#row.length - this.#filled, chunk.length - at);
      this.#row.set(chunk.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      this.read += taken;
      at += taken;
      if (this.#filled === this.#row.length) this.#endRow();
    }
  }

  #startPass(): void {
    const pass = this.#passes[this.#pass];
    if (pass === undefined) return;
    const length = 1 + rowBytes(this.#header, pass);
    this.#row = new Uint8Array(length);
    this.#above = new Uint8Array(length);
    this.#y = 0;
  }

  #endRow(): void {
    const pass = this.#passes[this.#pass]!;
    const { width, interlaced } = this.#header;
    const row = this.#row.subarray(1);
    const where = () => `row ${this.#y} of pass ${this.#pass + 1}`;
    if (!unfilterRow(this.#row[0]!, row, this.#above.subarray(1), this.#step))
      throw new ImageError(
        'IMAGE_DAMAGED',
        `${this.#file}: expected a PNG row filter of 0 to 4, found ${this.#row[0]} in ${where()}`,
      );
    const at = interlaced ? ((pass.y + this.#y * pass.dy) * width + pass.x) * 3 : 0;
    const missing = writeRow(row, pass.width, this.#header, this.#palette, this.#out, at, pass.dx * 3);
    if (missing >= 0)
      throw new ImageError(
        'IMAGE_DAMAGED',
        `${this.#file}: expected palette indices below ${this.#palette.length / 3}, found ${missing} in ${where()}`,
      );
    if (!interlaced) this.#sink(this.#out);
    [this.#row, this.#above] = [this.#above, this.#row];
    this.#filled = 0;
    if (++this.#y === pass.height) {
      this.#pass++;
      this.#startPass();
      if (interlaced && this.complete) this.#sink(this.#out);
    }
  }
}

import { ImageError } from '../../errors.js';
import { be16 } from '../bytes.js';
import {
  blocksOf,
  type Component,
  type JpegStructure,
  RST0,
  readScan,
  type Scan,
  SOS,
  segments,
} from './structure.js';

const DHT = 0xc4;
const DRI = 0xdd;

/**
 * Reads every Huffman code of a JPEG without making pixels, to verify that every coefficient comes
 * from data. libjpeg does not verify this: it reports only the first problem in a file, invents
 * missing data, and may read bytes after the image as a part of it. Takes about as long as
 * decoding.
 *
 * @throws {ImageError} `IMAGE_TRUNCATED` if the codes of a scan end before its last block;
 *   `IMAGE_DAMAGED` for invalid codes
 */
export function checkScans(structure: JpegStructure, file: string): void {
  const { components, progressive, closed } = structure;
  let scans = 0;
  const tables = new Map<number, Uint8Array>();
  let interval = 0;
  /** Which coefficients of each component are not 0, with 64 bits per block. */
  const nonzero = components.map((component) => {
    const [across, down] = blocksOf(structure.width, structure.height, component, components);
    return new Uint32Array(progressive ? across * down * 2 : 0);
  });
  const bits = components.map(() => new Int8Array(64).fill(-1));
  for (const { marker, payload, coded } of segments(structure.picture, file)) {
    if (marker === DHT) readTables(payload, tables);
    else if (marker === DRI) interval = payload.length < 2 ? 0 : be16(payload, 0);
    else if (marker === SOS) {
      const scan = readScan(payload, components, progressive, file);
      if (progressive) checkOrder(scan, bits, file);
      const reader = new ScanReader(structure, scan, coded, tables, interval, file);
      reader.read(nonzero);
      if (!closed && ++scans === structure.scans) reader.checkPadding();
    }
  }
}

/** T.81, B.2.4.2: tables, each with class and number, counts of codes per length, and symbols. */
function readTables(payload: Uint8Array, tables: Map<number, Uint8Array>): void {
  for (let at = 0; at + 17 <= payload.length; ) {
    const symbols = payload.subarray(at + 1, at + 17).reduce((sum, count) => sum + count, 0);
    tables.set(payload[at]!, payload.subarray(at + 1, at + 17 + symbols));
    at += 17 + symbols;
  }
}

/** T.81, G.1.1.1: each scan continues at the bit where the previous one stopped. */
function checkOrder({ parts, first, last, high, low }: Scan, bits: Int8Array[], file: string): void {
  for (const { component } of parts) {
    const known = bits[component]!;
    for (let k = first; k <= last; k++) {
      const refines = high > 0 || known[k]! >= 0;
      if (refines ? known[k] !== high || low !== high - 1 : low > 13)
        throw new ImageError(
          'IMAGE_DAMAGED',
          `${file}: expected each scan of the progressive JPEG to continue the previous one, found a gap or an overlap`,
        );
      known[k] = low;
    }
  }
}

/** A table indexed by the next 16 bits: length of the code · 256 + symbol, or 0 for no code. */
function makeTable(definition: Uint8Array): Uint16Array {
  const table = new Uint16Array(1 << 16);
  let at = 0;
  let symbol = 16;
  for (let length = 1; length <= 16; length++) {
    const each = 1 << (16 - length);
    for (let i = 0; i < definition[length - 1]! && at < table.length; i++, at += each)
      table.fill(length * 256 + (definition[symbol++] ?? 0), at, at + each);
  }
  return table;
}

/** Reads the entropy-coded bytes of one scan. */
class ScanReader {
  readonly #file: string;
  readonly #structure: JpegStructure;
  readonly #scan: Scan;
  readonly #interval: number;
  readonly #dc: (Uint16Array | undefined)[];
  readonly #ac: (Uint16Array | undefined)[];
  readonly #coded: Uint8Array;
  #at = 0;
  /** Its low `#count` bits are the next bits of the scan. */
  #hold = 0;
  #count = 0;
  /** Number of following blocks without further coefficients. */
  #emptyBlocks = 0;

  constructor(
    structure: JpegStructure,
    scan: Scan,
    coded: Uint8Array,
    tables: Map<number, Uint8Array>,
    interval: number,
    file: string,
  ) {
    this.#structure = structure;
    this.#scan = scan;
    this.#coded = coded;
    this.#interval = interval;
    this.#file = file;
    const table = (key: number) => {
      const definition = tables.get(key);
      return definition && makeTable(definition);
    };
    this.#dc = scan.parts.map(({ dc }) => table(dc));
    this.#ac = scan.parts.map(({ ac }) => table(16 + ac));
  }

  /** @param nonzero which coefficients of each component are not 0, for a progressive frame */
  read(nonzero: Uint32Array[]): void {
    const { width, height, components, progressive } = this.#structure;
    const { parts, first, high } = this.#scan;
    const alone = parts.length === 1;
    const [across, down] = alone
      ? blocksOf(width, height, components[parts[0]!.component]!, components)
      : blocksOf(width, height, { id: 0, across: 1, down: 1 }, components);
    const blocks = parts.map(({ component }) => {
      const { across, down }: Component = components[component]!;
      return alone ? 1 : across * down;
    });
    const known = nonzero[parts[0]!.component]!;
    for (let unit = 0; unit < across * down; unit++) {
      if (this.#interval > 0 && unit > 0 && unit % this.#interval === 0)
        this.#restart(unit / this.#interval - 1);
      for (let part = 0; part < parts.length; part++)
        for (let block = 0; block < blocks[part]!; block++) {
          if (!progressive) this.#readBlock(part);
          else if (first > 0) {
            if (high === 0) this.#readFirst(known, unit * 2);
            else this.#refine(known, unit * 2);
          } else if (high > 0) this.#take(1);
          else this.#readDc(part);
        }
    }
  }

  /**
   * T.81, F.1.2.3: ones pad the last byte. If codes are missing and other bytes take their place,
   * these rarely end with ones.
   */
  checkPadding(): void {
    const rest = this.#count & 7;
    if (this.#take(rest) !== (1 << rest) - 1) throw this.#truncated();
  }

  #readDc(part: number): void {
    const size = this.#symbol(this.#dc[part]);
    if (size > 15) throw this.#damaged();
    this.#take(size);
  }

  /** T.81, F.2.2: reads a whole block. */
  #readBlock(part: number): void {
    this.#readDc(part);
    const table = this.#ac[part];
    for (let k = 1; k < 64; k++) {
      const symbol = this.#symbol(table);
      const size = symbol & 15;
      const run = symbol >> 4;
      if (size === 0 && run < 15) return;
      k += run;
      if (k > 63) throw this.#damaged();
      this.#take(size);
    }
  }

  /** T.81, G.1.2.2: reads the upper bits of some coefficients. */
  #readFirst(known: Uint32Array, at: number): void {
    if (this.#emptyBlocks > 0) {
      this.#emptyBlocks--;
      return;
    }
    const { first, last } = this.#scan;
    for (let k = first; k <= last; k++) {
      const symbol = this.#symbol(this.#ac[0]);
      const size = symbol & 15;
      const run = symbol >> 4;
      if (size === 0 && run < 15) {
        this.#emptyBlocks = (1 << run) + this.#take(run) - 1;
        return;
      }
      k += run;
      if (k > last) throw this.#damaged();
      this.#take(size);
      if (size > 0) known[at + (k >> 5)]! |= 1 << (k & 31);
    }
  }

  /** T.81, G.1.2.3: reads one more bit of nonzero coefficients, and new nonzero coefficients. */
  #refine(known: Uint32Array, at: number): void {
    const { first, last } = this.#scan;
    let k = first;
    const isKnown = () => ((known[at + (k >> 5)]! >>> (k & 31)) & 1) === 1;
    for (; this.#emptyBlocks === 0 && k <= last; k++) {
      const symbol = this.#symbol(this.#ac[0]);
      const size = symbol & 15;
      let run = symbol >> 4;
      if (size > 1) throw this.#damaged();
      if (size === 0 && run < 15) {
        this.#emptyBlocks = (1 << run) + this.#take(run);
        break;
      }
      this.#take(size);
      for (; k <= last; k++) {
        if (isKnown()) this.#take(1);
        else if (--run < 0) break;
      }
      if (size === 0) continue;
      if (k > last) throw this.#damaged();
      known[at + (k >> 5)]! |= 1 << (k & 31);
    }
    if (this.#emptyBlocks === 0) return;
    for (; k <= last; k++) if (isKnown()) this.#take(1);
    this.#emptyBlocks--;
  }

  /** Continues after the next restart marker. Bytes before it are surplus. */
  #restart(number: number): void {
    const coded = this.#coded;
    this.#hold = this.#count = this.#emptyBlocks = 0;
    do {
      this.#at = coded.indexOf(0xff, this.#at);
      if (this.#at < 0) throw this.#truncated();
      while (coded[this.#at] === 0xff) this.#at++;
    } while (coded[this.#at] === 0);
    const marker = coded[this.#at++];
    if (marker === undefined) throw this.#truncated();
    if (marker !== RST0 + (number & 7)) throw this.#damaged();
  }

  /** Holds up to 24 bits, none from after a marker. */
  #refill(): void {
    const coded = this.#coded;
    while (this.#count <= 16 && this.#at < coded.length) {
      const byte = coded[this.#at]!;
      let next = this.#at + 1;
      if (byte === 0xff) {
        while (coded[next] === 0xff) next++;
        if (coded[next++] !== 0) return;
      }
      this.#at = next;
      this.#hold = ((this.#hold << 8) | byte) & 0xffffff;
      this.#count += 8;
    }
  }

  /** The next 0 to 16 bits. */
  #take(count: number): number {
    if (this.#count < count) this.#refill();
    if (this.#count < count) throw this.#truncated();
    this.#count -= count;
    return (this.#hold >>> this.#count) & ((1 << count) - 1);
  }

  #symbol(table: Uint16Array | undefined): number {
    if (this.#count < 16) this.#refill();
    const next = this.#count < 16 ? this.#hold << (16 - this.#count) : this.#hold >>> (this.#count - 16);
    const entry = table?.[next & 0xffff] ?? 0;
    if (entry === 0) throw this.#count < 16 ? this.#truncated() : this.#damaged();
    if (entry >> 8 > this.#count) throw this.#truncated();
    this.#count -= entry >> 8;
    return entry & 255;
  }

  #truncated(): ImageError {
    return new ImageError('IMAGE_TRUNCATED', `${this.#file}: the pixels of the JPEG end too early`);
  }

  #damaged(): ImageError {
    return new ImageError(
      'IMAGE_DAMAGED',
      `${this.#file}: the pixels of the JPEG are damaged before byte ${this.#at} of ${this.#coded.length} in a scan`,
    );
  }
}

/** A match reaches back this far at most. */
const WINDOW = 1 << 15;
/** The longest match. */
const LONGEST = 258;
const BUFFER = 4 * WINDOW;
const MAX_BITS = 15;
/** Codes of up to this many bits are looked up at once, longer ones bit by bit: so a table is cheap to make, however many there are. */
const FAST_BITS = 10;
const END_OF_BLOCK = 256;
const ADLER = 65521;

/** RFC 1951, 3.2.5: the least length of the codes 257 to 285 and the least distance of the codes 0 to 29, and the extra bits of each. */
const LENGTHS = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
  227, 258,
];
const LENGTH_BITS = LENGTHS.map((_, i) => (i < 8 || i === 28 ? 0 : (i >> 2) - 1));
const DISTANCE_BITS = Array.from({ length: 30 }, (_, i) => Math.max(0, (i >> 1) - 1));
const DISTANCES = DISTANCE_BITS.map((bits, i) => (i < 2 ? i + 1 : ((2 + (i & 1)) << bits) + 1));
/** RFC 1951, 3.2.7: the order in which the lengths of the code length codes stand. */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A Huffman code. */
interface Table {
  /** By the next `FAST_BITS` bits: symbol · 16 + length of its code; 0 where the code is longer or there is none. */
  fast: Uint16Array;
  /** How many codes have each length. */
  count: Uint16Array;
  /** The symbols in the order of their codes. */
  symbols: Uint16Array;
}

type Stage = 'header' | 'block' | 'stored' | 'codes' | 'checksum' | 'end';

/** The data is no zlib stream; the message says why. */
export class InflateError extends Error {
  override name = 'InflateError';
}

/** Thrown and caught here alone: the input ends inside a code. */
const EXHAUSTED = new Error('the compressed data ends too early');

let fixed: [Table, Table] | undefined;

/**
 * A zlib stream (RFC 1950) read as far as `limit` bytes of output and no further.
 *
 * It judges as zlib does when it is asked for exactly that much, which is how Pillow and libpng read pixels: what is beyond the limit is never
 * looked at, input that ends early is no error in itself, and the checksum counts where the stream ends at the limit or before.
 */
export class Inflater {
  readonly #input: Uint8Array;
  #limit: number;
  #stage: Stage = 'header';
  #at = 0;
  #hold = 0;
  #bits = 0;
  #last = false;
  /** Bytes that are left of a stored block. */
  #stored = 0;
  #codes: [Table, Table] | undefined;
  readonly #out = new Uint8Array(BUFFER);
  #filled = 0;
  /** Where the bytes begin that the checksum has not seen, which are those that have not been given out. */
  #fresh = 0;
  #a = 1;
  #b = 0;

  /** @param limit bytes of output, at most */
  constructor(input: Uint8Array, limit: number) {
    this.#input = input;
    this.#limit = limit;
  }

  /**
   * The next output, which is good until the next call; empty at the end of the stream, of the input or of what is asked for.
   *
   * @throws {InflateError} for what is no zlib stream, or a wrong checksum
   */
  next(): Uint8Array {
    if (this.#filled > BUFFER - LONGEST) {
      this.#out.copyWithin(0, this.#filled - WINDOW, this.#filled);
      this.#filled = this.#fresh = WINDOW;
    }
    const from = this.#filled;
    try {
      while (this.#stage !== 'end' && this.#filled <= BUFFER - LONGEST) this.#step();
    } catch (cause) {
      if (cause !== EXHAUSTED) throw cause;
      this.#stage = 'end';
    }
    this.#sum();
    return this.#out.subarray(from, this.#filled);
  }

  #step(): void {
    switch (this.#stage) {
      case 'header': {
        const [method, flags] = [this.#take(8), this.#take(8)];
        if ((method & 15) !== 8 || method >> 4 > 7 || (method * 256 + flags) % 31 !== 0 || (flags & 32) !== 0)
          throw new InflateError('no zlib header');
        this.#stage = 'block';
        break;
      }
      case 'block':
        this.#startBlock();
        break;
      case 'stored':
        this.#copyStored();
        break;
      case 'codes':
        this.#decode(...this.#codes!);
        break;
      default: {
        this.#sum();
        this.#take(this.#bits & 7);
        let stored = 0;
        for (let i = 0; i < 4; i++) stored = stored * 256 + this.#take(8);
        if (stored !== this.#b * 65536 + this.#a) throw new InflateError('wrong checksum');
        this.#stage = 'end';
      }
    }
  }

  #startBlock(): void {
    if (this.#last) {
      this.#stage = 'checksum';
      return;
    }
    this.#last = this.#take(1) === 1;
    const type = this.#take(2);
    if (type === 0) {
      this.#take(this.#bits & 7);
      this.#stored = this.#take(16);
      if (this.#take(16) !== (this.#stored ^ 0xffff))
        throw new InflateError('wrong length of a stored block');
      this.#stage = 'stored';
      return;
    }
    if (type === 3) throw new InflateError('unknown kind of block');
    if (type === 2) this.#codes = this.#readTables();
    else {
      fixed ??= [
        makeTable(Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))),
        makeTable(new Uint8Array(32).fill(5)),
      ];
      this.#codes = fixed;
    }
    this.#stage = 'codes';
  }

  #readTables(): [Table, Table] {
    const literals = this.#take(5) + 257;
    const distances = this.#take(5) + 1;
    if (literals > 286 || distances > 30) throw new InflateError('too many codes');
    const lengths = new Uint8Array(literals + distances);
    const ofLengths = new Uint8Array(19);
    const given = this.#take(4) + 4;
    for (let i = 0; i < given; i++) ofLengths[ORDER[i]!] = this.#take(3);
    const table = makeTable(ofLengths, true);
    for (let i = 0; i < lengths.length; ) {
      const symbol = this.#symbol(table);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      const repeats =
        symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if ((symbol === 16 && i === 0) || i + repeats > lengths.length)
        throw new InflateError('wrong repeat of a code length');
      lengths.fill(symbol === 16 ? lengths[i - 1]! : 0, i, i + repeats);
      i += repeats;
    }
    if (lengths[END_OF_BLOCK] === 0) throw new InflateError('a block without an end');
    return [makeTable(lengths.subarray(0, literals)), makeTable(lengths.subarray(literals))];
  }

  #copyStored(): void {
    if (this.#stored === 0) {
      this.#stage = 'block';
      return;
    }
    const run = Math.min(this.#stored, this.#limit, BUFFER - this.#filled, this.#input.length - this.#at);
    if (run === 0) {
      // No room, and more to come; or no input.
      this.#stage = 'end';
      return;
    }
    this.#out.set(this.#input.subarray(this.#at, this.#at + run), this.#filled);
    this.#at += run;
    this.#filled += run;
    this.#limit -= run;
    this.#stored -= run;
  }

  /** Literals and matches until the block, the room or the limit ends. */
  #decode(literals: Table, distances: Table): void {
    const out = this.#out;
    const { fast } = literals;
    const mask = (1 << FAST_BITS) - 1;
    while (this.#filled <= BUFFER - LONGEST) {
      this.#refill();
      const entry = fast[this.#hold & mask]!;
      let symbol = entry >> 4;
      if (entry === 0 || (entry & 15) > this.#bits) symbol = this.#symbol(literals);
      else {
        this.#hold >>>= entry & 15;
        this.#bits -= entry & 15;
      }
      if (symbol === END_OF_BLOCK) {
        this.#stage = 'block';
        return;
      }
      if (symbol < END_OF_BLOCK) {
        if (this.#limit === 0) {
          this.#stage = 'end';
          return;
        }
        out[this.#filled++] = symbol;
        this.#limit--;
        continue;
      }
      if (symbol > 285) throw new InflateError('unknown length');
      const length = LENGTHS[symbol - 257]! + this.#take(LENGTH_BITS[symbol - 257]!);
      const code = this.#symbol(distances);
      if (code > 29) throw new InflateError('unknown distance');
      const distance = DISTANCES[code]! + this.#take(DISTANCE_BITS[code]!);
      if (distance > this.#filled) throw new InflateError('a distance beyond the beginning');
      const run = Math.min(length, this.#limit);
      let to = this.#filled;
      for (const end = to + run; to < end; to++) out[to] = out[to - distance]!;
      this.#filled = to;
      this.#limit -= run;
      if (run < length) {
        this.#stage = 'end';
        return;
      }
    }
  }

  #refill(): void {
    while (this.#bits < 16 && this.#at < this.#input.length) {
      this.#hold |= this.#input[this.#at++]! << this.#bits;
      this.#bits += 8;
    }
  }

  /** The next 0 to 16 bits. */
  #take(count: number): number {
    if (this.#bits < count) this.#refill();
    if (this.#bits < count) throw EXHAUSTED;
    const value = this.#hold & ((1 << count) - 1);
    this.#hold >>>= count;
    this.#bits -= count;
    return value;
  }

  /** The next symbol, bit by bit: a code of n bits is one of a range, and those of all shorter codes lie below it. */
  #symbol({ count, symbols }: Table): number {
    this.#refill();
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_BITS; length++) {
      if (length > this.#bits) throw EXHAUSTED;
      code |= (this.#hold >>> (length - 1)) & 1;
      const here = count[length]!;
      if (code - first < here) {
        this.#hold >>>= length;
        this.#bits -= length;
        return symbols[index + code - first]!;
      }
      index += here;
      first = (first + here) << 1;
      code <<= 1;
    }
    throw new InflateError('unknown code');
  }

  /** Adler-32 (RFC 1950, 8.2). */
  #sum(): void {
    const out = this.#out;
    let a = this.#a;
    let b = this.#b;
    for (let i = this.#fresh; i < this.#filled; ) {
      // Sums of 3800 bytes stay within 31 bits.
      for (const end = Math.min(i + 3800, this.#filled); i < end; i++) {
        a += out[i]!;
        b += a;
      }
      a %= ADLER;
      b %= ADLER;
    }
    this.#fresh = this.#filled;
    this.#a = a;
    this.#b = b;
  }
}

/** The code that the lengths of its symbols define: RFC 1951, 3.2.2. As in zlib, only a single code of one bit may leave codes over. */
function makeTable(lengths: Uint8Array, complete = false): Table {
  const count = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) count[length]!++;
  const none = count[0] === lengths.length;
  count[0] = 0;
  const offsets = new Uint16Array(MAX_BITS + 2);
  const codes = new Uint16Array(MAX_BITS + 2);
  let left = 1;
  for (let length = 1; length <= MAX_BITS; length++) {
    left = left * 2 - count[length]!;
    if (left < 0) throw new InflateError('more codes than bits allow');
    offsets[length + 1] = offsets[length]! + count[length]!;
    codes[length + 1] = (codes[length]! + count[length]!) << 1;
  }
  const single = !complete && count[1] === 1 && offsets[MAX_BITS + 1] === 1;
  if (left > 0 && !none && !single) throw new InflateError('fewer codes than bits allow');
  const symbols = new Uint16Array(lengths.length);
  const fast = new Uint16Array(1 << FAST_BITS);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol]!;
    if (length === 0) continue;
    symbols[offsets[length]!++] = symbol;
    let code = codes[length]!++;
    if (length > FAST_BITS) continue;
    let reversed = 0;
    for (let i = 0; i < length; i++, code >>= 1) reversed = (reversed << 1) | (code & 1);
    for (; reversed < fast.length; reversed += 1 << length) fast[reversed] = symbol * 16 + length;
  }
  return { fast, count, symbols };
}

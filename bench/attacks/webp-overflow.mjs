// Lossless WebPs in the manner of CVE-2023-4863: the tables of their Huffman codes are larger than
// a decoder without the fix allocates.
//   npm run build && node bench/attacks/webp-overflow.mjs [FILE.webp] [--refusals 2000]
// A new decoder gets each, then a good picture: is that right? Then --refusals of them in a row,
// and the memory that they leave. This script computes how far an old decoder writes past its
// tables.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createImageCodecs } from '../../dist/image/codec.js';
import { nodeCodecModules } from '../../dist/image/codecs-node.js';
import { decodeImage } from '../../dist/image/decode.js';
import { option } from '../support.mjs';

const MAX_LENGTH = 15;
const ROOT_BITS = 8;
/**
 * The number of codes of each length, for 280 and 256 symbols: complete, with the largest possible
 * table.
 */
const LARGEST = {
  280: [0, 1, 1, 0, 0, 0, 0, 0, 0, 83, 69, 25, 1, 33, 65, 2],
  256: [0, 1, 1, 0, 0, 0, 0, 0, 0, 111, 9, 33, 1, 33, 65, 2],
};
/** Entries that remain for the last table, that of 40 distances. */
const ROOM = 410;

/** Bits, lowest first, as in VP8L. */
class Bits {
  #bytes = [];
  #count = 0;
  write(value, count) {
    for (let i = 0; i < count; i++, this.#count++) {
      if (this.#count % 8 === 0) this.#bytes.push(0);
      this.#bytes[this.#count >> 3] |= ((value >> i) & 1) << (this.#count & 7);
    }
  }
  bytes(length) {
    return Uint8Array.from({ length }, (_, i) => this.#bytes[i] ?? (i * 2654435761) >>> 24);
  }
}

/** Writes a code as the lengths of its symbols, four bits each. */
function writeCode(bits, lengths) {
  bits.write(0, 1);
  bits.write(15, 4);
  // 16, 17 and 18 do not occur; 0 to 15 take four bits each
  for (const symbol of [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
    bits.write(symbol > 15 ? 0 : 4, 3);
  bits.write(0, 1);
  for (const length of lengths) for (let bit = 3; bit >= 0; bit--) bits.write((length >> bit) & 1, 1);
}

/** A picture of 16×16 whose last code has `histogram[n]` symbols of length n. */
function picture(histogram) {
  const bits = new Bits();
  bits.write(0x2f, 8);
  bits.write(15, 14);
  bits.write(15, 14);
  // no alpha, version 0, no transform, no colour cache, no further codes
  bits.write(0, 1 + 3 + 1 + 1 + 1);
  const lengths = (counts) => counts.flatMap((count, length) => new Array(count).fill(length));
  for (const size of [280, 256, 256, 256]) writeCode(bits, lengths(LARGEST[size]));
  writeCode(bits, lengths(histogram));
  const payload = bits.bytes(1189);
  const riff = Buffer.alloc(20 + payload.length);
  riff.write('RIFF    WEBPVP8L', 'latin1');
  riff.writeUInt32LE(12 + payload.length, 4);
  riff.writeUInt32LE(payload.length, 16);
  riff.set(payload, 20);
  return new Uint8Array(riff);
}

/** Entries that libwebp 1.1.0 (BuildHuffmanTable) writes from the start of this table. */
function entriesWritten(histogram) {
  const count = [...histogram];
  count[0] = 0;
  let open = 1;
  let key = 0;
  const next = (length) => {
    let step = 1 << (length - 1);
    while (key & step) step >>= 1;
    key = step ? (key & (step - 1)) + step : key;
  };
  for (let length = 1; length <= ROOT_BITS; length++) {
    open = open * 2 - count[length];
    if (open < 0) return 0;
    for (; count[length] > 0; count[length]--) next(length);
  }
  let total = 1 << ROOT_BITS;
  let low = -1;
  for (let length = ROOT_BITS + 1; length <= MAX_LENGTH; length++) {
    open = open * 2 - count[length];
    if (open < 0) break;
    for (; count[length] > 0; count[length]--) {
      if ((key & 255) !== low) {
        let bits = length;
        for (let left = 1 << (bits - ROOT_BITS); bits < MAX_LENGTH; bits++, left <<= 1) {
          left -= count[bits];
          if (left <= 0) break;
        }
        total += 1 << (bits - ROOT_BITS);
        low = key & 255;
      }
      next(length);
    }
  }
  return total;
}

/** Histograms by the size of their overflow: the published one, and some of each smaller size. */
function variants() {
  const published = [0, 0, 0, 0, 0, 0, 0, 0, 1, 27, 5, 1, 1, 1, 1, 3];
  const found = new Map([[entriesWritten(published) - ROOM, published]]);
  let state = 1;
  const random = (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  for (let i = 0; i < 200_000; i++) {
    const histogram = new Array(16).fill(0);
    for (let left = 40; left > 0; ) {
      const some = Math.min(left, 1 + random(12));
      histogram[random(3) ? 8 + random(8) : random(8)] += some;
      left -= some;
    }
    const overflow = entriesWritten(histogram) - ROOM;
    if (overflow > 0 && !found.has(overflow)) found.set(overflow, histogram);
  }
  return [...found].sort(([a], [b]) => a - b);
}

const digest = ({ width, data }) => createHash('sha256').update(`${width}`).update(data).digest('hex');
const answer = (bytes, codecs) =>
  decodeImage(bytes, { file: 'photo', codecs }).then(
    ({ width, height }) => `${width}×${height}`,
    (error) => `${error.code ?? error.name}: ${error.message}`,
  );

const control = picture([38, 2, ...new Array(14).fill(0)]);
const expected = digest(await decodeImage(control));
const pictures = variants().map(([, histogram]) => picture(histogram));
const sizes = variants().map(([entries]) => entries * 4);
console.log(`${sizes.length} pictures that overflow by ${sizes[0]} to ${sizes.at(-1)} bytes`);
if (process.argv[2]?.endsWith('.webp')) pictures.push(new Uint8Array(readFileSync(process.argv[2])));

/** For each answer: the number of pictures, and after how many the decoder still worked. */
const answers = new Map();
for (const bytes of pictures) {
  const codecs = createImageCodecs(nodeCodecModules);
  const said = await answer(bytes, codecs);
  const right = (await decodeImage(control, { codecs }).then(digest, String)) === expected;
  const row = answers.get(said) ?? { pictures: 0, 'next right': 0 };
  answers.set(said, { pictures: row.pictures + 1, 'next right': row['next right'] + right });
}
for (const [said, row] of answers) console.log(said, row);

const refusals = Number(option('refusals', 2000));
const resident = () => Math.round(process.memoryUsage().rss / 2 ** 20);
const start = resident();
let peak = start;
for (let i = 0; i < refusals; i++) {
  await answer(pictures[i % pictures.length]);
  if (i % 50 > 0) continue;
  await sleep(0);
  peak = Math.max(peak, resident());
}
const right = digest(await decodeImage(control)) === expected;
console.log(
  `${refusals} refusals in a row: resident ${start} MB before, ${peak} at the peak, ${resident()} after; the next picture right: ${right}`,
);

/** WebP: chunks, the prefix codes of VP8L (as in CVE-2023-4863), the partitions of VP8, alpha. */

import { readFileSync } from 'node:fs';
import type { Dice } from '../dice.js';
import { encoded, joined, mutatedBytes } from '../mutate.js';
import type { Target } from '../target.js';
import { checkSides, exifBlock, IMAGE_CODES, IMAGE_PLACE, imageControl, imageFixture } from './image.js';

interface Chunk {
  readonly type: string;
  readonly payload: Uint8Array;
  /** In place of the length. */
  readonly length?: number;
}

function le32(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

function bytesOf(chunks: readonly Chunk[], size?: number): Uint8Array {
  const body = joined(
    encoded('WEBP'),
    ...chunks.map(({ type, payload, length = payload.length }) =>
      joined(
        Uint8Array.from(Buffer.from(type, 'latin1')),
        le32(length),
        payload,
        new Uint8Array(payload.length & 1),
      ),
    ),
  );
  return joined(encoded('RIFF'), le32(size ?? body.length), body);
}

function chunksOf(file: Uint8Array): Chunk[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const chunks: Chunk[] = [];
  for (let at = 12; at + 8 <= file.length; ) {
    const length = view.getUint32(at + 4, true);
    const type = Buffer.from(file.subarray(at, at + 4)).toString('latin1');
    chunks.push({ type, payload: file.subarray(at + 8, at + 8 + length) });
    at += 8 + length + (length & 1);
  }
  return chunks;
}

const NAMES = [
  'alpha-lossless',
  'alpha-lossy',
  'exif-5',
  'lossless',
  'lossy',
  'lossy',
  'lossless',
  'animated',
];
const seed = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../seeds/webp/${name}.webp`, import.meta.url)));
const FILES = [
  ...NAMES.map((name) => imageFixture(`${name}.webp`)),
  // The prefix codes that overflow libwebp before 1.3.2, and a sound picture next to them.
  seed('cve-2023-4863-shape'),
  seed('webp-control'),
].map(chunksOf);

/** Least significant bit first. */
class Bits {
  readonly #bytes: number[] = [];
  #count = 0;

  put(value: number, length: number): void {
    for (let bit = 0; bit < length; bit++) {
      if (this.#count % 8 === 0) this.#bytes.push(0);
      if ((value >>> bit) & 1) this.#bytes[this.#bytes.length - 1]! |= 1 << (this.#count % 8);
      this.#count++;
    }
  }

  done(tail: Uint8Array): Uint8Array {
    return joined(Uint8Array.from(this.#bytes), tail);
  }
}

/** The order in which the lengths of code lengths are written (RFC 9649, 3.7.2.1.2). */
const LENGTH_ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/** The longest code of a symbol. */
const MAX_LENGTH = 15;

/**
 * Lengths of a complete prefix code of `count` symbols: leaves are split until there are enough.
 */
function completeLengths(dice: Dice, count: number): number[] {
  const leaves = new Array<number>(MAX_LENGTH + 1).fill(0);
  leaves[0] = 1;
  const isDeep = dice.chance(0.5);
  for (let n = 1; n < count; n++) {
    const open = leaves.flatMap((some, length) => (some > 0 && length < MAX_LENGTH ? [length] : []));
    const length = isDeep && n % 16 > 0 ? open.at(-1)! : dice.pick(open);
    leaves[length]!--;
    leaves[length + 1]! += 2;
  }
  return leaves.flatMap((some, length) => new Array<number>(some).fill(length));
}

/**
 * Code lengths of an alphabet: complete, or with a leaf too many or too few, which is what
 * overflowed tables.
 */
function codeLengths(dice: Dice, alphabet: number): number[] {
  const used = dice.pick([2, 3, 16, 40, Math.min(256, alphabet), alphabet]);
  const lengths = completeLengths(dice, Math.min(used, alphabet, 2 ** MAX_LENGTH));
  if (dice.chance(0.05)) lengths[dice.below(lengths.length)] = dice.between(0, 15);
  if (dice.chance(0.04)) lengths.fill(dice.between(9, 15), dice.below(lengths.length));
  const spread = new Array<number>(alphabet).fill(0);
  const step = Math.max(1, dice.chance(0.25) ? Math.floor(alphabet / lengths.length) : 1);
  for (const [i, length] of lengths.entries()) spread[(i * step) % alphabet] = length;
  return spread;
}

function prefixCode(bits: Bits, dice: Dice, alphabet: number): void {
  if (dice.chance(0.35)) {
    const isTwo = dice.chance(0.5);
    const isEight = dice.chance(0.7);
    bits.put(1, 1);
    bits.put(isTwo ? 1 : 0, 1);
    bits.put(isEight ? 1 : 0, 1);
    bits.put(dice.below(isEight ? Math.min(alphabet, 256) : 2), isEight ? 8 : 1);
    if (isTwo) bits.put(dice.below(Math.min(alphabet, 256)), 8);
    return;
  }
  // Each of the 16 lengths has a code of 4 bits, in their order, written from its highest bit.
  bits.put(0, 1);
  bits.put(LENGTH_ORDER.length - 4, 4);
  for (const symbol of LENGTH_ORDER) bits.put(symbol < 16 ? 4 : 0, 3);
  bits.put(0, 1);
  const reversed = (code: number) =>
    ((code & 1) << 3) | ((code & 2) << 1) | ((code & 4) >> 1) | ((code & 8) >> 3);
  for (const length of codeLengths(dice, alphabet)) bits.put(reversed(length), 4);
}

/** The five prefix codes of a group. */
function group(bits: Bits, dice: Dice, cacheSize: number): void {
  for (const alphabet of [256 + 24 + cacheSize, 256, 256, 256, 40]) prefixCode(bits, dice, alphabet);
}

/** A lossless stream of random prefix codes over random bits. */
function losslessDrawn(dice: Dice, header = true): Uint8Array {
  const bits = new Bits();
  const [width, height] = dice.chance(0.8)
    ? [dice.between(1, 12), dice.between(1, 12)]
    : [dice.between(1, 80), 40];
  const tail = () => dice.noise(dice.chance(0.9) ? width * height * 8 + 200 : dice.below(40));
  if (header) {
    bits.put(0x2f, 8);
    bits.put(width - 1, 14);
    bits.put(height - 1, 14);
    bits.put(dice.below(2), 1);
    bits.put(dice.chance(0.97) ? 0 : dice.below(8), 3);
  }
  if (dice.chance(0.2)) {
    bits.put(1, 1);
    bits.put(2, 2); // subtract green, which has no data
  }
  if (dice.chance(0.15)) {
    // a predictor, cross-colour or palette transform with an image of its own
    const kind = dice.pick([0, 1, 3]);
    bits.put(1, 1);
    bits.put(kind, 2);
    bits.put(dice.below(kind === 3 ? 256 : 8), kind === 3 ? 8 : 3);
    bits.put(0, 1);
    group(bits, dice, 0);
    return bits.done(tail());
  }
  bits.put(0, 1);
  const cacheBits = dice.chance(0.4) ? (dice.chance(0.9) ? dice.between(1, 11) : dice.between(0, 15)) : 0;
  bits.put(cacheBits > 0 ? 1 : 0, 1);
  if (cacheBits > 0) bits.put(cacheBits, 4);
  const isMeta = dice.chance(0.2);
  bits.put(isMeta ? 1 : 0, 1);
  if (isMeta) {
    bits.put(dice.below(8), 3);
    bits.put(0, 1);
    group(bits, dice, 0);
    return bits.done(tail());
  }
  group(bits, dice, cacheBits > 0 ? 1 << cacheBits : 0);
  return bits.done(tail());
}

/** The header of a lossy key frame, its partitions and their sizes. */
function lossyChanged(dice: Dice, payload: Uint8Array): Uint8Array {
  const changed = payload.slice();
  if (changed.length < 20) return mutatedBytes(dice, payload, 1);
  switch (dice.below(6)) {
    case 0: {
      // the size of the first partition, the version, whether it is shown
      const tag = changed[0]! | (changed[1]! << 8) | (changed[2]! << 16);
      const size = dice.pick([tag >>> 5, dice.oddInteger()]) & 0x7ffff;
      const next = dice.pick([tag & 1, 0]) | (dice.below(8) << 1) | (dice.below(2) << 4) | (size << 5);
      changed.set([next, next >>> 8, next >>> 16]);
      return changed;
    }
    case 1:
      changed.set(le32(dice.oddInteger()), dice.pick([6, 8]) - 2);
      return changed;
    case 2:
      // inside of the first partition: segments, filters, number of partitions, quantisers
      changed[10 + dice.below(10)] = dice.below(256);
      return changed;
    case 3:
      return changed.subarray(0, dice.below(changed.length));
    case 4:
      return joined(changed, dice.bytes(40));
    default:
      return mutatedBytes(dice, payload, 1);
  }
}

function drawn(dice: Dice): Chunk[] {
  if (dice.chance(0.75)) return [{ type: 'VP8L', payload: losslessDrawn(dice) }];
  // alpha of its own coding beside a lossy picture of 16×16 or so
  const lossy = FILES[1]!.find(({ type }) => type === 'VP8 ')!;
  const head = dice.pick([0, 1]) | (dice.below(4) << 2) | (dice.below(4) << 4);
  const alpha = joined(
    Uint8Array.of(head),
    head & 1 ? losslessDrawn(dice, false) : dice.bytes(dice.pick([0, 10, 2000])),
  );
  const [canvas] = FILES[1]!;
  return [canvas!, { type: 'ALPH', payload: alpha }, lossy];
}

const TYPES = ['VP8 ', 'VP8L', 'VP8X', 'ALPH', 'ANIM', 'ANMF', 'ICCP', 'EXIF', 'XMP ', 'ABCD', 'RIFF'];

function changed(dice: Dice, chunks: readonly Chunk[]): Chunk[] {
  const at = dice.below(chunks.length);
  const chunk = chunks[at];
  if (chunk === undefined) return [];
  const replaced = (...others: Chunk[]) => [...chunks.slice(0, at), ...others, ...chunks.slice(at + 1)];
  const payload = chunk.payload;
  switch (dice.below(9)) {
    case 0:
      return replaced();
    case 1:
      return replaced(chunk, chunk);
    case 2:
      return replaced({ ...chunk, type: dice.pick(TYPES) });
    case 3:
      return replaced({
        ...chunk,
        length: dice.pick([dice.oddInteger(), payload.length + 1, payload.length - 1, payload.length + 8]),
      });
    case 4: {
      const canvas = joined(
        Uint8Array.of(dice.below(256), 0, 0, 0),
        dice.bytes(6).map((byte, i) => (i % 3 === 0 ? byte : 0)),
      );
      const exif = { type: 'EXIF', payload: exifBlock(dice) };
      return [{ type: 'VP8X', payload: canvas }, ...chunks, exif];
    }
    case 5: {
      const moved = replaced();
      moved.splice(dice.below(chunks.length), 0, chunk);
      return moved;
    }
    case 6:
      return [
        ...chunks.slice(0, at),
        { type: dice.pick(TYPES), payload: dice.bytes(dice.pick([0, 1, 5, 10, 17, 200])) },
        ...chunks.slice(at),
      ];
    default:
      if (chunk.type === 'VP8 ') return replaced({ ...chunk, payload: lossyChanged(dice, payload) });
      return replaced({ ...chunk, payload: mutatedBytes(dice, payload, 1) });
  }
}

/** The sides of the only picture that there is. */
function announced(file: Uint8Array): [number, number] | undefined {
  const pictures = chunksOf(file).filter(({ type }) => /^VP8[ LX]$/.test(type));
  const [one] = pictures;
  if (pictures.length !== 1 || one === undefined || one.payload.length < 10) return undefined;
  const view = new DataView(one.payload.buffer, one.payload.byteOffset);
  if (one.type === 'VP8 ') return [view.getUint16(6, true) & 0x3fff, view.getUint16(8, true) & 0x3fff];
  const bits = view.getUint32(1, true);
  return one.type === 'VP8L' ? [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1] : undefined;
}

export const webp: Target = {
  name: 'webp',
  about: 'WebP: chunks, prefix codes of VP8L (CVE-2023-4863), partitions of VP8, alpha',
  inputs: 200,
  codes: IMAGE_CODES,
  place: IMAGE_PLACE,
  make(dice) {
    let chunks: readonly Chunk[] = dice.chance(0.6) ? drawn(dice) : dice.pick(FILES);
    for (let i = dice.below(3); i > 0; i--) chunks = changed(dice, chunks);
    const file = bytesOf(chunks, dice.chance(0.95) ? undefined : dice.oddInteger());
    return dice.chance(0.93) ? file : mutatedBytes(dice, file, 1);
  },
  check: (input) => checkSides(input, announced(input)),
  control: imageControl('lossless.webp', 'lossy.webp', 'alpha-lossy.webp'),
};

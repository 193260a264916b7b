/**
 * PNG: chunks with right checksums, filters, interlacing, palettes, bit depths; compared with a
 * plain decoder.
 */

import { readdirSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { crc32 } from '../../../src/image/png/crc32.js';
import type { Dice } from '../dice.js';
import { encoded, joined, mutatedBytes } from '../mutate.js';
import { ADAM7, referencePng, SAMPLES } from '../png-reference.js';
import { expectThat, Fault, same, type Target } from '../target.js';
import {
  checkImage,
  exifBlock,
  IMAGE_CODES,
  IMAGE_PLACE,
  imageControl,
  imageFixture,
  MAX_PIXELS,
} from './image.js';

interface Chunk {
  type: string;
  payload: Uint8Array;
  /** In place of the length and the checksum. */
  length?: number;
  crc?: number;
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10);

function bytesOf(chunks: readonly Chunk[]): Uint8Array {
  return joined(
    SIGNATURE,
    ...chunks.map(({ type, payload, length = payload.length, crc }) => {
      const body = joined(Uint8Array.from(Buffer.from(type, 'latin1')), payload);
      return joined(be32(length), body, be32(crc ?? crc32(body, 0, body.length)));
    }),
  );
}

function be32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function chunksOf(file: Uint8Array): Chunk[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const chunks: Chunk[] = [];
  for (let at = 8; at + 12 <= file.length; ) {
    const length = view.getUint32(at);
    const type = Buffer.from(file.subarray(at + 4, at + 8)).toString('latin1');
    chunks.push({ type, payload: file.subarray(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return chunks;
}

const FOLDER = new URL('../../image/fixtures/', import.meta.url);
const FILES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.png') && name !== 'raw-profile.png')
  .map((name) => chunksOf(imageFixture(name)));

const KINDS = [
  ...[1, 2, 4, 8, 16].map((depth) => [0, depth] as const),
  ...[8, 16].flatMap((depth) => [2, 4, 6].map((colour) => [colour, depth] as const)),
  ...[1, 2, 4, 8].map((depth) => [3, depth] as const),
];

/** A picture of random rows: every filter, colour type and depth, interlaced or not. */
function drawn(dice: Dice): Chunk[] {
  const [colour, depth] = dice.pick(KINDS);
  const [width, height] = [dice.between(1, 20), dice.between(1, 20)];
  const isInterlaced = dice.chance(0.5);
  const samples = SAMPLES[colour]!;
  const passes = isInterlaced ? ADAM7 : ([[0, 0, 1, 1]] as const);
  const rows = passes.flatMap(([x, y, dx, dy]) => {
    const columns = Math.max(0, Math.ceil((width - x) / dx));
    const count = columns === 0 ? 0 : Math.max(0, Math.ceil((height - y) / dy));
    return Array.from({ length: count }, () =>
      joined(
        Uint8Array.of(dice.chance(0.02) ? dice.below(256) : dice.below(5)),
        dice.bytes(Math.ceil((columns * samples * depth) / 8)),
      ),
    );
  });
  const colours = dice.chance(0.8) ? 1 << depth : dice.between(1, 1 << Math.min(depth, 8));
  const stream = new Uint8Array(
    deflateSync(joined(...rows), { level: dice.pick([6, 0, 1]), strategy: dice.pick([0, 4]) }),
  );
  const cuts = Array.from({ length: dice.below(4) }, () => dice.below(stream.length)).sort((a, b) => a - b);
  const parts = [0, ...cuts].map((from, i) => stream.subarray(from, cuts[i] ?? stream.length));
  return [
    {
      type: 'IHDR',
      payload: joined(be32(width), be32(height), Uint8Array.of(depth, colour, 0, 0, isInterlaced ? 1 : 0)),
    },
    ...(colour === 3 ? [{ type: 'PLTE', payload: dice.bytes(3 * Math.min(colours, 256)) }] : []),
    ...parts.map((payload) => ({ type: 'IDAT', payload })),
    { type: 'IEND', payload: new Uint8Array() },
  ];
}

const TYPES = [
  'tEXt',
  'zTXt',
  'iTXt',
  'eXIf',
  'gAMA',
  'pHYs',
  'tRNS',
  'iCCP',
  'acTL',
  'fcTL',
  'IDAT',
  'PLTE',
  'IEND',
  'IHDR',
  'CgBI',
  'ABCD',
  'ab\0d',
];

function ancillary(dice: Dice): Chunk {
  const type = dice.pick(TYPES);
  if (type === 'eXIf') return { type, payload: exifBlock(dice) };
  const text = () => {
    const hex = Buffer.from(exifBlock(dice)).toString('hex');
    return encoded(
      dice.pick([
        `\nexif\n${dice.pick([hex.length / 2, dice.oddInteger()])}\n${hex}\n`,
        '<x:xmpmeta tiff:Orientation="6"/>',
        'x'.repeat(dice.pick([10, 70_000])),
      ]),
    );
  };
  const keyword = encoded(
    `${dice.pick(['Raw profile type exif', 'XML:com.adobe.xmp', 'Comment', 'x'.repeat(90)])}\0`,
  );
  if (type === 'zTXt') {
    const packed = new Uint8Array(
      deflateSync(dice.chance(0.9) ? text() : new Uint8Array(dice.pick([2 ** 16, 2 ** 22]))),
    );
    return {
      type,
      payload: joined(
        keyword,
        Uint8Array.of(dice.chance(0.9) ? 0 : 1),
        dice.chance(0.8) ? packed : mutatedBytes(dice, packed, 1),
      ),
    };
  }
  if (type === 'iTXt') {
    const isPacked = dice.chance(0.5);
    const body = isPacked ? new Uint8Array(deflateSync(text())) : text();
    return { type, payload: joined(keyword, Uint8Array.of(isPacked ? 1 : 0, 0, 0, 0), body) };
  }
  if (type === 'tEXt') return { type, payload: joined(keyword, text()) };
  return { type, payload: dice.bytes(dice.pick([0, 1, 3, 4, 8, 13, 26, 300])) };
}

function changed(dice: Dice, chunks: Chunk[]): Chunk[] {
  const at = dice.below(chunks.length + 1);
  const chunk = chunks[at] ?? { type: 'IEND', payload: new Uint8Array() };
  const replaced = (...others: Chunk[]) => [...chunks.slice(0, at), ...others, ...chunks.slice(at + 1)];
  switch (dice.below(12)) {
    case 0:
    case 1:
      return [...chunks.slice(0, at), ancillary(dice), ...chunks.slice(at)];
    case 2:
      return replaced();
    case 3:
      return replaced(chunk, chunk);
    case 4:
      return replaced({ ...chunk, type: dice.pick(TYPES) });
    case 5:
      return replaced({ ...chunk, length: dice.oddInteger() });
    case 6:
      return replaced({ ...chunk, crc: dice.uint32() });
    case 7: {
      const payload = chunks[0]!.payload.slice();
      const field = dice.pick([0, 4, 8, 9, 10, 11, 12]);
      if (field < 8 && payload.length >= 8) payload.set(be32(dice.oddInteger()), field);
      else if (field < payload.length) payload[field] = dice.pick([0, 1, 2, 3, 4, 6, 8, 16, 255]);
      return [{ ...chunks[0]!, payload }, ...chunks.slice(1)];
    }
    case 8: {
      const other = dice.below(chunks.length);
      const swapped = [...chunks];
      swapped[other] = chunk;
      if (at < chunks.length) swapped[at] = chunks[other]!;
      return swapped;
    }
    case 9:
      return replaced({ ...chunk, payload: chunk.payload.subarray(0, dice.below(chunk.payload.length + 1)) });
    default:
      return replaced({ ...chunk, payload: mutatedBytes(dice, chunk.payload, 1) });
  }
}

export const png: Target = {
  name: 'png',
  about: 'PNG: chunks, filters, interlacing, palettes, texts; pixels of a plain decoder',
  inputs: 900,
  codes: IMAGE_CODES,
  place: IMAGE_PLACE,
  make(dice) {
    let chunks = dice.chance(0.6) ? drawn(dice) : dice.pick(FILES);
    for (let i = dice.below(4); i > 0 && chunks.length > 0; i--) chunks = changed(dice, chunks);
    const file = bytesOf(chunks);
    return dice.chance(0.9) ? file : mutatedBytes(dice, file, 1);
  },
  async check(input) {
    const reference = referencePng(input, MAX_PIXELS);
    const found = await checkImage(input).catch((error: unknown) => {
      if (reference === undefined || error instanceof Fault) throw error;
      throw new Fault(`a sound PNG is refused: ${(error as Error).message}`, { cause: error });
    });
    if (reference === undefined) return undefined;
    expectThat(
      found.width === reference.width && found.height === reference.height,
      'other sides than the plain decoder',
    );
    expectThat(same(found.data, reference.data), 'other pixels than the plain decoder');
    return undefined;
  },
  control: imageControl('png-6-8.png', 'png-3-4-interlaced.png'),
};

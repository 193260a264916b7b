/** JPEG: tables, frames, scans, restart markers, entropy-coded bytes, EXIF. */

import type { Dice } from '../dice.js';
import { encoded, joined, mutatedBytes } from '../mutate.js';
import type { Target } from '../target.js';
import { checkSides, exifBlock, IMAGE_CODES, IMAGE_PLACE, imageControl, imageFixture } from './image.js';

interface Segment {
  readonly marker: number;
  /** Without its length. */
  readonly payload: Uint8Array;
  /** After a scan's header. */
  readonly coded?: Uint8Array;
  /** In place of the length. */
  readonly length?: number;
}

const NONE = new Uint8Array();
const [SOF0, SOF2, DHT, EOI, SOS, DQT, DRI, APP1] = [0xc0, 0xc2, 0xc4, 0xd9, 0xda, 0xdb, 0xdd, 0xe1];

function segmentsOf(file: Uint8Array): Segment[] {
  const segments: Segment[] = [];
  for (let at = 2; at + 4 <= file.length; ) {
    const marker = file[at + 1]!;
    if (marker === EOI) break;
    const end = at + 2 + ((file[at + 2]! << 8) | file[at + 3]!);
    let next = end;
    if (marker === SOS)
      while (
        next < file.length &&
        (file[next] !== 0xff || file[next + 1] === 0 || (file[next + 1]! & 0xf8) === 0xd0)
      )
        next++;
    segments.push({ marker, payload: file.slice(at + 4, end), coded: file.slice(end, next) });
    at = next;
  }
  segments.push({ marker: EOI, payload: NONE });
  return segments;
}

function bytesOf(segments: readonly Segment[]): Uint8Array {
  return joined(
    Uint8Array.of(0xff, 0xd8),
    ...segments.map(({ marker, payload, coded = NONE, length = payload.length + 2 }) =>
      marker === EOI || (marker & 0xf8) === 0xd0
        ? Uint8Array.of(0xff, marker)
        : joined(Uint8Array.of(0xff, marker, length >> 8, length), payload, coded),
    ),
  );
}

const NAMES = [
  ...[
    '420',
    '422',
    '444',
    'exif-6',
    'grey',
    'grey-progressive',
    'no-end',
    'progressive',
    'progressive-restarts',
  ],
  ...['420', '422', '444', 'progressive', 'progressive-restarts', 'cmyk'],
];
const FILES = NAMES.map((name) => segmentsOf(imageFixture(`${name}.jpg`)));

/** Most significant bit first, with a zero behind each 255. */
class Bits {
  readonly bytes: number[] = [];
  #byte = 0;
  #count = 0;

  put(value: number, length: number): void {
    for (let bit = length - 1; bit >= 0; bit--) {
      this.#byte = (this.#byte << 1) | ((value >> bit) & 1);
      if (++this.#count === 8) this.#flush();
    }
  }

  /** Fills the byte with ones. */
  align(): void {
    while (this.#count > 0) this.put(1, 1);
  }

  #flush(): void {
    this.bytes.push(this.#byte);
    if (this.#byte === 255) this.bytes.push(0);
    this.#byte = 0;
    this.#count = 0;
  }
}

/**
 * Code lengths 4 and 8: symbols in order, of which the codes of one length are the numbers from 0.
 */
const DC_SYMBOLS = Array.from({ length: 12 }, (_, i) => i);
const AC_SYMBOLS = [0x00, 0xf0, ...Array.from({ length: 160 }, (_, i) => ((i / 10) << 4) | ((i % 10) + 1))];

function table(kind: number, length: number, symbols: readonly number[]): Segment {
  const counts = Array.from({ length: 16 }, (_, i) => (i + 1 === length ? symbols.length : 0));
  return { marker: DHT, payload: Uint8Array.of(kind, ...counts, ...symbols) };
}

/**
 * A baseline picture of random coefficients: any sampling, restart markers, one scan or one for
 * each component.
 */
function drawn(dice: Dice): Segment[] {
  const [width, height] = [dice.between(1, 40), dice.between(1, 40)];
  const count = dice.pick([3, 3, 1, 3, 3, 1, 3, 3, 4, 2]);
  const common = dice.pick([
    [1, 1],
    [2, 2],
    [2, 1],
    [1, 2],
  ] as const);
  const isCommon = dice.chance(0.8);
  const factors = Array.from({ length: count }, (_, i): readonly [number, number] => {
    if (isCommon) return i % 3 === 0 ? common : [1, 1];
    return [dice.pick([1, 2, 4, 3]), dice.pick([1, 2, 4, 3])];
  });
  const across = Math.max(...factors.map(([h]) => h));
  const down = Math.max(...factors.map(([, v]) => v));
  const interval = dice.chance(0.3) ? dice.between(1, 4) : 0;
  const frame = [
    8,
    height >> 8,
    height,
    width >> 8,
    width,
    count,
    ...factors.flatMap(([h, v], i) => [i + 1, (h << 4) | v, 0]),
  ];
  const block = (bits: Bits) => {
    const size = dice.below(dice.pick([3, 8]));
    bits.put(DC_SYMBOLS.indexOf(size), 4);
    bits.put(dice.uint32() & ((1 << size) - 1), size);
    for (let k = 1; k < 64 && dice.chance(0.3); k++) {
      const run = Math.min(dice.below(4), 63 - k);
      const bitsOf = dice.between(1, 5);
      bits.put(AC_SYMBOLS.indexOf((run << 4) | bitsOf), 8);
      bits.put(dice.uint32() & ((1 << bitsOf) - 1), bitsOf);
      k += run;
      if (k === 63) return;
    }
    bits.put(AC_SYMBOLS.indexOf(0), 8);
  };
  const scan = (parts: readonly number[]): Segment => {
    const isAlone = parts.length === 1;
    const [h, v] = factors[parts[0]!]!;
    const side = (size: number, own: number, most: number) =>
      isAlone ? Math.ceil(Math.ceil((size * own) / most) / 8) : Math.ceil(size / 8 / most);
    const units = side(width, h, across) * side(height, v, down);
    const bits = new Bits();
    for (let unit = 0; unit < units; unit++) {
      if (interval > 0 && unit > 0 && unit % interval === 0) {
        bits.align();
        bits.bytes.push(0xff, 0xd0 + ((unit / interval - 1) & 7));
      }
      for (const part of parts)
        for (let i = isAlone ? 1 : factors[part]![0] * factors[part]![1]; i > 0; i--) block(bits);
    }
    bits.align();
    const header = [parts.length, ...parts.flatMap((part) => [part + 1, 0]), 0, 63, 0];
    return { marker: SOS, payload: Uint8Array.from(header), coded: Uint8Array.from(bits.bytes) };
  };
  const all = factors.map((_, i) => i);
  return [
    {
      marker: DQT,
      payload: joined(
        Uint8Array.of(0),
        dice.bytes(64).map((byte) => (byte & 31) + 1),
      ),
    },
    { marker: dice.pick([SOF0, 0xc1]), payload: Uint8Array.from(frame) },
    table(0x00, 4, DC_SYMBOLS),
    table(0x10, 8, AC_SYMBOLS),
    ...(interval > 0 ? [{ marker: DRI, payload: Uint8Array.of(0, interval) }] : []),
    ...(dice.chance(0.7) ? [scan(all)] : all.map((part) => scan([part]))),
    { marker: EOI, payload: NONE },
  ];
}

const MARKERS = [
  DHT,
  DQT,
  DRI,
  SOS,
  SOF0,
  0xc1,
  SOF2,
  0xc3,
  0xc9,
  0xcc,
  0xd0,
  0xd7,
  0xd8,
  EOI,
  0xdc,
  0xde,
  0xe0,
  APP1,
  0xee,
  0xfe,
  0x01,
];

function other(dice: Dice): Segment {
  const marker = dice.pick([APP1, APP1, 0xee, 0xe0, ...MARKERS]);
  if (marker === APP1) {
    const body = dice.chance(0.8)
      ? joined(encoded('Exif\0\0'), exifBlock(dice))
      : encoded(`http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="${dice.below(10)}"/>`);
    return { marker, payload: body };
  }
  if (marker === 0xee)
    return { marker, payload: joined(encoded('Adobe'), Uint8Array.of(0, 100, 0, 0, 0, 0, dice.below(4))) };
  if (marker === DRI) return { marker, payload: Uint8Array.of(0, dice.below(5)) };
  if (marker === DHT) {
    const counts = Uint8Array.from({ length: 16 }, () => dice.below(dice.pick([2, 4, 20])));
    const symbols = dice.bytes(counts.reduce((sum, n) => sum + n, 0));
    return {
      marker,
      payload: joined(Uint8Array.of(dice.pick([0, 1, 0x10, 0x11, 4, 0x20])), counts, symbols),
    };
  }
  return { marker, payload: dice.bytes(dice.pick([0, 1, 2, 6, 14, 65])) };
}

function changed(dice: Dice, segments: readonly Segment[]): Segment[] {
  const at = dice.below(segments.length + 1);
  const segment = segments[at] ?? { marker: EOI, payload: NONE };
  const replaced = (...others: Segment[]) => [...segments.slice(0, at), ...others, ...segments.slice(at + 1)];
  const everywhere = (wanted: readonly number[], change: (payload: Uint8Array) => void) =>
    segments.map((one) => {
      if (!wanted.includes(one.marker) || one.payload.length === 0) return one;
      const payload = one.payload.slice();
      change(payload);
      return { ...one, payload };
    });
  const odd = (payload: Uint8Array) => {
    payload[dice.below(payload.length)] = dice.pick([
      0,
      1,
      2,
      3,
      0x11,
      0x22,
      0x21,
      0x44,
      16,
      63,
      64,
      255,
      dice.below(256),
    ]);
  };
  switch (dice.below(14)) {
    case 0:
      return [...segments.slice(0, at), other(dice), ...segments.slice(at)];
    case 1:
      return replaced();
    case 2:
      return replaced(segment, segment);
    case 3:
      return replaced({ ...segment, length: dice.oddInteger() & 0xffff });
    case 4:
      return everywhere([SOF0, 0xc1, SOF2], odd);
    case 5:
      return everywhere([SOS], odd);
    case 6:
      return everywhere([DHT, DQT, DRI], odd);
    case 7: {
      const from = dice.below(segments.length);
      const moved = replaced();
      moved.splice(from, 0, segment);
      return moved;
    }
    case 8:
      return replaced({ ...segment, marker: dice.pick(MARKERS) });
    case 9:
    case 10: {
      const scans = segments.filter(({ marker }) => marker === SOS);
      if (scans.length === 0) return [...segments];
      const scan = dice.pick(scans);
      const coded = scan.coded ?? NONE;
      const place = dice.below(coded.length + 1);
      const marker = Uint8Array.of(0xff, dice.pick([0xd0, 0xd1, 0xd7, 0, 0xff, EOI, 0x5a]));
      const change = dice.pick<() => Uint8Array>([
        () => mutatedBytes(dice, coded, 1),
        () => coded.subarray(0, place),
        () => joined(coded.subarray(0, place), marker, coded.subarray(place)),
        () => joined(coded, dice.bytes(dice.pick([1, 4, 60]))),
        () => dice.bytes(coded.length).map((byte) => (byte === 255 ? 254 : byte)),
      ]);
      const replacement = { ...scan, coded: change() };
      return segments.map((one) => (one === scan ? replacement : one));
    }
    case 11:
      return segments.filter(({ marker }) => marker !== EOI);
    case 12: {
      const scans = segments.filter(({ marker }) => marker === SOS);
      const again = Array.from({ length: dice.pick([1, 3, 99, 101]) }, (_, i) => scans[i % scans.length]!);
      if (scans.length === 0 || segments.length > 200) return [...segments];
      return [...segments.slice(0, -1), ...again, { marker: EOI, payload: NONE }];
    }
    default:
      return replaced({ ...segment, payload: mutatedBytes(dice, segment.payload, 1) });
  }
}

/** The sides that the only frame header says. */
function announced(file: Uint8Array): [number, number] | undefined {
  const frames = segmentsOf(file).filter(({ marker }) => [SOF0, 0xc1, SOF2].includes(marker));
  const [frame] = frames;
  if (frames.length !== 1 || frame === undefined || frame.payload.length < 5) return undefined;
  const [, h1, h0, w1, w0] = frame.payload as unknown as [number, number, number, number, number];
  return [(w1 << 8) | w0, (h1 << 8) | h0];
}

export const jpeg: Target = {
  name: 'jpeg',
  about: 'JPEG: tables, frames, scans, restart markers, entropy-coded bytes, EXIF',
  inputs: 150,
  codes: IMAGE_CODES,
  place: IMAGE_PLACE,
  make(dice) {
    let segments: readonly Segment[] = dice.chance(0.5) ? drawn(dice) : dice.pick(FILES);
    for (let i = dice.below(4); i > 0; i--) segments = changed(dice, segments);
    const file = joined(bytesOf(segments), dice.chance(0.95) ? NONE : dice.bytes(20));
    return dice.chance(0.93) ? file : mutatedBytes(dice, file, 1);
  },
  check: (input) => checkSides(input, announced(input)),
  control: imageControl('420.jpg', 'progressive-restarts.jpg'),
};

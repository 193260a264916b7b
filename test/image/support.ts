import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { expect } from '@jest/globals';
import { ImageError } from '../../src/errors.js';
import { type DecodeOptions, decodeImage } from '../../src/image/decode.js';
import { crc32 } from '../../src/image/png/crc32.js';
import type { Interpolation } from '../../src/image/resize/interpolation.js';
import type { RgbImage } from '../../src/image/types.js';
import { shared } from '../support/shared.js';

// Global look-ups are slow here: see src/image/resize/resize.ts.
const { imul } = Math;

const FIXTURES = new URL('./fixtures/', import.meta.url);
const DATA = `${shared}data/`;

export interface Expected {
  pillow: string;
  decoded: Record<string, { width: number; height: number; sha256: string }>;
  /** The lengths to which a file can be truncated so that Pillow still reads it. */
  beginnings: Record<string, number[]>;
  oriented: { width: number; height: number; data: number[] }[];
  resized: { from: [number, number]; to: [number, number]; filter: Interpolation; sha256: string }[];
  preprocessed: {
    from: [number, number];
    imageSize: number;
    cropPct: number;
    interpolation: Interpolation;
    squash?: boolean;
    sha256: string;
  }[];
}

/** The results that fixtures/make.py recorded. */
export const expected: Expected = JSON.parse(readFileSync(new URL('expected.json', FIXTURES), 'utf8'));

export function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, FIXTURES)));
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function dataFiles(folder: string): string[] {
  const path = `${DATA}${folder}`;
  return existsSync(path) ? readdirSync(path).sort() : [];
}

export function dataFile(path: string): Uint8Array {
  return new Uint8Array(readFileSync(`${DATA}${path}`));
}

/** Reproducible bytes, as `noise` in fixtures/make.py (Numerical Recipes' LCG). */
export function noise(count: number, seed: number): Uint8Array {
  const out = new Uint8Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = state >>> 24;
  }
  return out;
}

export function noiseImage(width: number, height: number, seed = 1): RgbImage {
  return { width, height, data: noise(width * height * 3, seed) };
}

export function join(...parts: (Uint8Array | number[] | string)[]): Uint8Array {
  return new Uint8Array(
    Buffer.concat(parts.map((p) => (typeof p === 'string' ? Buffer.from(p, 'latin1') : Buffer.from(p)))),
  );
}

export function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

function le32(value: number): number[] {
  return u32(value).reverse();
}

/** For work that takes milliseconds, whatever a header claims; leaves room for a busy machine. */
export const BOUND_MS = 2000;

/** Expects the typed error `code`, with the file name in its message. Returns the message. */
export async function refusal(bytes: Uint8Array, code: string, options: DecodeOptions = {}): Promise<string> {
  let error: unknown;
  try {
    await decodeImage(bytes, { file: 'photo.bin', ...options });
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(ImageError);
  const { message, code: found } = error as ImageError;
  expect({ code: found, message }).toEqual({ code, message });
  expect(message).toMatch(/^photo\.bin: /);
  return message;
}

// ---- handmade PNG

export function pngChunk(type: string, payload: Uint8Array | number[] = []): Uint8Array {
  const body = join(type, payload);
  return join(u32(payload.length), body, u32(crc32(body, 0, body.length)));
}

export const PNG_SIGNATURE = '\x89PNG\r\n\x1a\n';

export function ihdr(width: number, height: number, bitDepth = 8, colourType = 2, interlace = 0): Uint8Array {
  return pngChunk('IHDR', [...u32(width), ...u32(height), bitDepth, colourType, 0, 0, interlace]);
}

/** A PNG with these chunks between the signature and IEND. */
export function png(...chunks: Uint8Array[]): Uint8Array {
  return join(PNG_SIGNATURE, ...chunks, pngChunk('IEND'));
}

/** An unfiltered 8-bit RGB PNG, with `chunks` before its pixels. */
export function rgbPng({ width, height, data }: RgbImage, ...chunks: Uint8Array[]): Uint8Array {
  const rows = Array.from({ length: height }, (_, y) => [
    0,
    ...data.subarray(y * width * 3, (y + 1) * width * 3),
  ]);
  return png(ihdr(width, height), ...chunks, pngChunk('IDAT', deflateSync(join(...rows))));
}

// ---- handmade JPEG

export function jpegSegment(marker: number, payload: Uint8Array | number[]): Uint8Array {
  const length = payload.length + 2;
  return join([0xff, marker, length >> 8, length & 255], payload);
}

export const SOI = [0xff, 0xd8];
export const EOI = [0xff, 0xd9];

export function sof(width: number, height: number, components = 1, marker = 0xc0, precision = 8): Uint8Array {
  const each = Array.from({ length: components }, (_, i) => [i + 1, 0x11, 0]).flat();
  return jpegSegment(marker, [
    precision,
    height >> 8,
    height & 255,
    width >> 8,
    width & 255,
    components,
    ...each,
  ]);
}

/** A quantisation table of ones. */
export const DQT = jpegSegment(0xdb, [0, ...new Array(64).fill(1)]);
/** A DC and an AC table with one code each, the bit 0: no difference, and end of block. */
export const DHT = join(
  jpegSegment(0xc4, [0x00, 1, ...new Array(15).fill(0), 0]),
  jpegSegment(0xc4, [0x10, 1, ...new Array(15).fill(0), 0]),
);
export const SOS = jpegSegment(0xda, [1, 1, 0, 0, 63, 0]);

/** A mid-grey image: two 0 bits per block, with a restart marker after each block if requested. */
export function flatJpeg(width: number, height: number, restarts = false): Uint8Array {
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  const coded = restarts
    ? join(
        ...Array.from({ length: blocks }, (_, i) => (i === 0 ? [0x3f] : [0xff, 0xd0 | ((i - 1) & 7), 0x3f])),
      )
    : new Uint8Array(Math.ceil(blocks / 4));
  const interval = restarts ? jpegSegment(0xdd, [0, 1]) : [];
  return join(SOI, DQT, sof(width, height), DHT, interval, SOS, coded, EOI);
}

/** Inserts segments after the first two bytes. */
export function withSegments(bytes: Uint8Array, ...segments: Uint8Array[]): Uint8Array {
  return join(bytes.subarray(0, 2), ...segments, bytes.subarray(2));
}

// ---- handmade WebP

export function riff(...chunks: [type: string, payload: Uint8Array | number[]][]): Uint8Array {
  const body = join(...chunks.map(([t, p]) => join(t, le32(p.length), p, p.length % 2 ? [0] : [])));
  return join('RIFF', le32(body.length + 4), 'WEBP', body);
}

// ---- handmade EXIF

/** A TIFF block with one directory of `[tag, type, count, value]` entries. */
export function tiff(
  entries: [tag: number, type: number, count: number, value: number][],
  { little = true, directory = 8, claimed = entries.length, next = 0 } = {},
): Uint8Array {
  const n16 = (v: number) => (little ? [v & 255, v >> 8] : [v >> 8, v & 255]);
  const n32 = (v: number) => (little ? le32(v) : u32(v));
  // A SHORT is in the first two of the four value bytes, in either byte order.
  const value = (type: number, v: number) => (type === 3 ? [...n16(v), 0, 0] : n32(v));
  return join(
    little ? 'II*\0' : 'MM\0*',
    n32(directory),
    n16(claimed),
    ...entries.map(([tag, type, count, v]) => [...n16(tag), ...n16(type), ...n32(count), ...value(type, v)]),
    n32(next),
  );
}

import { ImageError } from '../../errors.js';
import { joinBytes } from '../../platform/join-bytes.js';
import { textAt } from '../bytes.js';
import type { Metadata } from '../exif.js';
import { InflateError, Inflater } from './inflate.js';

const RAW_EXIF = 'Raw profile type exif';
const XMP = 'XML:com.adobe.xmp';
/** Compressed texts must be shorter, as in Pillow. */
const MAX_TEXT = 2 ** 20;
const EMPTY = new Uint8Array(0);

/** Files have only a few texts with EXIF or XMP. Each needs its own inflater. */
const MAX_TEXTS = 100;

/**
 * Collects the orientation metadata in the ancillary chunks of a PNG, by Pillow 13's rules. An eXIf
 * chunk or a text named `exif` takes precedence over a text named `Raw profile type exif`. XMP is
 * the text `XML:com.adobe.xmp`. If there are several, the last counts. tEXt, zTXt and iTXt are
 * equivalent. Other texts are ignored.
 */
export class PngText {
  readonly #file: string;
  #texts = 0;
  #exif: Uint8Array | undefined;
  #rawExif: Uint8Array | undefined;
  #xmp: Uint8Array | undefined;
  /** The last XMP from an iTXt, used if `#xmp` is empty. */
  #itxtXmp: Uint8Array | undefined;

  /** @param file the file name for messages */
  constructor(file: string) {
    this.#file = file;
  }

  get metadata(): Metadata {
    return {
      exif: this.#exif ?? (this.#rawExif && fromHex(this.#rawExif)),
      xmp: this.#xmp?.length ? this.#xmp : this.#itxtXmp,
    };
  }

  /**
   * @throws {ImageError} `IMAGE_UNSUPPORTED` for texts with EXIF or XMP that are too long or too
   *   many
   */
  read(type: string, payload: Uint8Array): void {
    if (type === 'eXIf') this.#exif = payload;
    if (type !== 'tEXt' && type !== 'zTXt' && type !== 'iTXt') return;
    const end = payload.indexOf(0);
    const name = textAt(payload.subarray(0, end < 0 ? payload.length : end), 0, RAW_EXIF.length + 1);
    const rest = end < 0 ? EMPTY : payload.subarray(end + 1);
    if (name === 'exif' && type === 'tEXt') this.#exif = rest;
    if (name !== RAW_EXIF && name !== XMP) return;
    if (++this.#texts > MAX_TEXTS)
      throw this.#tooMuch(`at most ${MAX_TEXTS} texts with EXIF or XMP, found more`);
    const text = type === 'tEXt' ? rest : type === 'zTXt' ? this.#readZtxt(rest) : this.#readItxt(rest);
    if (text === undefined) return;
    if (name === RAW_EXIF) this.#rawExif = text;
    else this.#xmp = text;
    if (name === XMP && type === 'iTXt') this.#itxtXmp = text;
  }

  /** Compression method, text. A damaged text counts as empty. */
  #readZtxt(rest: Uint8Array): Uint8Array | undefined {
    return rest.length > 0 && rest[0] !== 0 ? undefined : (this.#inflate(rest.subarray(1)) ?? EMPTY);
  }

  /** Compression flag, method, language, translated keyword, text. A damaged text is ignored. */
  #readItxt(rest: Uint8Array): Uint8Array | undefined {
    const language = rest.indexOf(0, 2);
    const keyword = language < 0 ? -1 : rest.indexOf(0, language + 1);
    if (keyword < 0) return undefined;
    const text = rest.subarray(keyword + 1);
    if (rest[0] === 0) return text;
    return rest[1] === 0 ? this.#inflate(text) : undefined;
  }

  #inflate(bytes: Uint8Array): Uint8Array | undefined {
    const runs: Uint8Array[] = [];
    let length = 0;
    try {
      const inflater = new Inflater(bytes, MAX_TEXT);
      for (let run = inflater.next(); run.length > 0; run = inflater.next()) {
        runs.push(run.slice());
        length += run.length;
      }
    } catch (cause) {
      if (cause instanceof InflateError) return undefined;
      throw cause;
    }
    if (length === MAX_TEXT)
      throw this.#tooMuch(`texts with EXIF or XMP of less than ${MAX_TEXT} bytes, found a longer one`);
    return joinBytes(runs, length);
  }

  #tooMuch(expected: string): ImageError {
    return new ImageError('IMAGE_UNSUPPORTED', `${this.#file}: expected a PNG with ${expected}`);
  }
}

/**
 * ImageMagick's format: an empty line, the kind, the length, then bytes as hexadecimal digits, up
 * to the first character that is not a digit.
 */
function fromHex(text: Uint8Array): Uint8Array {
  let at = 0;
  for (let line = 0; line < 3; line++) {
    at = text.indexOf(0x0a, at) + 1;
    if (at === 0) return EMPTY;
  }
  const out = new Uint8Array((text.length - at) >> 1);
  let digits = 0;
  for (; at < text.length; at++) {
    const byte = text[at]!;
    if (byte === 0x20 || (byte >= 9 && byte <= 13)) continue;
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : hexLetter(byte | 0x20);
    if (digit < 0) break;
    out[digits >> 1]! += digits % 2 === 0 ? digit << 4 : digit;
    digits++;
  }
  return out.subarray(0, digits >> 1);
}

/** The value of `a` to `f`; -1 for other characters. */
function hexLetter(byte: number): number {
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;
}

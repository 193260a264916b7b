/**
 * Parses the JSON header of a safetensors file. `JSON.parse` would hide duplicate keys, mishandle a
 * tensor called `__proto__`, and nest as deep as the file says. The grammar here has a fixed depth
 * of three, reads every character once, and reports the offset of every error.
 */

import { CheckpointError } from '../../errors.js';
import { escapeInvisible, quote } from '../../text/quote.js';

/** A tensor as declared in the header; only its form is checked. Offsets start at the data. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** The parsed header. `metadata` has no prototype, so no key in a file has a special meaning. */
export interface Header {
  readonly metadata: Record<string, string>;
  readonly entries: readonly HeaderEntry[];
}

/** The key of the optional string map in a header. */
export const METADATA_KEY = '__metadata__';

/** NumPy's limit of dimensions, which no tensor reaches. Bounds the memory of one entry. */
export const MAX_RANK = 64;

/**
 * More tensors, or metadata keys, than the checkpoint of any model has. A tensor takes about 900
 * bytes and 6 us here, but only 50 bytes in a header: without this limit, a header of the permitted
 * length would take 1.7 GB and 12 s.
 */
export const MAX_KEYS = 100_000;
/** Bytes before the header, which hold its length as a u64. */
export const HEADER_START = 8;

/**
 * Parses the header of a safetensors file.
 *
 * @param text the header decoded from UTF-8, with its padding
 * @param file the file name for messages
 * @returns the metadata, and the tensors in the order of the header
 * @throws CheckpointError `CHECKPOINT_HEADER` if the header is not a JSON object, repeats a key, or
 *   its metadata is not a string map; `CHECKPOINT_TENSOR` if an entry is not exactly `{dtype,
 *   shape, data_offsets}`
 */
export function parseHeader(text: string, file: string): Header {
  return new HeaderParser(text, file).header();
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

class HeaderParser {
  #at = 0;
  /** The tensor or metadata key whose value is being parsed. */
  #owner: { readonly kind: string; readonly key: string } | undefined;
  readonly #text: string;
  readonly #file: string;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  header(): Header {
    const entries: HeaderEntry[] = [];
    let metadata: Record<string, string> = Object.create(null);
    const seen = new Set<string>();
    this.#object('CHECKPOINT_HEADER', (key, start) => {
      if (seen.has(key)) this.#duplicate(key, start);
      seen.add(key);
      if (key === METADATA_KEY) metadata = this.#metadata();
      else entries.push(this.#entry(key));
      this.#owner = undefined;
    });
    this.#space();
    if (this.#at < this.#text.length) this.#fail('CHECKPOINT_HEADER', 'only spaces after the header');
    return { metadata, entries };
  }

  #metadata(): Record<string, string> {
    const map: Record<string, string> = Object.create(null);
    this.#owner = { kind: 'header key', key: METADATA_KEY };
    this.#object('CHECKPOINT_HEADER', (key, start) => {
      if (key in map) this.#duplicate(key, start);
      this.#owner = { kind: 'metadata', key };
      map[key] = this.#string('CHECKPOINT_HEADER');
    });
    return map;
  }

  #entry(name: string): HeaderEntry {
    this.#owner = { kind: 'tensor', key: name };
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.#object('CHECKPOINT_TENSOR', (key, start) => {
      if (key === 'dtype') {
        if (dtype !== undefined) this.#duplicate(key, start);
        dtype = this.#string('CHECKPOINT_TENSOR', 'dtype: ');
      } else if (key === 'shape') {
        if (shape) this.#duplicate(key, start);
        shape = this.#integers('shape: ', MAX_RANK);
      } else if (key === 'data_offsets') {
        if (offsets) this.#duplicate(key, start);
        offsets = this.#integers('data_offsets: ', 2);
      } else {
        this.#at = start;
        this.#fail('CHECKPOINT_TENSOR', 'the keys dtype, shape and data_offsets');
      }
    });
    if (dtype === undefined) return this.#refuse('CHECKPOINT_TENSOR', 'expected dtype, found none');
    if (shape === undefined) return this.#refuse('CHECKPOINT_TENSOR', 'expected shape, found none');
    const [begin, end] = offsets ?? this.#refuse('CHECKPOINT_TENSOR', 'expected data_offsets, found none');
    if (begin === undefined || end === undefined) {
      return this.#refuse(
        'CHECKPOINT_TENSOR',
        'data_offsets: expected [begin, end], found fewer than 2 numbers',
      );
    }
    return { name, dtype, shape, begin, end };
  }

  /** `member` parses the value of a key that starts at `start`, and refuses duplicates. */
  #object(code: string, member: (key: string, start: number) => void): void {
    if (this.#text[this.#at] !== '{') this.#fail(code, 'an object');
    this.#at++;
    if (this.#take('}')) return;
    let keys = 0;
    do {
      if (++keys > MAX_KEYS)
        this.#refuse('CHECKPOINT_HEADER', `expected at most ${MAX_KEYS} keys, found more`);
      this.#space();
      const start = this.#at;
      const key = this.#string('CHECKPOINT_HEADER');
      if (!this.#take(':')) this.#fail('CHECKPOINT_HEADER', '":"', `after ${quote(key)}: `);
      this.#space();
      member(key, start);
    } while (this.#take(','));
    if (!this.#take('}')) this.#fail('CHECKPOINT_HEADER', '"," or "}"');
  }

  #integers(field: string, most: number): number[] {
    if (this.#text[this.#at] !== '[') this.#fail('CHECKPOINT_TENSOR', 'an array of integers', field);
    this.#at++;
    const list: number[] = [];
    if (this.#take(']')) return list;
    do {
      this.#space();
      if (list.length === most) this.#fail('CHECKPOINT_TENSOR', `at most ${most} numbers`, field);
      list.push(this.#integer(field));
    } while (this.#take(','));
    if (!this.#take(']')) this.#fail('CHECKPOINT_HEADER', '"," or "]"', field);
    return list;
  }

  /** Accepts digits up to 2^53 - 1, without a sign, fraction, exponent or leading zero. */
  #integer(field: string): number {
    const token = this.#token();
    const value = /^(0|[1-9][0-9]{0,15})$/.test(token) ? Number(token) : -1;
    if (!Number.isSafeInteger(value) || value < 0) {
      this.#fail('CHECKPOINT_TENSOR', 'an integer from 0 to 2^53 - 1', field);
    }
    this.#at += token.length;
    return value;
  }

  #string(code: string, field = ''): string {
    const text = this.#text;
    const start = this.#at;
    if (text.charCodeAt(start) !== QUOTE) this.#fail(code, 'a string', field);
    let escaped = false;
    let at = start + 1;
    for (; ; at++) {
      // The engine's own search is faster: the description of a model has 100,000 characters.
      SPECIAL.lastIndex = at;
      at = SPECIAL.test(text) ? SPECIAL.lastIndex - 1 : text.length;
      const unit = text.charCodeAt(at);
      if (unit === QUOTE) break;
      if (unit !== BACKSLASH) {
        // NaN (the end of the header) also gets here.
        this.#at = Math.min(at, text.length);
        this.#fail('CHECKPOINT_HEADER', 'the end of the string', field);
      }
      escaped = true;
      at++;
    }
    this.#at = at + 1;
    if (!escaped) return text.slice(start + 1, at);
    try {
      const value: string = JSON.parse(text.slice(start, at + 1));
      if (!LONE_SURROGATE.test(value)) return value;
    } catch {
      // Refused below.
    }
    this.#at = start;
    return this.#fail('CHECKPOINT_HEADER', 'a string with valid escapes', field);
  }

  /** Skips white space, then takes `character` if it is next. */
  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    for (; ; this.#at++) {
      const unit = this.#text.charCodeAt(this.#at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
    }
  }

  /** The text at the cursor up to a delimiter, at most 24 characters: for numbers and messages. */
  #token(): string {
    const pattern = /[^\s,:\]}]{0,24}/y;
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] || this.#text.slice(this.#at, this.#at + 1);
  }

  #duplicate(key: string, start: number): never {
    this.#at = start;
    return this.#refuse('CHECKPOINT_HEADER', `expected each key once, found ${quote(key)} twice`);
  }

  #fail(code: string, expected: string, field = ''): never {
    const found = this.#at < this.#text.length ? escapeInvisible(this.#token()) : 'the end of the header';
    return this.#refuse(code, `${field}expected ${expected}, found ${found}`);
  }

  #refuse(code: string, message: string): never {
    const owner = this.#owner ? `${this.#owner.kind} ${quote(this.#owner.key)}` : 'header';
    const offset = HEADER_START + new TextEncoder().encode(this.#text.slice(0, this.#at)).length;
    throw new CheckpointError(code, `${this.#file}: ${owner}: ${message} (at byte ${offset})`);
  }
}

/** The characters that end a run of plain characters in a string. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON allows none of them
const SPECIAL = /["\\\u0000-\u001f]/g;

/**
 * Half of a surrogate pair. JSON can escape one but UTF-8 cannot encode it, so a name with one
 * could not be written back.
 */
export const LONE_SURROGATE = /\p{Surrogate}/u;

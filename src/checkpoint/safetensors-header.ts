/**
 * The JSON header of a safetensors file, parsed by its own schema rather than with `JSON.parse`: that would hide
 * duplicate keys, build prototypes from a tensor called `__proto__`, and nest as deep as the file says. The
 * grammar below has a fixed depth of three, looks at every character once, and knows the offset of what it refuses.
 */

import { CheckpointError } from '../errors.js';

/** One tensor as the header declares it. Offsets are bytes from the start of the data. Nothing is checked but its form. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** The parsed header: `metadata` has no prototype, so that every key a file may hold is only a key. */
export interface Header {
  readonly metadata: Record<string, string>;
  readonly entries: readonly HeaderEntry[];
}

/** The key of the string map that a header may hold beside its tensors. */
export const METADATA_KEY = '__metadata__';

/** More dimensions than any tensor has (NumPy stops at 64): bounds what one entry can make us allocate. */
export const MAX_RANK = 64;

/**
 * More tensors, or metadata keys, than any checkpoint of one model has. A tensor costs some 900 bytes and 6 us here
 * against 50 bytes in a header: without this a header of the permitted length takes 1.7 GB and 12 s.
 */
export const MAX_KEYS = 100_000;

/** What ends a run of plain characters in a string. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON allows none of them
const SPECIAL = /["\\\u0000-\u001f]/g;
/** Half of a surrogate pair: JSON can escape one, UTF-8 cannot hold it, so such a name would not survive a rewrite. */
export const LONE_SURROGATE = /\p{Surrogate}/u;

/** Bytes before the header: its length as a u64. */
export const HEADER_START = 8;

/** A name from an untrusted file as it may stand in a message: quoted, on one line, at most 80 characters. */
export function quoted(name: string): string {
  return printable(JSON.stringify(name.slice(0, 80))) + (name.length > 80 ? '...' : '');
}

/** Control and other invisible characters as escapes, so that a file cannot write to somebody's terminal. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/**
 * Parses the header of a safetensors file.
 *
 * @param text the header decoded from UTF-8, with its padding
 * @param file how messages name the file
 * @returns the metadata and the tensors in the header's order
 * @throws CheckpointError `CHECKPOINT_HEADER` where it is not JSON, not an object, repeats a key, or the metadata is
 *   not a string map; `CHECKPOINT_TENSOR` where an entry is not exactly `{dtype, shape, data_offsets}`
 */
export function parseHeader(text: string, file: string): Header {
  return new HeaderParser(text, file).header();
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

class HeaderParser {
  #at = 0;
  /** The tensor or metadata key whose value is being parsed. Messages are put together only when one is due. */
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
    if (this.#at < this.#text.length) this.#fail('CHECKPOINT_HEADER', 'nothing but spaces after the header');
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
    if (dtype === undefined) return this.#refuse('CHECKPOINT_TENSOR', 'dtype is missing');
    if (shape === undefined) return this.#refuse('CHECKPOINT_TENSOR', 'shape is missing');
    const [begin, end] = offsets ?? this.#refuse('CHECKPOINT_TENSOR', 'data_offsets is missing');
    if (begin === undefined || end === undefined) {
      return this.#refuse(
        'CHECKPOINT_TENSOR',
        'data_offsets: expected [begin, end], found less than 2 numbers',
      );
    }
    return { name, dtype, shape, begin, end };
  }

  /** `member` parses the value of one key, which started at `start`, and refuses duplicates. */
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
      if (!this.#take(':')) this.#fail('CHECKPOINT_HEADER', '":"', `after ${quoted(key)}: `);
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

  /** Digits alone: a sign, a fraction, an exponent or a leading zero is refused, and so is more than 2^53 - 1. */
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
      // by the engine's own search: the description of a model is a string of 100,000 characters
      SPECIAL.lastIndex = at;
      at = SPECIAL.test(text) ? SPECIAL.lastIndex - 1 : text.length;
      const unit = text.charCodeAt(at);
      if (unit === QUOTE) break;
      if (unit !== BACKSLASH) {
        // NaN, the end of the header, comes here too.
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

  /** What stands at the cursor, for numbers and for messages: up to a delimiter and no longer than 24 characters. */
  #token(): string {
    const pattern = /[^\s,:\]}]{0,24}/y;
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] || this.#text.slice(this.#at, this.#at + 1);
  }

  #duplicate(key: string, start: number): never {
    this.#at = start;
    return this.#refuse('CHECKPOINT_HEADER', `duplicate key ${quoted(key)}`);
  }

  #fail(code: string, expected: string, field = ''): never {
    const found = this.#at < this.#text.length ? printable(this.#token()) : 'the end of the header';
    return this.#refuse(code, `${field}expected ${expected}, found ${found}`);
  }

  #refuse(code: string, message: string): never {
    const owner = this.#owner ? `${this.#owner.kind} ${quoted(this.#owner.key)}` : 'header';
    const offset = HEADER_START + new TextEncoder().encode(this.#text.slice(0, this.#at)).length;
    throw new CheckpointError(code, `${this.#file}: ${owner}: ${message} (at byte ${offset})`);
  }
}

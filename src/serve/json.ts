import { Problem } from './problem.js';
import { SLICE, type Sliced } from './slices.js';

const QUOTE = 34;
const BACKSLASH = 92;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Most bytes of a string other than base64. */
const MAX_DECODED = 2 ** 16;

/** A string of a document in its source form, decoded on demand. */
export class JsonText {
  /** @param quoted with its quotes */
  constructor(private readonly quoted: Uint8Array) {}

  /** The content between the quotes. */
  get raw(): Uint8Array {
    return this.quoted.subarray(1, -1);
  }

  /**
   * The text; only the start of a long one, in its source form.
   *
   * @throws Problem 400 `JSON`
   */
  toString(): string {
    if (this.quoted.length > MAX_DECODED) return new TextDecoder().decode(this.quoted.subarray(1, 1000));
    return orNoJson(() => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(this.quoted)));
  }
}

/** A document whose strings are `JsonText`. Members are named by their numbers in `names`. */
export interface JsonDocument {
  readonly value: unknown;
  readonly names: ReadonlyMap<string, JsonText>;
}

/**
 * Reads JSON with long strings and little else. `JSON.parse` takes seconds for 10 MB of brackets.
 * Here it gets only the text outside the strings, with a number in place of each string.
 *
 * @param most the most characters outside the strings; a run of blanks counts once
 * @returns undefined if there are more and they are a list
 * @throws Problem 400 `JSON`
 */
export function* readJsonDocument(bytes: Uint8Array, most: number): Sliced<JsonDocument | undefined> {
  const texts: JsonText[] = [];
  let outside = '';
  for (let at = BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte) ? 3 : 0; at < bytes.length; ) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      const end = yield* endOfText(bytes, at);
      outside += `"${texts.length}"`;
      texts.push(new JsonText(bytes.subarray(at, end)));
      at = end;
    } else if (isBlank(byte)) {
      outside += ' ';
      for (let slice = at + SLICE; isBlank(bytes[at]); at++) {
        if (at === slice) {
          slice += SLICE;
          yield;
        }
      }
    } else {
      outside += String.fromCharCode(byte);
      at++;
    }
    if (outside.length > most) {
      if (/^ ?\{ ?"\d+" ?: ?\[[ ",\d]*$/.test(outside)) return undefined;
      const message = `body: expected at most ${most} characters outside the strings, found more`;
      throw new Problem(400, 'JSON', message);
    }
  }
  const names = new Map(texts.map((text, i) => [String(i), text]));
  const value = orNoJson(() =>
    JSON.parse(outside, (_, value) => (typeof value === 'string' ? names.get(value) : value)),
  );
  return { value, names };
}

function isBlank(byte: number | undefined): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9;
}

/** The position after the quote that ends a string. */
function* endOfText(bytes: Uint8Array, start: number): Sliced<number> {
  let at = start + 1;
  for (let slice = at + SLICE; at < bytes.length && bytes[at] !== QUOTE; slice += SLICE) {
    const end = Math.min(bytes.length, slice);
    while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
    if (at >= slice) yield;
  }
  if (at < bytes.length) return at + 1;
  throw noJson();
}

function orNoJson<T>(parse: () => T): T {
  try {
    return parse();
  } catch {
    throw noJson();
  }
}

function noJson(): Problem {
  return new Problem(400, 'JSON', 'body: expected JSON in UTF-8, found other bytes');
}

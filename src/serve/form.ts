import { make, type PartInfo } from 'multipasta';
import { formatValue } from '../text/format-value.js';
import { type HeaderValue, parseHeaderValue } from './header-value.js';
import { Problem } from './problem.js';
import { SLICE, type Sliced } from './slices.js';

/** One part of a form. */
export interface FormPart {
  readonly name: string;
  /** The file's name; undefined for text. */
  readonly filename: string | undefined;
  readonly bytes: Uint8Array;
}

/**
 * Reads the parts of a `multipart/form-data` body, with the same result in every runtime: quoted
 * and bare names, `filename*`, text before and after the parts. Refuses ambiguous forms: lines that
 * end without CR, folded headers, and parts that are nameless, encoded or nested.
 *
 * @param type the parsed `content-type`
 * @param most the largest number of parts
 * @returns undefined if there are more
 * @throws Problem 400 `FORM`
 */
export function* parseForm(
  type: HeaderValue,
  body: Uint8Array,
  most: number,
): Sliced<FormPart[] | undefined> {
  const boundary = type.parameters.get('boundary');
  if (boundary === undefined || !/^(?=.{1,70}$)[ !#-[\]-~]*[!#-[\]-~]$/.test(boundary)) {
    throw refused(
      'content-type',
      'a boundary of 1 to 70 ASCII characters',
      boundary === undefined ? 'none' : formatValue(boundary),
    );
  }
  const places = yield* delimited(body, boundary, most);
  if (places === undefined) return undefined;
  const names: Pick<FormPart, 'name' | 'filename'>[] = [];
  const parser = make({
    headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` },
    isFile: () => true,
    onField() {},
    onFile(info) {
      names.push(nameOf(info));
      return () => {};
    },
    onError(error) {
      const found = error._tag === 'BadHeaders' ? BAD_HEADERS[error.error.reason] : 'none with a name';
      throw refused('part', 'content-disposition, a blank line and a body', found);
    },
    onDone() {},
  });
  // the parser gets only headers: it would search and copy bodies
  const delimiter = new TextEncoder().encode(`\r\n--${boundary}`);
  const bodies: Uint8Array[] = [];
  let read = 0;
  try {
    for (const { start, end } of places) {
      if (++read % HEADS_EACH_SLICE === 0) yield;
      const part = body.subarray(start, end);
      const length = endOfHead(part);
      parser.write(delimiter);
      parser.write(CR_LF);
      parser.write(part.subarray(0, length ?? MAX_HEAD));
      if (length !== undefined) bodies.push(part.subarray(length));
    }
    parser.write(delimiter);
    parser.write(DASHES);
  } catch (error) {
    throw error instanceof URIError ? refused('part', EXTENDED, 'other escapes') : error;
  }
  if (names.length !== places.length || bodies.length !== places.length) {
    throw refused('part', 'headers, a blank line and a body', 'one without them');
  }
  return names.map((named, i) => ({ ...named, bytes: bodies[i]! }));
}

const CR_LF = new TextEncoder().encode('\r\n');
const DASHES = new TextEncoder().encode('--');

/** The parser accepts 16 KiB of headers. */
const MAX_HEAD = 2 ** 14 + 10;

/** Bytes that cost more than others to parse. */
const HEADS_EACH_SLICE = 16;

/** The start of a part's body. */
function endOfHead(part: Uint8Array): number | undefined {
  const end = Math.min(part.length, MAX_HEAD) - 3;
  for (let i = 0; i < end; i++) {
    if (part[i] === 13 && part[i + 1] === 10 && part[i + 2] === 13 && part[i + 3] === 10) return i + 4;
  }
  return undefined;
}

const BAD_HEADERS = {
  InvalidHeaderName: 'a folded or damaged header',
  InvalidHeaderValue: 'a damaged header',
  HeaderTooLarge: 'headers of more than 16384 bytes',
  TooManyHeaders: 'more than 100 headers',
} as const;

/**
 * The positions of the parts, without their delimiters. Each delimiter must be its own line: the
 * parser accepts anything after a delimiter.
 *
 * @returns undefined if there are more than `most`
 */
function* delimited(
  body: Uint8Array,
  boundary: string,
  most: number,
): Sliced<{ start: number; end: number }[] | undefined> {
  const delimiter = new TextEncoder().encode(`--${boundary}`);
  const places: { start: number; end: number }[] = [];
  let slice = SLICE;
  for (let line = 0; line < body.length; line = nextDash(body, line, slice)) {
    if (line >= slice) {
      slice = line + SLICE;
      yield;
    }
    if (!startsWith(body, delimiter, line)) continue;
    const last = places.at(-1);
    if (last !== undefined) last.end = Math.max(last.start, line - 2);
    const end = line + delimiter.length;
    const rest = String.fromCharCode(...body.subarray(end, end + 80));
    if (/^--[ \t]*(\r\n|$)/.test(rest)) return places;
    if (!rest.startsWith('\r\n')) break;
    if (places.length === most) return undefined;
    places.push({ start: end + 2, end: body.length });
  }
  throw refused(
    'body',
    'parts between boundary lines, with CR LF line ends and a last boundary',
    'another form',
  );
}

const DASH = 45;

/** The next line that begins with a dash, or `end` if that comes first. Lines end with CR LF. */
function nextDash(body: Uint8Array, from: number, end: number): number {
  const last = Math.min(body.length, Math.max(end, from + 2));
  for (let i = from + 2; i < last; i++) {
    if (body[i] === DASH && body[i - 1] === 10 && body[i - 2] === 13) return i;
  }
  return last;
}

function startsWith(body: Uint8Array, text: Uint8Array, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (body[at + i] !== text[i]) return false;
  return true;
}

/**
 * The name of a part. @throws Problem 400 `FORM` for an encoded or nested part, and for two names
 */
function nameOf({ headers }: PartInfo): Pick<FormPart, 'name' | 'filename'> {
  for (const name of ['content-disposition', 'content-type', ...ENCODINGS]) {
    const value = headers[name];
    if (Array.isArray(value)) throw refused('part', `one header ${name}`, String(value.length));
  }
  for (const name of ENCODINGS) {
    const encoding = headers[name] as string | undefined;
    if (encoding !== undefined && !/^(7bit|8bit|binary|identity)$/i.test(encoding.trim())) {
      throw refused('part', `no ${name}`, formatValue(encoding));
    }
  }
  const type = headers['content-type'] as string | undefined;
  if (/^\s*multipart\//i.test(type ?? '')) throw refused('part', 'a file or a text', formatValue(type));
  const header = headers['content-disposition'] as string | undefined;
  if (header?.includes('\ufffd')) throw refused('part', 'content-disposition in UTF-8', 'other bytes');
  const disposition = parseHeaderValue(header ?? '', unquoted);
  const name = disposition && parameter(disposition, 'name');
  if (disposition?.value !== 'form-data' || name === undefined) {
    throw refused(
      'part',
      'content-disposition: form-data with a name',
      header === undefined ? 'none' : formatValue(header),
    );
  }
  return { name, filename: parameter(disposition, 'filename') };
}

/** Headers that name an encoding of the body. */
const ENCODINGS = ['content-transfer-encoding', 'content-encoding'];

/**
 * Decodes a quoted name: browsers write `%22` for a quote, other clients `\"`; other backslashes
 * stay.
 */
function unquoted(quoted: string): string {
  return quoted.replace(/\\(["\\])|%(22|0d|0a)/gi, (_, escaped: string | undefined, code: string) =>
    escaped === undefined ? String.fromCharCode(Number.parseInt(code, 16)) : escaped,
  );
}

/** A parameter; its extended form of RFC 8187 takes precedence. @throws Problem 400 `FORM` */
function parameter({ parameters }: HeaderValue, key: string): string | undefined {
  if ([...parameters.keys()].some((other) => other.startsWith(`${key}*`) && other !== `${key}*`)) {
    throw refused('part', `${key} as one parameter`, 'pieces of it');
  }
  const extended = parameters.get(`${key}*`);
  if (extended === undefined) return parameters.get(key);
  const encoded = /^utf-8'[^']*'(.*)$/is.exec(extended)?.[1];
  if (encoded === undefined) throw refused('part', EXTENDED, formatValue(extended));
  return decodeURIComponent(encoded);
}

const EXTENDED = "UTF-8''name in %-escapes";

function refused(place: string, expected: string, found: string): Problem {
  return new Problem(400, 'FORM', `${place}: expected ${expected}, found ${found}`);
}

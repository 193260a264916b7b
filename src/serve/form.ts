import { make, type PartInfo } from 'multipasta';
import { shown } from '../checkpoint/shown.js';
import { joined } from '../platform/joined.js';
import { type HeaderValue, parseHeaderValue } from './header-value.js';
import { Problem } from './problem.js';

/** One part of a form. */
export interface Part {
  readonly name: string;
  /** The name of a file; undefined for a text. */
  readonly filename: string | undefined;
  readonly bytes: Uint8Array;
}

/**
 * Reads the parts of a `multipart/form-data` body, alike in every runtime: quoted and bare names, `filename*`, text before and after the
 * parts. It refuses what could be read in two ways: lines that end without CR, folded headers, and parts that are nameless, encoded or nested.
 *
 * @param type the parsed `content-type`
 * @param most the largest number of parts
 * @returns undefined if there are more
 * @throws Problem 400 `FORM`
 */
export function parseForm(type: HeaderValue, body: Uint8Array, most: number): Part[] | undefined {
  const boundary = type.parameters.get('boundary');
  if (boundary === undefined || !/^(?=.{1,70}$)[ !#-[\]-~]*[!#-[\]-~]$/.test(boundary)) {
    throw refused(
      'content-type',
      'a boundary of 1 to 70 ASCII characters',
      boundary === undefined ? 'none' : shown(boundary),
    );
  }
  const message = framed(body, boundary, most);
  if (message === undefined) return undefined;
  const parts: Part[] = [];
  const parser = make({
    headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` },
    isFile: () => true,
    onField() {},
    onFile(info) {
      const named = nameOf(info);
      const chunks: Uint8Array[] = [];
      let length = 0;
      return (chunk) => {
        if (chunk === null) {
          parts.push({ ...named, bytes: chunks.length === 1 ? chunks[0]! : joined(chunks, length) });
        } else {
          chunks.push(chunk);
          length += chunk.length;
        }
      };
    },
    onError(error) {
      const found = error._tag === 'BadHeaders' ? BAD_HEADERS[error.error.reason] : 'none with a name';
      throw refused('part', 'content-disposition, a blank line and a body', found);
    },
    onDone() {},
  });
  try {
    parser.write(message.bytes);
  } catch (error) {
    throw error instanceof URIError ? refused('part', EXTENDED, 'other escapes') : error;
  }
  if (parts.length !== message.parts) {
    throw refused('part', 'headers, a blank line and a body', 'one without them');
  }
  return parts;
}

const BAD_HEADERS = {
  InvalidHeaderName: 'a folded or damaged header',
  InvalidHeaderValue: 'a damaged header',
  HeaderTooLarge: 'headers of more than 16384 bytes',
  TooManyHeaders: 'more than 100 headers',
} as const;

/**
 * The body from its first delimiter to its last. Each must be a line of its own: the parser accepts anything after a delimiter.
 *
 * @returns undefined if there are more than `most` parts
 */
function framed(
  body: Uint8Array,
  boundary: string,
  most: number,
): { bytes: Uint8Array; parts: number } | undefined {
  const delimiter = new TextEncoder().encode(`--${boundary}`);
  let parts = 0;
  let first: number | undefined;
  for (let line = 0; line !== NONE; line = nextLine(body, line)) {
    if (body[line] !== DASH || !delimiter.every((byte, i) => body[line + i] === byte)) continue;
    first ??= line;
    const end = line + delimiter.length;
    const rest = String.fromCharCode(...body.subarray(end, end + 80));
    if (/^--[ \t]*(\r\n|$)/.test(rest)) return { bytes: body.subarray(first, end + 2), parts };
    if (!rest.startsWith('\r\n')) break;
    if (++parts > most) return undefined;
  }
  throw refused(
    'body',
    'parts between boundary lines, with CR LF line ends and a last boundary',
    'another form',
  );
}

const DASH = 45;
const NONE = -1;

/** Start of the next line: after CR LF, the only line end of a form. */
function nextLine(body: Uint8Array, from: number): number {
  for (let at = from; ; ) {
    at = body.indexOf(10, at) + 1;
    if (at === 0) return NONE;
    if (body[at - 2] === 13) return at;
  }
}

/** The name of a part. @throws Problem 400 `FORM` for an encoded or nested part, and for two names */
function nameOf({ headers }: PartInfo): Pick<Part, 'name' | 'filename'> {
  for (const name of ['content-disposition', 'content-type', ...ENCODINGS]) {
    const value = headers[name];
    if (Array.isArray(value)) throw refused('part', `one header ${name}`, String(value.length));
  }
  for (const name of ENCODINGS) {
    const encoding = headers[name] as string | undefined;
    if (encoding !== undefined && !/^(7bit|8bit|binary|identity)$/i.test(encoding.trim())) {
      throw refused('part', `no ${name}`, shown(encoding));
    }
  }
  const type = headers['content-type'] as string | undefined;
  if (/^\s*multipart\//i.test(type ?? '')) throw refused('part', 'a file or a text', shown(type));
  const header = headers['content-disposition'] as string | undefined;
  if (header?.includes('\ufffd')) throw refused('part', 'content-disposition in UTF-8', 'other bytes');
  const disposition = parseHeaderValue(header ?? '', unquoted);
  const name = disposition && parameter(disposition, 'name');
  if (disposition?.value !== 'form-data' || name === undefined) {
    throw refused(
      'part',
      'content-disposition: form-data with a name',
      header === undefined ? 'none' : shown(header),
    );
  }
  return { name, filename: parameter(disposition, 'filename') };
}

/** Headers that name an encoding of the body. */
const ENCODINGS = ['content-transfer-encoding', 'content-encoding'];

/** Decodes a quoted name: browsers write `%22` for a quote, other clients `\"`; any other backslash belongs to the name. */
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
  if (encoded === undefined) throw refused('part', EXTENDED, shown(extended));
  return decodeURIComponent(encoded);
}

const EXTENDED = "UTF-8''name in %-escapes";

function refused(place: string, expected: string, found: string): Problem {
  return new Problem(400, 'FORM', `${place}: expected ${expected}, found ${found}`);
}

import { shownSource } from '../platform/address.js';
import { formatValue } from '../text/format-value.js';
import { fromBase64 } from './base64.js';
import { parseForm } from './form.js';
import { type HeaderValue, parseHeaderValue } from './header-value.js';
import { JsonText, readJsonDocument } from './json.js';
import { Problem } from './problem.js';
import { runAtOnce, type Sliced } from './slices.js';

/** An image of a request: its bytes, or their address. */
export interface Posted {
  /** Name of its file, if the client sends it. */
  readonly name?: string;
  readonly source: Uint8Array | URL;
}

/** The content of a request. */
export interface Asked {
  readonly images: readonly Posted[];
  /** How many classes per image, if stated. */
  readonly top: number | undefined;
}

/** The content types of a body that is an image, for the documents. */
export const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'application/octet-stream'] as const;

/** More classes than any model has. */
export const MAX_TOP = 1_000_000;

/** Types of bodies that are an image, including curl's for `--data-binary` and none at all. */
const RAW = /^(image\/[\w.+-]+|application\/octet-stream|application\/x-www-form-urlencoded|)$/;

/**
 * The images in a body: the body itself, files of a form, or strings of a JSON document. Counts
 * them before it decodes any.
 *
 * @throws Problem 415 `CONTENT_TYPE`, 400 `FORM`, `JSON`, `BASE64`, `TOP`, `IMAGES`,
 *   `TOO_MANY_IMAGES`
 */
export function readImages(type: string, body: Uint8Array, maxImages: number): Asked {
  return runAtOnce(readImagesInSlices(type, body, maxImages));
}

/** Like `readImages`, in slices. */
export function* readImagesInSlices(type: string, body: Uint8Array, maxImages: number): Sliced<Asked> {
  const kind = type.split(';', 1)[0]!.trim().toLowerCase();
  if (RAW.test(kind)) return { images: [{ source: body }], top: undefined };
  const parsed = parseHeaderValue(type);
  if (parsed === undefined || !['multipart/form-data', 'application/json'].includes(kind)) {
    throw notTaken('an image, multipart/form-data or application/json', formatValue(type));
  }
  const charset = parsed.parameters.get('charset') ?? 'utf-8';
  if (!/^(utf-?8|us-ascii)$/i.test(charset)) throw notTaken('charset utf-8', formatValue(charset));
  return yield* kind === 'application/json' ? readJson(body, maxImages) : readForm(parsed, body, maxImages);
}

function notTaken(expected: string, found: string): Problem {
  return new Problem(415, 'CONTENT_TYPE', `content-type: expected ${expected}, found ${found}`);
}

/** How many classes a client wants. @throws Problem 400 `TOP` */
export function topOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const top = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (Number.isSafeInteger(top) && (top as number) >= 1 && (top as number) <= MAX_TOP) return top as number;
  throw new Problem(400, 'TOP', `top: expected an integer from 1 to ${MAX_TOP}, found ${formatValue(value)}`);
}

function* readForm(type: HeaderValue, body: Uint8Array, maxImages: number): Sliced<Asked> {
  const parts = yield* parseForm(type, body, maxImages + 1);
  if (parts === undefined) throw tooMany(maxImages, 'more parts');
  const images: Posted[] = [];
  let top: number | undefined;
  for (const { name, filename, bytes } of parts) {
    if (name === 'image' && filename !== undefined) images.push({ name: filename, source: bytes });
    else if (name === 'top' && filename === undefined && top === undefined) {
      // every charset that extends ASCII has the same digits
      top = topOf(new TextDecoder().decode(bytes));
    } else {
      const kind = filename === undefined ? 'a text' : 'a file';
      const found = name === 'top' && top !== undefined ? 'a second "top"' : `${kind} ${formatValue(name)}`;
      throw new Problem(400, 'FORM', `form: expected files "image" and one text "top", found ${found}`);
    }
  }
  return { images: some(images, maxImages), top };
}

function* readJson(body: Uint8Array, maxImages: number): Sliced<Asked> {
  const read = yield* readJsonDocument(body, 1024 + 16 * maxImages);
  if (read === undefined) throw tooMany(maxImages, 'more');
  const { value: document, names } = read;
  if (
    typeof document !== 'object' ||
    document === null ||
    Array.isArray(document) ||
    document instanceof JsonText
  ) {
    throw new Problem(400, 'JSON', 'body: expected an object { images, top }, found another value');
  }
  const members = Object.entries(document).map(([i, value]) => [String(names.get(i)), value] as const);
  const other = members.find(([name]) => name !== 'images' && name !== 'top');
  if (other !== undefined) {
    throw new Problem(
      400,
      'JSON',
      `body: expected the members images and top, found ${formatValue(other[0])}`,
    );
  }
  const { images, top } = Object.fromEntries(members) as Record<string, unknown>;
  if (members.length > Number(images !== undefined) + Number(top !== undefined)) {
    throw new Problem(400, 'JSON', 'body: expected each member once, found one twice');
  }
  if (!Array.isArray(images)) {
    throw new Problem(400, 'IMAGES', `images: expected a list, found ${shownJson(images)}`);
  }
  if (top instanceof JsonText) {
    throw new Problem(400, 'TOP', `top: expected an integer, found ${shownJson(top)}`);
  }
  const posted: Posted[] = [];
  for (const [i, text] of some(images, maxImages).entries()) {
    posted.push({ source: yield* fromText(text, `images[${i}]`) });
    yield;
  }
  return { images: posted, top: topOf(top) };
}

function shownJson(value: unknown): string {
  const text = (one: unknown) => (one instanceof JsonText ? String(one) : one);
  return formatValue(Array.isArray(value) ? value.slice(0, 5).map(text) : text(value));
}

function some<T>(images: T[], maxImages: number): T[] {
  if (images.length === 0) throw new Problem(400, 'IMAGES', 'images: expected at least one, found none');
  if (images.length > maxImages) throw tooMany(maxImages, String(images.length));
  return images;
}

function tooMany(maxImages: number, found: string): Problem {
  return new Problem(400, 'TOO_MANY_IMAGES', `images: expected at most ${maxImages}, found ${found}`);
}

/** Base64, bare or in a `data:` URL, or an address. */
function* fromText(text: unknown, name: string): Sliced<Uint8Array | URL> {
  if (!(text instanceof JsonText)) {
    throw new Problem(400, 'IMAGES', `${name}: expected base64 or an address, found ${shownJson(text)}`);
  }
  const { raw } = text;
  const start = DATA_URL.exec(String.fromCharCode(...raw.subarray(0, 256)))?.[0].length ?? 0;
  const bytes = yield* fromBase64(raw.subarray(start));
  if (bytes !== undefined) return bytes;
  const decoded = String(text);
  if (/^https?:/i.test(decoded)) {
    if (raw.length <= MAX_ADDRESS) return address(decoded, name);
    const message = `${name}: expected an address of at most ${MAX_ADDRESS} bytes, found ${raw.length}`;
    throw new Problem(400, 'URL', message);
  }
  throw new Problem(400, 'BASE64', `${name}: expected base64, found ${formatValue(decoded)}`);
}

/** The start of a `data:` URL, in JSON. */
const DATA_URL = /^data:[\w.+/\\-]*;base64,/;

/** Most bytes of an address: longer ones are slow to read, and no server accepts them. */
const MAX_ADDRESS = 8192;

function address(text: string, name: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new Problem(400, 'URL', `${name}: expected an address, found ${formatValue(shownSource(text))}`);
  }
}

import { shown } from '../checkpoint/shown.js';
import { shownSource } from '../platform/address.js';
import { parseForm } from './form.js';
import { type HeaderValue, parseHeaderValue } from './header-value.js';
import { Problem } from './problem.js';

/** An image of a request: its bytes, or where they are to be fetched from. */
export interface Posted {
  /** Of its file, where the client tells. */
  readonly name?: string;
  readonly source: Uint8Array | URL;
}

/** What a client asks for. */
export interface Asked {
  readonly images: readonly Posted[];
  /** How many classes of each; undefined where it does not say. */
  readonly top: number | undefined;
}

/** The types of a body that is an image, as the documents name them. */
export const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'application/octet-stream'] as const;

/** More classes than any model has. */
export const MAX_TOP = 1_000_000;

/** Bodies that are an image as they are: also what curl says of `--data-binary`, and a body without a type. */
const RAW = /^(image\/[\w.+-]+|application\/octet-stream|application\/x-www-form-urlencoded|)$/;

/**
 * The images in a body: itself one, files of a form, or strings of a JSON document. They are counted before anything is made of them.
 *
 * @throws Problem 415 `CONTENT_TYPE`, 400 `FORM`, `JSON`, `BASE64`, `TOP`, `IMAGES`, `TOO_MANY_IMAGES`
 */
export function readImages(type: string, body: Uint8Array, maxImages: number): Asked {
  const kind = type.split(';', 1)[0]!.trim().toLowerCase();
  if (RAW.test(kind)) return { images: [{ source: body }], top: undefined };
  const parsed = parseHeaderValue(type);
  if (parsed === undefined || !['multipart/form-data', 'application/json'].includes(kind)) {
    throw notTaken('an image, multipart/form-data or application/json', shown(type));
  }
  const charset = parsed.parameters.get('charset') ?? 'utf-8';
  if (!/^(utf-?8|us-ascii)$/i.test(charset)) throw notTaken('charset utf-8', shown(charset));
  return kind === 'application/json' ? readJson(body, maxImages) : readForm(parsed, body, maxImages);
}

function notTaken(expected: string, found: string): Problem {
  return new Problem(415, 'CONTENT_TYPE', `content-type: expected ${expected}, found ${found}`);
}

/** How many classes a client wants. @throws Problem 400 `TOP` */
export function topOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const top = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (Number.isSafeInteger(top) && (top as number) >= 1 && (top as number) <= MAX_TOP) return top as number;
  throw new Problem(400, 'TOP', `top: expected an integer from 1 to ${MAX_TOP}, found ${shown(value)}`);
}

function readForm(type: HeaderValue, body: Uint8Array, maxImages: number): Asked {
  const parts = parseForm(type, body, maxImages + 1);
  if (parts === undefined) throw tooMany(maxImages, 'more parts');
  const images: Posted[] = [];
  let top: number | undefined;
  for (const { name, filename, bytes } of parts) {
    if (name === 'image' && filename !== undefined) images.push({ name: filename, source: bytes });
    else if (name === 'top' && filename === undefined && top === undefined) {
      top = topOf(new TextDecoder().decode(bytes)); // digits, which are the same in every charset that is ASCII below 128
    } else {
      const kind = filename === undefined ? 'a text' : 'a file';
      const found = name === 'top' && top !== undefined ? 'a second "top"' : `${kind} ${shown(name)}`;
      throw new Problem(400, 'FORM', `form: expected files "image" and one text "top", found ${found}`);
    }
  }
  return { images: some(images, maxImages), top };
}

function readJson(body: Uint8Array, maxImages: number): Asked {
  const { text, value: document } = parse(body);
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new Problem(400, 'JSON', 'body: expected an object { images, top }, found another value');
  }
  const { images, top } = document as Record<string, unknown>;
  const other = Object.keys(document).find((key) => key !== 'images' && key !== 'top');
  if (other !== undefined) {
    throw new Problem(400, 'JSON', `body: expected the members images and top, found ${shown(other)}`);
  }
  if (!Array.isArray(images))
    throw new Problem(400, 'IMAGES', `images: expected a list, found ${shown(images)}`);
  if (typeof top === 'string') throw new Problem(400, 'TOP', `top: expected an integer, found ${shown(top)}`);
  const posted = some(images, maxImages).map((text, i) => ({ source: fromText(text, `images[${i}]`) }));
  // JSON.parse silently keeps the last of repeated members; in this flat document a quote before a colon ends a name
  if (text.match(/(?<!\\)"\s*:/g)!.length !== Object.keys(document).length) {
    throw new Problem(400, 'JSON', 'body: expected each member once, found one twice');
  }
  return { images: posted, top: topOf(top) };
}

/** @throws Problem 400 `JSON` */
function parse(body: Uint8Array): { text: string; value: unknown } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    return { text, value: JSON.parse(text) };
  } catch {
    throw new Problem(400, 'JSON', 'body: expected JSON in UTF-8, found other bytes');
  }
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
function fromText(text: unknown, name: string): Uint8Array | URL {
  if (typeof text !== 'string') {
    throw new Problem(400, 'IMAGES', `${name}: expected base64 or an address, found ${shown(text)}`);
  }
  if (/^https?:/i.test(text)) return address(text, name);
  const base64 = text.replace(/^data:[\w.+/-]*;base64,/, '');
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    throw new Problem(400, 'BASE64', `${name}: expected base64, found ${shown(text)}`);
  }
}

function address(text: string, name: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new Problem(400, 'URL', `${name}: expected an address, found ${shown(shownSource(text))}`);
  }
}

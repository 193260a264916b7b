/** The commit and the files of a model, as the hub tells them; nothing of it is trusted. */

import { shown } from '../checkpoint/shown.js';
import { FqvitError, HubError } from '../errors.js';
import { type Connection, get } from './http.js';
import { persist } from './persist.js';

export interface ListedFile {
  /** Name in the repository, with `/` between folders. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What git knows the file by: the SHA-1 of its bytes as a blob, or of the pointer that stands for it in LFS. */
  readonly oid: string;
  /** Of its bytes, where they are kept in LFS. */
  readonly sha256: string | undefined;
  /** Another name of the bytes in the hub's storage; only kept for other tools. */
  readonly xetHash: string | undefined;
}

/** The names are the hub's, so that a cached listing and an answer are checked alike. */
interface RawFile {
  path: unknown;
  size: unknown;
  oid: unknown;
  lfs?: { oid: unknown; size: unknown } | null | undefined;
  xetHash?: unknown;
}

const SHA1 = /^[0-9a-f]{40}$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** Of all pages of a listing, of which one of 1,000 files is some 300 kB. */
const MAX_ANSWER_BYTES = 2 ** 26;
/** Also what a listing may hold. The largest models have some thousands. */
const MAX_FILES = 100_000;

export function isCommit(text: unknown): text is string {
  return matches(SHA1, text);
}

/** The commit that the revision names now: one request. @throws HubError */
export async function askCommit(connection: Connection): Promise<string> {
  const { name, revision } = connection.id;
  const what = `${name}@${revision}`;
  const { modelInfo } = await library();
  const { sha } = await understood(what, connection, () =>
    modelInfo({
      name,
      revision,
      additionalFields: ['sha'],
      hubUrl: connection.endpoint,
      fetch: jsonFetch(what, connection),
    }),
  );
  if (isCommit(sha)) return sha;
  throw new HubError(
    'HUB_ANSWER',
    `${what}: expected a commit of 40 hexadecimal digits, found ${shown(sha)}`,
  );
}

/** All files of a commit: a request for each 1,000. @throws HubError */
export async function askFiles(commit: string, connection: Connection): Promise<ListedFile[]> {
  const { name } = connection.id;
  const what = `${name}@${commit}`;
  const { listFiles } = await library();
  return understood(what, connection, async () => {
    const files: ListedFile[] = [];
    const pages = listFiles({
      repo: { type: 'model', name },
      revision: commit,
      recursive: true,
      hubUrl: connection.endpoint,
      fetch: jsonFetch(what, connection),
    });
    for await (const entry of pages) {
      if (entry.type === 'file') files.push(checkFile(entry as RawFile, what));
      if (files.length > MAX_FILES) {
        throw new HubError('HUB_ANSWER', `${what}: expected at most ${MAX_FILES} files, found more`);
      }
    }
    return files;
  });
}

/** What its blob is called in the cache: the ETag that the hub gives it. */
export function blobName({ sha256, oid }: ListedFile): string {
  return sha256 ?? oid;
}

/** @throws HubError `HUB_ANSWER` for a name that leads elsewhere, a size or a hash that is none */
export function checkFile({ path, size, oid, lfs, xetHash }: RawFile, what: string): ListedFile {
  const expect = (valid: boolean, expected: string, found: unknown) => {
    if (!valid) throw new HubError('HUB_ANSWER', `${what}: expected ${expected}, found ${shown(found)}`);
  };
  expect(typeof path === 'string' && isSafe(path), 'names of files inside the model', path);
  const name = shown(path);
  const bytes = lfs ? lfs.size : size;
  expect(Number.isSafeInteger(bytes) && (bytes as number) >= 0, `the bytes of ${name}`, bytes);
  expect(matches(SHA1, oid), `the SHA-1 of ${name}`, oid);
  const sha256 = lfs?.oid;
  expect(!lfs || matches(SHA256, sha256), `the SHA-256 of ${name}`, sha256);
  return {
    path: path as string,
    size: bytes as number,
    oid: oid as string,
    sha256: sha256 as string | undefined,
    xetHash: matches(SHA256, xetHash) ? xetHash : undefined,
  };
}

function matches(form: RegExp, text: unknown): text is string {
  return typeof text === 'string' && form.test(text);
}

/** Stays inside its folder on every system, and is no part of git's own. */
function isSafe(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL ends a path, and none of them belongs in a name
  if (path.length > 1024 || /[\\\u0000-\u001f\u007f]/.test(path)) return false;
  return path
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && !/^(\.git$|[a-z]:)/i.test(part));
}

async function library(): Promise<typeof import('@huggingface/hub')> {
  try {
    return await import('@huggingface/hub');
  } catch (cause) {
    throw new HubError(
      'HUB_LIBRARY',
      'models of the hub: expected the package @huggingface/hub, found none; `npm install @huggingface/hub`',
      { cause },
    );
  }
}

/** What the library throws of itself is that an answer is not what it should be. */
async function understood<T>(what: string, { signal }: Connection, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof FqvitError || signal?.aborted) throw cause;
    throw new HubError('HUB_ANSWER', `${what}: expected what the hub says of a model, found something else`, {
      cause,
    });
  }
}

/** `fetch` for the library: ours, with an end to how often and how much it reads. */
function jsonFetch(what: string, connection: Connection): typeof fetch {
  let requests = 0;
  let length = 0;
  return async (url) => {
    if (++requests > MAX_FILES / 1000) {
      throw new HubError('HUB_ANSWER', `${what}: expected at most ${MAX_FILES / 1000} pages, found more`);
    }
    return persist(async () => {
      const answer = await get(String(url), { accept: 'application/json' }, what, connection);
      const parts: Uint8Array[] = [];
      for await (const part of answer.parts()) {
        length += part.length;
        if (length > MAX_ANSWER_BYTES) {
          throw new HubError('HUB_ANSWER', `${what}: expected at most ${MAX_ANSWER_BYTES} bytes, found more`);
        }
        parts.push(part);
      }
      const link = answer.headers.get('link');
      return new Response(Buffer.concat(parts), { headers: link === null ? {} : { link } });
    }, connection);
  };
}

/** The commit and the files of a model. The hub's answers are checked, not trusted. */

import { FqvitError, HubError } from '../errors.js';
import { formatValue } from '../text/format-value.js';
import { get, type HubConnection } from './http.js';
import { persist } from './persist.js';

export interface ListedFile {
  /** Name in the repository, with `/` between folders. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** The file's git id: the SHA-1 of its bytes as a blob, or of its LFS pointer. */
  readonly oid: string;
  /** SHA-256 of its bytes, if they are in LFS. */
  readonly sha256: string | undefined;
  /** Another name of the bytes in the hub's storage, kept for other tools. */
  readonly xetHash: string | undefined;
}

/** The hub's names, so that the same check reads an answer and a cached listing. */
interface RawFile {
  path: unknown;
  size: unknown;
  oid: unknown;
  lfs?: { oid: unknown; size: unknown } | null | undefined;
  xetHash?: unknown;
}

const SHA1 = /^[0-9a-f]{40}$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** For all pages of a listing. A page of 1,000 files has about 300 kB. */
const MAX_ANSWER_BYTES = 2 ** 26;
/** Most files in a listing. The largest models have a few thousand. */
const MAX_FILES = 100_000;

export function isCommit(text: unknown): text is string {
  return matches(SHA1, text);
}

/** The commit that the revision names now. Makes one request. @throws HubError */
export async function askCommit(connection: HubConnection): Promise<string> {
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
    `${what}: expected a commit of 40 hexadecimal digits, found ${formatValue(sha)}`,
  );
}

/** All files of a commit. Makes one request per 1,000 files. @throws HubError */
export async function askFiles(commit: string, connection: HubConnection): Promise<ListedFile[]> {
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

/** Name of its blob in the cache: the hub's ETag. */
export function blobName({ sha256, oid }: ListedFile): string {
  return sha256 ?? oid;
}

/** @throws HubError `HUB_ANSWER` for a name outside the folder, and an invalid size or hash */
export function checkFile({ path, size, oid, lfs, xetHash }: RawFile, what: string): ListedFile {
  const expect = (valid: boolean, expected: string, found: unknown) => {
    if (!valid)
      throw new HubError('HUB_ANSWER', `${what}: expected ${expected}, found ${formatValue(found)}`);
  };
  expect(typeof path === 'string' && isSafe(path), 'names of files inside the model', path);
  const name = formatValue(path);
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

/** Whether a name stays inside its folder on every system, and outside `.git`. */
function isSafe(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: file names contain none of them
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

/** The library's own errors mean that an answer is invalid. */
async function understood<T>(what: string, { signal }: HubConnection, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof FqvitError || signal?.aborted) throw cause;
    throw new HubError('HUB_ANSWER', `${what}: expected what the hub says of a model, found something else`, {
      cause,
    });
  }
}

/** Our `fetch` for the library, with limits on the number and size of requests. */
function jsonFetch(what: string, connection: HubConnection): typeof fetch {
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

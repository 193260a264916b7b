import { HubError } from '../errors.js';
import { type Answer, type Connection, get } from './http.js';
import { IncompleteBlob } from './incomplete.js';
import { blobName, type ListedFile } from './listing.js';
import { PassingError, persist } from './persist.js';

interface Transfer {
  readonly file: ListedFile;
  readonly blob: IncompleteBlob;
  readonly url: string;
  /** How messages name the file. */
  readonly what: string;
  readonly connection: Connection;
  readonly onLength: (length: number) => void;
  /** Of the answer that the bytes so far came with, where this process had it. */
  etag: string | undefined;
}

/**
 * Brings the bytes of one file into the cache: goes on with what an earlier attempt has left, and gives its name only to what has
 * the right hash. What has arrived stays for the next attempt, also after an abort; not what has a wrong hash.
 *
 * @param blobs folder of the cache
 * @param onLength called with the bytes that are here, which fall where an attempt starts over
 * @throws HubError `HUB_HASH`, and those of `get`; what the file system says; the reason of the connection's signal
 */
export async function download(
  file: ListedFile,
  commit: string,
  blobs: string,
  connection: Connection,
  onLength: (length: number) => void,
): Promise<void> {
  const { id, endpoint, signal } = connection;
  const name = file.path.split('/').map(encodeURIComponent).join('/');
  const blob = await IncompleteBlob.take(file, blobs, signal);
  const transfer = {
    file,
    blob,
    url: `${endpoint}/${id.name}/resolve/${commit}/${name}`,
    what: `${id.name}/${file.path}`,
    connection,
    onLength,
    etag: undefined,
  };
  try {
    await persist(() => attempt(transfer), connection);
    await blob.finish();
  } catch (error) {
    await blob.leave();
    throw error;
  }
}

async function attempt(transfer: Transfer): Promise<void> {
  const { file, blob, what, onLength } = transfer;
  onLength(blob.length);
  if (blob.length < file.size) await receive(transfer);
  const hash = blob.digest();
  if (hash === blobName(file)) return;
  const { whole } = blob;
  await blob.restart();
  const message = `${what}: expected the hash ${blobName(file)}, found ${hash}`;
  // Pieces that do not belong together say nothing about the file.
  throw whole ? new HubError('HUB_HASH', message) : new PassingError('HUB_HASH', message);
}

/** All that is missing, in one answer. */
async function receive(transfer: Transfer): Promise<void> {
  const { file, blob, url, what, connection, onLength } = transfer;
  const answer = await get(url, rangeHeaders(transfer), what, connection);
  try {
    await align(answer, transfer);
    transfer.etag = strongTag(answer);
    blob.goOn();
    for await (const part of answer.parts()) {
      if (blob.length + part.length > file.size) {
        await blob.restart();
        throw new HubError('HUB_HASH', `${what}: expected ${file.size} bytes, found more`);
      }
      await blob.append(part);
      onLength(blob.length);
    }
  } finally {
    answer.discard();
  }
  if (blob.length < file.size) {
    throw new PassingError('HUB_NETWORK', `${what}: expected ${file.size} bytes, found ${blob.length}`);
  }
}

/** What is missing, if the file is still what it was. Uncompressed: the bytes are counted. */
function rangeHeaders({ blob, etag }: Transfer): Record<string, string> {
  const headers = { 'accept-encoding': 'identity' };
  if (blob.length === 0) return headers;
  const range = { ...headers, range: `bytes=${blob.length}-` };
  return etag === undefined ? range : { ...range, 'if-range': etag };
}

/** Sees to it that what the answer brings follows what is here. @throws PassingError where it cannot */
async function align(answer: Answer, { file, blob, what, etag }: Transfer): Promise<void> {
  const [, start, total] =
    /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.headers.get('content-range') ?? '') ?? [];
  const follows =
    answer.status === 206 &&
    start === String(blob.length) &&
    (total === '*' || total === String(file.size)) &&
    (etag === undefined || etag === strongTag(answer));
  if (follows) return;
  await blob.restart();
  if (answer.status === 200) return;
  const found = start === undefined ? `status ${answer.status}` : `${start} of ${total}`;
  throw new PassingError('HUB_ANSWER', `${what}: expected the bytes that were asked for, found ${found}`);
}

/** An ETag that stands for the very bytes. */
function strongTag(answer: Answer): string | undefined {
  const etag = answer.headers.get('etag');
  return etag?.startsWith('"') ? etag : undefined;
}

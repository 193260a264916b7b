import { HubError } from '../errors.js';
import { get, type HubConnection, type HubResponse } from './http.js';
import { IncompleteBlob } from './incomplete.js';
import { blobName, type ListedFile } from './listing.js';
import { PassingError, persist } from './persist.js';

interface Transfer {
  readonly file: ListedFile;
  readonly blob: IncompleteBlob;
  readonly url: string;
  /** Name of the file in messages. */
  readonly what: string;
  readonly connection: HubConnection;
  readonly onLength: (length: number) => void;
  /** ETag of the answer that brought the bytes so far, if this process received it. */
  etag: string | undefined;
}

/**
 * Downloads one file into the cache. Continues an earlier attempt, and names the file only if its
 * hash is right. Bytes that have arrived stay for the next attempt, also after an abort; bytes with
 * a wrong hash are deleted.
 *
 * @param blobs folder of the cache
 * @param onLength called with the number of bytes so far, which falls if an attempt starts over
 * @throws HubError `HUB_HASH`, and those of `get`; errors of the file system; the reason of the
 *   connection's signal
 */
export async function download(
  file: ListedFile,
  commit: string,
  blobs: string,
  connection: HubConnection,
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
  // The pieces may come from different versions, so a wrong hash proves nothing yet.
  throw whole ? new HubError('HUB_HASH', message) : new PassingError('HUB_HASH', message);
}

/** Requests the whole rest in one answer. */
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

/** Asks for the rest if the file is unchanged. Uncompressed, because the bytes are counted. */
function rangeHeaders({ blob, etag }: Transfer): Record<string, string> {
  const headers = { 'accept-encoding': 'identity' };
  if (blob.length === 0) return headers;
  const range = { ...headers, range: `bytes=${blob.length}-` };
  return etag === undefined ? range : { ...range, 'if-range': etag };
}

/** Checks that the answer continues the bytes so far. @throws PassingError if it cannot */
async function align(answer: HubResponse, { file, blob, what, etag }: Transfer): Promise<void> {
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

/** A strong ETag: it stands for the exact bytes. */
function strongTag(answer: HubResponse): string | undefined {
  const etag = answer.headers.get('etag');
  return etag?.startsWith('"') ? etag : undefined;
}

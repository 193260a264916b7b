/**
 * The safetensors container: a u64 header length (little-endian), a JSON header `{name: {dtype,
 * shape, data_offsets: [begin, end]}, "__metadata__": {string: string}}`, then the tensors' bytes
 * without gaps. https://github.com/huggingface/safetensors#format
 *
 * A file is untrusted: the whole header is checked against the file before any tensor is returned,
 * and no allocation depends on a size that the header merely claims.
 */

import { CheckpointError, UsageError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import { describeForeignFile } from './foreign-file.js';
import {
  HEADER_START,
  type Header,
  type HeaderEntry,
  LONE_SURROGATE,
  MAX_KEYS,
  MAX_RANK,
  METADATA_KEY,
  parseHeader,
} from './header.js';

/** The longest header to read or write, in bytes: the limit of the reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Bytes per element, in the reference implementation's order: by ascending alignment. */
const DTYPE_BYTES = new Map([
  ['BOOL', 1],
  ['U8', 1],
  ['I8', 1],
  ['I16', 2],
  ['U16', 2],
  ['F16', 2],
  ['BF16', 2],
  ['I32', 4],
  ['U32', 4],
  ['F32', 4],
  ['F64', 8],
  ['I64', 8],
  ['U64', 8],
] as const);

/** An element type by its safetensors name. */
export type Dtype = typeof DTYPE_BYTES extends Map<infer Name, number> ? Name : never;

const DTYPES: readonly Dtype[] = [...DTYPE_BYTES.keys()];

/** A named array: row-major, little-endian. */
export interface Tensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** `product(shape)` elements of `dtype`. After reading, a possibly unaligned view on the file. */
  readonly data: Uint8Array;
}

/** The contents of a file. `metadata` has no prototype; `tensors` keep the header's order. */
export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/**
 * Reads a safetensors file. The tensors are views on `bytes`, not copies.
 *
 * @param bytes the whole file
 * @param options.file the file name for messages; default `checkpoint`
 * @throws CheckpointError
 *   `CHECKPOINT_TRUNCATED` the file is shorter than its header says;
 *   `CHECKPOINT_FORMAT` the file has another format: a PyTorch pickle, a web page, a Git LFS
 *   pointer;
 *   `CHECKPOINT_HEADER` the header's length, encoding, JSON, keys or metadata are invalid;
 *   `CHECKPOINT_TENSOR` a tensor's type, shape or offsets are invalid;
 *   `CHECKPOINT_TRAILING` bytes follow the last tensor
 * @throws UsageError `BYTES` if `bytes` is not a `Uint8Array`: for example a path or `ArrayBuffer`
 */
export function readSafetensors(bytes: Uint8Array, options: { file?: string | undefined } = {}): Safetensors {
  const file = options.file ?? 'checkpoint';
  if (!(bytes instanceof Uint8Array)) {
    const found = Object.prototype.toString.call(bytes);
    throw new UsageError('BYTES', `${file}: expected the bytes of a file (a Uint8Array), found ${found}`);
  }
  const { header, dataStart } = readHeader(bytes, file);
  checkLayout(header.entries, bytes.length - dataStart, file);
  const tensors = new Map<string, Tensor>();
  for (const { name, dtype, shape, begin, end } of header.entries) {
    const data = new Uint8Array(bytes.buffer, bytes.byteOffset + dataStart + begin, end - begin);
    tensors.set(name, { name, dtype: dtype as Dtype, shape, data });
  }
  return { metadata: header.metadata, tensors };
}

function readHeader(bytes: Uint8Array, file: string): { header: Header; dataStart: number } {
  if (bytes.length < HEADER_START) {
    throw new CheckpointError(
      'CHECKPOINT_TRUNCATED',
      `${file}: expected at least ${HEADER_START} bytes of a safetensors file, found ${bytes.length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    // Read as a length, the signatures of all other formats are in this range.
    const foreign = describeForeignFile(bytes, file);
    if (foreign) throw new CheckpointError('CHECKPOINT_FORMAT', `${file}: ${foreign}`);
  }
  if (length === 0n || length > MAX_HEADER_BYTES) {
    throw new CheckpointError(
      'CHECKPOINT_HEADER',
      `${file}: not a safetensors file: expected a header of 1 to ${MAX_HEADER_BYTES} bytes, found a length of ${length}`,
    );
  }
  const dataStart = HEADER_START + Number(length);
  if (dataStart > bytes.length) {
    throw new CheckpointError(
      'CHECKPOINT_TRUNCATED',
      `${file}: expected a header of ${length} bytes, found only ${bytes.length - HEADER_START} bytes until the end of the file`,
    );
  }
  let text: string;
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    text = decoder.decode(bytes.subarray(HEADER_START, dataStart));
  } catch (cause) {
    throw new CheckpointError('CHECKPOINT_HEADER', `${file}: header: expected UTF-8, found other bytes`, {
      cause,
    });
  }
  return { header: parseHeader(text, file), dataStart };
}

/** The tensors must cover the data exactly, without gaps or overlaps. */
function checkLayout(entries: readonly HeaderEntry[], dataBytes: number, file: string): void {
  for (const entry of entries) checkExtent(entry, file);
  const byOffset = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  let last: HeaderEntry | undefined;
  const lastName = () => (last ? `tensor ${quote(last.name)}` : 'the start of the data');
  for (const entry of byOffset) {
    if (entry.begin !== end) {
      const fault = entry.begin < end ? 'overlaps' : 'leaves a gap after';
      throw new CheckpointError(
        'CHECKPOINT_TENSOR',
        `${file}: tensor ${quote(entry.name)} ${fault} ${lastName()}: expected offset ${end}, found ${entry.begin}`,
      );
    }
    if (entry.end > dataBytes) {
      throw new CheckpointError(
        'CHECKPOINT_TRUNCATED',
        `${file}: tensor ${quote(entry.name)}: expected data up to offset ${entry.end}, ` +
          `found only ${dataBytes} bytes of data in the file`,
      );
    }
    end = entry.end;
    last = entry;
  }
  if (end !== dataBytes) {
    throw new CheckpointError(
      'CHECKPOINT_TRAILING',
      `${file}: expected the data to end with ${lastName()} at offset ${end}, found ${dataBytes - end} bytes more`,
    );
  }
}

/** The offsets of a tensor must ascend and be exactly `product(shape)` elements apart. */
function checkExtent({ name, dtype, shape, begin, end }: HeaderEntry, file: string): void {
  const expected = byteLength(name, dtype, shape, file);
  if (begin > end) {
    throw new CheckpointError(
      'CHECKPOINT_TENSOR',
      `${file}: tensor ${quote(name)}: data_offsets: expected begin <= end, found [${begin}, ${end}]`,
    );
  }
  if (end - begin !== expected) {
    throw new CheckpointError(
      'CHECKPOINT_TENSOR',
      `${file}: tensor ${quote(name)}: expected ${expected} bytes for ${dtype} [${shape}], ` +
        `found data_offsets [${begin}, ${end}], which is ${end - begin} bytes`,
    );
  }
}

/** Bytes of a tensor. The type must be known and the product must stay below 2^53 at every step. */
function byteLength(name: string, dtype: string, shape: readonly number[], file: string): number {
  let size: number | undefined = DTYPE_BYTES.get(dtype as Dtype);
  if (size === undefined) {
    throw new CheckpointError(
      'CHECKPOINT_TENSOR',
      `${file}: tensor ${quote(name)}: expected a dtype from ${DTYPES.join(', ')}, found ${quote(dtype)}`,
    );
  }
  for (const dimension of shape) {
    size *= dimension;
    if (!Number.isSafeInteger(size)) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR',
        `${file}: tensor ${quote(name)}: expected less than 2^53 bytes, found the shape [${shape}]`,
      );
    }
  }
  return size;
}

/**
 * Writes a safetensors file. The same tensors and metadata give the same bytes, in any order. As in
 * the reference implementation, the tensors are sorted by descending type (and so by alignment),
 * then by name, and the header is padded with spaces to a multiple of 8. This aligns every tensor
 * to its type.
 *
 * @param tensors each with exactly `product(shape)` elements of data
 * @param metadata stored under `__metadata__` with sorted keys; omitted if empty
 * @throws CheckpointError `CHECKPOINT_TENSOR` for a duplicate name, the name `__metadata__`, or
 *   data that does not fit its type and shape; `CHECKPOINT_HEADER` for metadata that is not a
 *   string map, or a header longer than {@link MAX_HEADER_BYTES}
 */
export function writeSafetensors(
  tensors: Iterable<Tensor>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const sorted = [...tensors].sort(
    (a, b) => DTYPES.indexOf(b.dtype) - DTYPES.indexOf(a.dtype) || compare(a.name, b.name),
  );
  const members: string[] = [];
  const strings = Object.entries(metadata).sort(([a], [b]) => compare(a, b));
  if (strings.length > 0) members.push(`"${METADATA_KEY}":${metadataJson(strings)}`);
  let dataBytes = 0;
  const names = new Set([METADATA_KEY]);
  for (const tensor of sorted) {
    checkWritable(tensor, names);
    names.add(tensor.name);
    const end = dataBytes + tensor.data.length;
    const entry = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [dataBytes, end] };
    members.push(`${JSON.stringify(tensor.name)}:${JSON.stringify(entry)}`);
    dataBytes = end;
  }

  if (members.length > MAX_KEYS || strings.length > MAX_KEYS) {
    throw new CheckpointError(
      'CHECKPOINT_HEADER',
      `expected at most ${MAX_KEYS} tensors and ${MAX_KEYS} metadata keys, ` +
        `found ${sorted.length} and ${strings.length}`,
    );
  }
  const header = new TextEncoder().encode(`{${members.join(',')}}`);
  const headerBytes = Math.ceil(header.length / 8) * 8;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new CheckpointError(
      'CHECKPOINT_HEADER',
      `expected a header of at most ${MAX_HEADER_BYTES} bytes, found ${headerBytes}`,
    );
  }
  const file = new Uint8Array(HEADER_START + headerBytes + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(header, HEADER_START);
  file.fill(0x20, HEADER_START + header.length, HEADER_START + headerBytes);
  let at = HEADER_START + headerBytes;
  for (const { data } of sorted) {
    file.set(data, at);
    at += data.length;
  }
  return file;
}

/** Built key by key: an object would lose a key called `__proto__` and reorder numeric keys. */
function metadataJson(strings: readonly (readonly [string, string])[]): string {
  const members = strings.map(([key, value]) => {
    if (typeof value !== 'string' || LONE_SURROGATE.test(key) || LONE_SURROGATE.test(value)) {
      throw new CheckpointError(
        'CHECKPOINT_HEADER',
        `metadata ${quote(key)}: expected a well-formed string, found ${typeof value}`,
      );
    }
    return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
  });
  return `{${members.join(',')}}`;
}

function checkWritable({ name, dtype, shape, data }: Tensor, taken: ReadonlySet<string>): void {
  const what = `tensor ${quote(name)}`;
  if (taken.has(name) || LONE_SURROGATE.test(name)) {
    throw new CheckpointError('CHECKPOINT_TENSOR', `${what}: expected a unique and well-formed name`);
  }
  if (shape.length > MAX_RANK || !shape.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw new CheckpointError(
      'CHECKPOINT_TENSOR',
      `${what}: shape: expected at most ${MAX_RANK} non-negative integers, found [${shape}]`,
    );
  }
  const expected = byteLength(name, dtype, shape, 'output');
  if (data.length !== expected) {
    throw new CheckpointError(
      'CHECKPOINT_TENSOR',
      `${what}: expected ${expected} bytes for ${dtype} [${shape}], found ${data.length}`,
    );
  }
}

/** Compares UTF-16 code units, so that the bytes of a file do not depend on the locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Reads the ZIP archives that `torch.save` writes, with ZIP64 records: entries, then a directory at
 * the end. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 *
 * fflate's own reader copies every stored entry and trusts the directory. Here entries are views on
 * the file, and the whole directory is checked against the file. Checksums are not verified:
 * PyTorch does not verify them either, and can omit them.
 */

import { Inflate } from 'fflate';
import { CheckpointError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import { MAX_KEYS } from '../safetensors/header.js';

/** One file of the archive. */
export interface ZipEntry {
  readonly name: string;
  /** Uncompressed size in bytes. */
  readonly size: number;
  readonly deflated: boolean;
  /** The stored or deflated bytes: a view on the archive. */
  readonly data: Uint8Array;
}

/** The location of the directory, and its number of entries. */
interface Directory {
  readonly begin: number;
  readonly end: number;
  readonly count: number;
}

/** An entry as the directory describes it. */
interface Described {
  readonly name: string;
  readonly method: number;
  readonly packedSize: number;
  readonly size: number;
  readonly begin: number;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const END64_LOCATOR_SIGNATURE = 0x07064b50;
const END64_LOCATOR_BYTES = 20;
const END64_SIGNATURE = 0x06064b50;
const END64_BYTES = 56;
const DIRECTORY_SIGNATURE = 0x02014b50;
const DIRECTORY_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
/** Tag of the extra field for sizes that do not fit in 32 bits. */
const ZIP64_EXTRA = 1;
/** Flags of encrypted entries (0, 6) and of an encrypted directory (13). */
const ENCRYPTED = 0x2041;
const STORED = 0;
const DEFLATED = 8;

/** Deflate's maximum ratio: 258 bytes from 2 bits. */
const MAX_INFLATION = 1032;
/** Compressed bytes to inflate at once, so that at most 16 MB come out before the size check. */
const SLICE = 16 * 1024;
/** A stored block has at most 65,535 bytes: more input than this without output is not deflate. */
const STALLED = 128 * 1024;

/**
 * Lists the entries of a ZIP archive without inflating them.
 *
 * @param bytes the whole archive; the entries are views on it
 * @returns the entries by name
 * @throws CheckpointError `CHECKPOINT_TRUNCATED` if there is no directory at the end;
 *   `CHECKPOINT_ZIP` if the directory does not fit the file or names an entry twice, or if entries
 *   overlap, are encrypted or use a compression other than deflate
 */
export function readZip(bytes: Uint8Array, file: string): ReadonlyMap<string, ZipEntry> {
  return new ZipReader(bytes, file).entries();
}

class ZipReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: string;

  constructor(bytes: Uint8Array, file: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#file = file;
  }

  entries(): ReadonlyMap<string, ZipEntry> {
    const directory = this.#directory();
    const described = this.#describe(directory).sort((a, b) => a.begin - b.begin);
    const entries = new Map<string, ZipEntry>();
    let free = 0;
    for (const entry of described) {
      const { name, size, begin, packedSize, method } = entry;
      if (entries.has(name)) this.#refuse(`entry ${quote(name)}: expected once, found twice`);
      if (begin < free)
        this.#refuse(
          `entry ${quote(name)} overlaps the previous one: expected byte ${free} or later, found ${begin}`,
        );
      const dataBegin = this.#dataBegin(entry, directory.begin);
      free = dataBegin + packedSize;
      if (free > directory.begin) {
        this.#refuse(
          `entry ${quote(name)}: expected to end before the directory at byte ${directory.begin}, found ${free}`,
        );
      }
      const data = this.#bytes.subarray(dataBegin, free);
      entries.set(name, { name, size, deflated: method === DEFLATED, data });
    }
    return entries;
  }

  #directory(): Directory {
    const end = this.#endRecord();
    const view = this.#view;
    const locator = end - END64_LOCATOR_BYTES;
    let directory: Directory;
    let limit = end;
    if (locator >= 0 && view.getUint32(locator, true) === END64_LOCATOR_SIGNATURE) {
      limit = this.#uint64(locator + 8);
      if (limit > locator - END64_BYTES || view.getUint32(limit, true) !== END64_SIGNATURE) {
        this.#refuse(`expected a ZIP64 end record at byte ${limit}`);
      }
      const begin = this.#uint64(limit + 48);
      directory = { begin, end: begin + this.#uint64(limit + 40), count: this.#uint64(limit + 32) };
    } else {
      const begin = view.getUint32(end + 16, true);
      directory = {
        begin,
        end: begin + view.getUint32(end + 12, true),
        count: view.getUint16(end + 10, true),
      };
    }
    if (directory.end !== limit) {
      this.#refuse(
        `expected a directory that ends at byte ${limit}, found one that ends at ${directory.end}`,
      );
    }
    if (directory.count > MAX_KEYS) {
      this.#refuse(`expected at most ${MAX_KEYS} entries, found ${directory.count}`);
    }
    return directory;
  }

  /** Finds the last end record whose comment reaches exactly to the end of the file. */
  #endRecord(): number {
    const last = this.#bytes.length - END_BYTES;
    for (let at = last; at >= Math.max(0, last - MAX_COMMENT_BYTES); at--) {
      if (this.#view.getUint32(at, true) !== END_SIGNATURE) continue;
      if (at + this.#view.getUint16(at + 20, true) === last) return at;
    }
    throw new CheckpointError(
      'CHECKPOINT_TRUNCATED',
      `${this.#file}: expected the directory of a ZIP archive at the end of the file, found none in ` +
        `${this.#bytes.length} bytes; was the download cut off?`,
    );
  }

  #describe({ begin, end, count }: Directory): Described[] {
    const view = this.#view;
    const described: Described[] = [];
    let at = begin;
    for (let i = 0; i < count; i++) {
      if (at + DIRECTORY_BYTES > end || view.getUint32(at, true) !== DIRECTORY_SIGNATURE) {
        this.#refuse(`expected ${count} entries in the directory, found none at byte ${at}`);
      }
      const nameEnd = at + DIRECTORY_BYTES + view.getUint16(at + 28, true);
      const extraEnd = nameEnd + view.getUint16(at + 30, true);
      const next = extraEnd + view.getUint16(at + 32, true);
      if (next > end)
        this.#refuse(`expected an entry within the directory, found one that ends at byte ${next}`);
      const name = this.#name(at + DIRECTORY_BYTES, nameEnd);
      const method = view.getUint16(at + 10, true);
      if (view.getUint16(at + 8, true) & ENCRYPTED)
        this.#refuse(`entry ${quote(name)}: expected plain data, found encrypted data`);
      if (method !== STORED && method !== DEFLATED) {
        this.#refuse(
          `entry ${quote(name)}: expected stored or deflated data (method 0 or 8), found method ${method}`,
        );
      }
      const sizes = this.#sizes(at, nameEnd, extraEnd, name);
      if (method === STORED && sizes.packedSize !== sizes.size) {
        this.#refuse(`entry ${quote(name)}: expected ${sizes.size} bytes, found ${sizes.packedSize}`);
      }
      described.push({ name, method, ...sizes });
      at = next;
    }
    if (at !== end) this.#refuse(`expected a directory of ${count} entries, found ${end - at} bytes more`);
    return described;
  }

  /**
   * Each of the three numbers is in the ZIP64 field, in this order, if all of its 32 bits are set.
   */
  #sizes(
    at: number,
    extraBegin: number,
    extraEnd: number,
    name: string,
  ): { size: number; packedSize: number; begin: number } {
    const view = this.#view;
    let field = this.#zip64Field(extraBegin, extraEnd);
    const wide = (place: number): number => {
      const narrow = view.getUint32(place, true);
      if (narrow !== 0xffffffff || !field) return narrow;
      if (field.begin + 8 > field.end) {
        this.#refuse(`entry ${quote(name)}: expected its sizes in a ZIP64 field, found a shorter field`);
      }
      const value = this.#uint64(field.begin);
      field = { begin: field.begin + 8, end: field.end };
      return value;
    };
    const size = wide(at + 24);
    const packedSize = wide(at + 20);
    return { size, packedSize, begin: wide(at + 42) };
  }

  #zip64Field(extraBegin: number, extraEnd: number): { begin: number; end: number } | undefined {
    for (let at = extraBegin; at + 4 <= extraEnd; ) {
      const begin = at + 4;
      const end = begin + this.#view.getUint16(at + 2, true);
      if (this.#view.getUint16(at, true) === ZIP64_EXTRA && end <= extraEnd) return { begin, end };
      at = end;
    }
    return undefined;
  }

  /** Where the data begins after the local header, which must be that of the same entry. */
  #dataBegin({ name, begin }: Described, limit: number): number {
    const nameBegin = begin + LOCAL_BYTES;
    if (nameBegin > limit || this.#view.getUint32(begin, true) !== LOCAL_SIGNATURE) {
      this.#refuse(`entry ${quote(name)}: expected its header at byte ${begin}`);
    }
    const nameEnd = nameBegin + this.#view.getUint16(begin + 26, true);
    const dataBegin = nameEnd + this.#view.getUint16(begin + 28, true);
    if (dataBegin > limit || this.#name(nameBegin, nameEnd) !== name) {
      this.#refuse(`entry ${quote(name)}: expected the same name in its header at byte ${begin}`);
    }
    return dataBegin;
  }

  #name(begin: number, end: number): string {
    try {
      return UTF8.decode(this.#bytes.subarray(begin, end));
    } catch {
      return this.#refuse(`expected an entry's name in UTF-8 at byte ${begin}`);
    }
  }

  /** Inexact above 2^53, but such a number exceeds every file anyway. */
  #uint64(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }

  #refuse(message: string): never {
    throw new CheckpointError('CHECKPOINT_ZIP', `${this.#file}: ZIP archive: ${message}`);
  }
}

/**
 * The contents of an entry: a view on the archive if it is stored, else the inflated bytes.
 *
 * @param allocate returns memory to inflate into, or throws
 * @throws CheckpointError `CHECKPOINT_ZIP` if the deflated data is damaged or does not have the
 *   size in the directory
 */
export function unpack(entry: ZipEntry, allocate: (bytes: number) => Uint8Array, file: string): Uint8Array {
  const { name, size, data, deflated } = entry;
  if (!deflated) return data;
  const refuse = (message: string, cause?: unknown): never => {
    throw new CheckpointError('CHECKPOINT_ZIP', `${file}: ZIP archive: entry ${quote(name)}: ${message}`, {
      cause,
    });
  };
  if (size > data.length * MAX_INFLATION) {
    refuse(`expected ${size} bytes, found ${data.length} deflated bytes, which cannot hold as many`);
  }
  const out = allocate(size);
  let length = 0;
  let at = 0;
  let lastOutput = 0;
  const inflater = new Inflate((chunk) => {
    if (chunk.length === 0) return;
    if (chunk.length > size - length) refuse(`expected ${size} bytes, found more`);
    out.set(chunk, length);
    length += chunk.length;
    lastOutput = at;
  });
  for (; at < data.length && at - lastOutput <= STALLED; at += SLICE) {
    try {
      inflater.push(data.subarray(at, at + SLICE), at + SLICE >= data.length);
    } catch (cause) {
      if (cause instanceof CheckpointError) throw cause;
      refuse(
        `expected valid deflate data, found damage after ${length} of ${size} bytes: ${(cause as Error).message}`,
        cause,
      );
    }
  }
  if (length < size) refuse(`expected ${size} bytes, found ${length}`);
  return out;
}

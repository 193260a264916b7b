import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FqvitError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';
import { type ListFacts, type PartData, partName, partsOf } from './part.js';

/** Parts in memory at the same time. */
const PARTS_AT_ONCE = 20;

/**
 * A list in parts, read to its end before any part is used: its digest is known only then. It waits
 * in a temporary file without a name, so that nothing stays behind whatever ends the process.
 */
export class Spool {
  private constructor(
    readonly list: Required<ListFacts>,
    private readonly file: FileHandle,
    /** Lengths in bytes of `PARTS_AT_ONCE` parts each. */
    private readonly lengths: readonly number[],
  ) {}

  /** @throws what the list throws; UsageError `QUEUE_PARTS`; FqvitError `OUTPUT` without room */
  static async of(list: AsyncIterable<string>, jobSize: number, top: number): Promise<Spool> {
    const file = await temporaryFile();
    try {
      const hash = createHash('sha256');
      const lengths: number[] = [];
      let [parts, images] = [0, 0];
      let ready: string[] = [];
      const write = async () => {
        const bytes = Buffer.from(`[${ready.join(',')}]`);
        await file.writeFile(bytes).catch(noRoom);
        lengths.push(bytes.length);
        ready = [];
      };
      for await (const part of partsOf(list, jobSize, top)) {
        partName(parts++);
        images += part.files.length;
        const text = JSON.stringify(part);
        hash.update(text).update('\n');
        if (ready.push(text) === PARTS_AT_ONCE) await write();
      }
      if (ready.length > 0) await write();
      return new Spool({ sha256: hash.digest('hex'), parts, images, jobSize }, file, lengths);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The parts in order, some at a time. */
  async *batches(): AsyncGenerator<PartData[]> {
    let position = 0;
    for (const length of this.lengths) {
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await this.file.read(bytes, 0, length, position);
      if (bytesRead !== length) throw noRoom(new Error('a shorter file'));
      yield JSON.parse(bytes.toString());
      position += length;
    }
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

async function temporaryFile(): Promise<FileHandle> {
  const path = join(tmpdir(), `.fqvit-${randomBytes(6).toString('hex')}.tmp`);
  const file = await open(path, 'wx+', 0o600).catch(noRoom);
  await rm(path);
  return file;
}

function noRoom(cause: unknown): never {
  const message = `${tmpdir()}: expected room for the list, found ${systemReason(cause)}`;
  throw new FqvitError('OUTPUT', message, { cause });
}

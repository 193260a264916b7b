import { once } from 'node:events';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { FqvitError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';
import { escapeControls } from '../text/escape-controls.js';

/** The destination of a batch's lines. */
export interface ResultOutput {
  add(line: string): void;
  /** A promise to wait for if lines come faster than they can be written. */
  room(): Promise<void> | undefined;
  /** Rejects if a line cannot be written. */
  readonly failed: Promise<never>;
  /** Writes the rest. @throws FqvitError `OUTPUT`, also if another file has the name meanwhile */
  close(): Promise<void>;
}

/** Work lost if the process is killed. */
const FLUSH_INTERVAL_MS = 250;

/** Characters that may wait to be written. */
const MOST_WAITING = 2 ** 20;

/** Appends lines to a file, and flushes them to disk four times a second. */
export class FileOutput implements ResultOutput {
  readonly failed: Promise<never>;
  #fail!: (error: unknown) => void;
  #lines: string[] = [];
  #waiting = 0;
  #flushing: Promise<void> | undefined;
  #failure: unknown;
  readonly #timer = setInterval(() => this.#flush().catch(this.#fail), FLUSH_INTERVAL_MS);

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    /** Bytes in the file. */
    private length: number,
  ) {
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
  }

  /** Creates a file. @throws FqvitError `OUTPUT` */
  static async create(path: string): Promise<FileOutput> {
    return new FileOutput(path, await writable(path, () => open(path, 'ax')), 0);
  }

  /** Continues a file after its first `length` bytes. @throws FqvitError `OUTPUT` */
  static async extend(path: string, length: number): Promise<FileOutput> {
    const file = await writable(path, () => open(path, 'a'));
    await writable(path, () => file.truncate(length));
    return new FileOutput(path, file, length);
  }

  add(line: string): void {
    this.#lines.push(line);
    this.#waiting += line.length;
  }

  room(): Promise<void> | undefined {
    return this.#waiting < MOST_WAITING ? undefined : this.#flush();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    try {
      await this.#flushing;
      await this.#flush();
      await this.#check();
    } finally {
      await this.file.close();
    }
  }

  /** Checks that the name still leads to this file and nobody else has written it. */
  async #check(): Promise<void> {
    const [own, there] = await Promise.all([this.file.stat(), stat(this.path).catch(() => undefined)]);
    if (there?.ino === own.ino && there.dev === own.dev && there.size === this.length) return;
    const found =
      there === undefined ? 'nothing' : there.ino === own.ino ? `${there.size} bytes` : 'another file';
    throw new FqvitError(
      'OUTPUT',
      `${this.path}: expected the ${this.length} bytes that were written, found ${found}`,
    );
  }

  #flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #write(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const lines = this.#lines;
    if (lines.length === 0) return;
    this.#lines = [];
    this.#waiting = 0;
    try {
      await writable(this.path, async () => {
        const text = lines.join('');
        await this.file.appendFile(text);
        await this.file.datasync();
        this.length += Buffer.byteLength(text);
      });
    } catch (error) {
      this.#failure = error; // later errors must not replace it
      throw error;
    }
  }
}

/** Lines on stdout; main.ts handles its errors. */
export class StandardOutput implements ResultOutput {
  readonly failed = new Promise<never>(() => {});

  add(line: string): void {
    // names and labels must not control a terminal
    process.stdout.write(process.stdout.isTTY ? `${escapeControls(line.trimEnd())}\n` : line);
  }

  room(): Promise<void> | undefined {
    return process.stdout.writableNeedDrain ? once(process.stdout, 'drain').then(() => {}) : undefined;
  }

  async close(): Promise<void> {}
}

async function writable<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    throw new FqvitError(
      'OUTPUT',
      `${path}: expected room for lines, found ${systemReason(cause)}; make room, then run the same command to continue`,
      {
        cause,
      },
    );
  }
}

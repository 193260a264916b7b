import { FqvitError } from '../errors.js';
import { shownSource } from '../platform/address.js';
import { formatValue } from '../text/format-value.js';
import { doneLines } from './lines.js';
import type { BatchTask } from './unfinished.js';

/** With --unordered, how many places a line may be early: more than are ever in flight. */
const MOST_AHEAD = 1000;

/** The images of an unfinished output, four bytes each: a hash of the name, 0 for none. */
export class Done {
  /** Finished images, and how many of them were refused. */
  count = 0;
  refused = 0;
  /** Bytes to keep: no complete line follows. */
  bytes = 0;
  /** The highest index plus one. */
  #end = 0;
  #hashes = new Uint32Array(1024);

  /** An empty output. */
  constructor(
    private readonly path: string,
    private readonly task: BatchTask,
    private readonly header: string,
  ) {}

  /** Reads the output up to the first line that is not a record or repeats another. */
  static async of(path: string, task: BatchTask, header: string): Promise<Done> {
    const done = new Done(path, task, header);
    for await (const { index, file, isRefused, end } of doneLines(path, task.format, header)) {
      if (done.has(index) || index > done.count + (task.order === 'list' ? 0 : MOST_AHEAD)) break;
      done.add(index, hash(file));
      if (isRefused) done.refused++;
      done.bytes = end;
    }
    return done;
  }

  /** The rest of a list. @throws FqvitError `RESUME` if the output was started with another list */
  async *rest(list: AsyncIterable<string>): AsyncGenerator<{ index: number; file: string }> {
    let index = 0;
    for await (const file of list) {
      const name = shownSource(file); // as in the record
      if (!this.has(index)) yield { index, file };
      else if (this.#hashes[index] !== hash(name)) throw await this.otherList(index, formatValue(name));
      index++;
    }
    if (index < this.#end) throw await this.otherList(this.#end - 1, 'its end');
  }

  private has(index: number): boolean {
    return index < this.#end && this.#hashes[index] !== 0;
  }

  private add(index: number, value: number): void {
    if (index >= this.#hashes.length) {
      const longer = new Uint32Array(Math.max(index + 1, 2 * this.#hashes.length));
      longer.set(this.#hashes);
      this.#hashes = longer;
    }
    this.#hashes[index] = value;
    this.#end = Math.max(this.#end, index + 1);
    this.count++;
  }

  private async otherList(index: number, found: string): Promise<FqvitError> {
    let line = this.task.format === 'csv' ? 2 : 1;
    for await (const done of doneLines(this.path, this.task.format, this.header)) {
      if (done.index === index) {
        return new FqvitError(
          'RESUME',
          `${this.path}, line ${line}: expected the list to have ${formatValue(done.file)} as number ${index}, found ${found}; ` +
            'go on with the list of before, or remove the file to begin anew',
        );
      }
      line++;
    }
    return new FqvitError(
      'RESUME',
      `${this.path}: expected number ${index} of the list as before, found ${found}`,
    );
  }
}

/** FNV-1a of the code units; never 0. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0 || 1;
}

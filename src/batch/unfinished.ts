/** The note `OUT.unfinished` next to an unfinished output: what it will be, and who writes it. */

import { existsSync, lstatSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { FqvitError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';
import { formatValue } from '../text/format-value.js';

const FORMAT = 1;

/** Most bytes of a note. */
const MAX_BYTES = 65_536;

/** Everything that the lines of an output depend on, except the images. */
export interface BatchTask {
  /** Version of the package. */
  readonly fqvit: string;
  /** SHA-256 of the checkpoint. */
  readonly model: string;
  /** The input as the user named it. */
  readonly input: string;
  readonly format: 'jsonl' | 'csv';
  readonly order: 'list' | 'any';
  readonly top: number;
  readonly maxPixels: number;
}

/** A pid and its start time, to detect reuse. */
interface Writer {
  readonly pid: number;
  readonly start: string;
}

interface Note extends BatchTask {
  readonly unfinished: number;
  readonly writer: Writer;
}

/**
 * Makes this process the writer of an output, unless another process is.
 *
 * @param overwrites whether to replace a finished output, or one of another task
 * @returns whether an unfinished output of this task exists
 * @throws FqvitError `OUTPUT_EXISTS`; `OUTPUT_BUSY` while another process writes it; `RESUME` for
 *   an output of another task; `OUTPUT`
 */
export function claim(output: string, task: BatchTask, overwrites: boolean): boolean {
  const path = notePath(output);
  const note = readNote(path);
  if (note !== undefined && isAlive(note.writer)) {
    throw new FqvitError(
      'OUTPUT_BUSY',
      `${output}: expected no other writer, found process ${note.writer.pid}`,
    );
  }
  const isThere = lstatSync(output, { throwIfNoEntry: false }) !== undefined;
  const reason = isThere ? refusal(output, note, task) : undefined;
  if (reason !== undefined && !overwrites) throw reason;
  if (reason !== undefined) rmSync(output);
  writeNote(path, { unfinished: FORMAT, ...task, writer: { pid: process.pid, start: startOf(process.pid) } });
  return isThere && reason === undefined;
}

/** Marks the output as complete. @throws FqvitError `OUTPUT` if its note cannot be removed */
export function finish(output: string): void {
  const path = notePath(output);
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    const text = `${path}: expected to remove the note of an output that is whole, found ${systemReason(cause)}`;
    throw new FqvitError('OUTPUT', text, { cause });
  }
}

function notePath(output: string): string {
  return `${output}.unfinished`;
}

/** Why an output cannot be resumed. */
function refusal(output: string, note: Note | undefined, task: BatchTask): FqvitError | undefined {
  const isBroken = !existsSync(output);
  if (note === undefined || isBroken) {
    return new FqvitError(
      'OUTPUT_EXISTS',
      `${output}: expected a free name, found a ${isBroken ? 'broken link' : 'file'}; --overwrite replaces it`,
    );
  }
  const other = (Object.keys(task) as (keyof BatchTask)[]).find((key) => note[key] !== task[key]);
  if (other === undefined) return undefined;
  return new FqvitError(
    'RESUME',
    `${output}: expected to go on with the ${other} ${formatValue(note[other])}, found ${formatValue(task[other])}; --overwrite begins anew`,
  );
}

function readNote(path: string): Note | undefined {
  let found: string;
  try {
    const what = statSync(path, { throwIfNoEntry: false });
    if (what === undefined) return undefined;
    if (what.isFile() && what.size <= MAX_BYTES) {
      const text = readFileSync(path, 'utf8');
      const note = parsed(text);
      if (note?.unfinished === FORMAT && (note.writer?.pid ?? 0) > 0) return note as Note;
      found = formatValue(note?.unfinished ?? text);
    } else found = what.isFile() ? `${what.size} bytes` : 'a folder, pipe or device';
  } catch (cause) {
    found = systemReason(cause);
  }
  throw new FqvitError(
    'RESUME',
    `${path}: expected a note of format ${FORMAT} about an unfinished output, found ${found}; without it, --overwrite begins anew`,
  );
}

function parsed(text: string): Partial<Note> | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Writes the note completely or not at all, so that it always matches the output. */
function writeNote(path: string, note: Note): void {
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, `${JSON.stringify(note, null, 2)}\n`, { flush: true });
    renameSync(temporary, path);
  } catch (cause) {
    if (existsSync(temporary)) rmSync(temporary);
    throw new FqvitError('OUTPUT', `${path}: expected room for a note, found ${systemReason(cause)}`, {
      cause,
    });
  }
}

function isAlive({ pid, start }: Writer): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return start === startOf(pid);
}

/** When a process started, from Linux; '' elsewhere, and for a zombie. */
function startOf(pid: number): string {
  try {
    const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return state === 'Z' ? '' : `${boot} ${fields[18]}`;
  } catch {
    return '';
  }
}

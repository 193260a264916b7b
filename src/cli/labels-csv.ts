import { FqvitError } from '../errors.js';
import { readText } from './files.js';
import { shown } from './values.js';

export interface LabelledFile {
  readonly file: string;
  /** Index of the true class. */
  readonly class: number;
  /** Where the row stands, from 1. */
  readonly line: number;
}

/** A file name, in quotes (a quote doubled) where it has a comma or quote in it, then the class. */
const ROW = /^(?:"((?:[^"]|"")*)"|([^",]+)),(\d{1,9})$/;

/**
 * Reads a table with the header `file,class`; empty lines are left out.
 *
 * @throws FqvitError `LABELS` for the first line that is not as it should be; RuntimeError `SOURCE`
 */
export async function readLabelsCsv(path: string, classes: number): Promise<LabelledFile[]> {
  const [header = '', ...lines] = (await readText(path)).split(/\r?\n/);
  if (header.trim() !== 'file,class') {
    throw refusal(path, 1, 'the header file,class', header === '' ? 'none' : shown(header));
  }
  const rows: LabelledFile[] = [];
  for (const [i, text] of lines.entries()) {
    if (text.trim() === '') continue;
    const line = i + 2;
    const [, inQuotes, bare, index] = ROW.exec(text) ?? [];
    const file = inQuotes?.replaceAll('""', '"') ?? bare;
    if (!file || file.includes('\0'))
      throw refusal(path, line, 'FILE,CLASS with the index of a class', shown(text));
    if (Number(index) >= classes) throw refusal(path, line, `a class from 0 to ${classes - 1}`, index!);
    rows.push({ file, class: Number(index), line });
  }
  if (rows.length === 0) throw refusal(path, 2, 'at least one row FILE,CLASS', 'none');
  return rows;
}

function refusal(path: string, line: number, expected: string, found: string): FqvitError {
  return new FqvitError('LABELS', `${path}:${line}: expected ${expected}, found ${found}`);
}

import { normalize } from 'node:path';
import type { Output } from '../architecture/output.js';
import { FqvitError } from '../errors.js';
import { readText } from '../platform/files.js';
import type { LabelledImage } from '../quantize/index.js';
import { quote } from '../text/quote.js';
import { decimal } from './values.js';

export interface LabelledFile extends Pick<LabelledImage, 'class' | 'value'> {
  readonly file: string;
  /** Line of its first row, from 1. */
  readonly line: number;
}

/** A file name, in quotes if it contains a comma or (doubled) quotes; then classes or a value. */
const ROW = /^(?:"((?:[^"]|"")*)"|([^",]+)),([^",]*)$/;

const INDICES = /^(\d{1,9}( +\d{1,9})*)?$/;

/** The form of a row in messages, by the meaning of the logits. */
const ROWS: Readonly<Record<Output, string>> = {
  softmax: 'FILE,CLASS with the index of a class',
  sigmoid: 'FILE,CLASSES with indices of classes, separated by spaces',
  value: 'FILE,VALUE with a number',
};

/** The model that the labels are for. */
interface Labelled {
  readonly output: Output;
  /** Number of classes. */
  readonly classes: number;
}

/**
 * Reads a table with the header `file,class` or, for a regression model, `file,value`. It skips
 * empty lines. For a multi-label model, a file may have no class or several, in one row or more.
 *
 * @throws FqvitError `LABELS` for the first bad line; RuntimeError `SOURCE`
 */
export async function readLabelsCsv(path: string, model: Labelled): Promise<LabelledFile[]> {
  const [header = '', ...lines] = (await readText(path)).split(/\r?\n/);
  const expected = model.output === 'value' ? 'file,value' : 'file,class';
  if (header.trim() !== expected) {
    throw refusal(path, 1, `the header ${expected}`, header === '' ? 'none' : quote(header));
  }
  const rows = new Map<string, LabelledFile>();
  for (const [i, text] of lines.entries()) {
    if (text.trim() === '') continue;
    const row = readRow(text, model, path, i + 2);
    const file = normalize(row.file);
    const before = rows.get(file);
    if (before && model.output !== 'sigmoid') {
      throw refusal(path, row.line, 'each file once', `${quote(row.file)} again, after line ${before.line}`);
    }
    rows.set(file, before ? { ...before, class: [before.class!, row.class!].flat() } : row);
  }
  if (rows.size === 0) throw refusal(path, 2, `at least one row ${ROWS[model.output].split(' ')[0]}`, 'none');
  return [...rows.values()];
}

function readRow(text: string, { output, classes }: Labelled, path: string, line: number): LabelledFile {
  const [, inQuotes, bare, cell = ''] = ROW.exec(text) ?? [];
  const file = inQuotes?.replaceAll('""', '"') ?? bare;
  if (!file || file.includes('\0')) throw refusal(path, line, ROWS[output], quote(text));
  if (output === 'value') {
    const value = decimal(cell.trim());
    if (!Number.isFinite(value)) throw refusal(path, line, ROWS.value, quote(text));
    return { file, value, line };
  }
  const indices = cell.trim().split(/ +/).filter(Boolean);
  const isEmpty = output === 'softmax' && indices.length === 0;
  if (!INDICES.test(cell.trim()) || isEmpty) throw refusal(path, line, ROWS[output], quote(text));
  const beyond = indices.find((index) => Number(index) >= classes);
  if (beyond !== undefined) throw refusal(path, line, range(classes), beyond);
  if (output === 'sigmoid') return { file, class: indices.map(Number), line };
  if (indices.length > 1)
    throw refusal(path, line, 'one class, as the model is not multi-label (softmax)', quote(text));
  return { file, class: Number(indices[0]), line };
}

function range(classes: number): string {
  return classes === 1
    ? 'class 0 for photos that have it, nothing for others'
    : `a class from 0 to ${classes - 1}`;
}

function refusal(path: string, line: number, expected: string, found: string): FqvitError {
  return new FqvitError('LABELS', `${path}:${line}: expected ${expected}, found ${found}`);
}

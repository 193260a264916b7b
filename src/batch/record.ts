/** The result of an image in a batch, and its line. */

import type { Output } from '../architecture/output.js';
import { FqvitError, UsageError } from '../errors.js';
import type { Prediction } from '../model/predict.js';
import { shownSource } from '../platform/address.js';
import { escapeJsonControls } from '../text/escape-controls.js';

interface RecordPlace {
  /** Position of the image in the list, from 0. */
  readonly index: number;
  /** A path as in the list, or an address as `shownSource` shows it. */
  readonly file: string;
}

export interface Answered extends RecordPlace {
  readonly predictions: readonly Prediction[];
}

export interface Refused extends RecordPlace {
  readonly error: { readonly code: string; readonly message: string };
}

export type ImageRecord = Answered | Refused;

/**
 * The record of an image. An image that cannot be read or decoded gets a record with an error.
 *
 * @throws UsageError, which would affect every image, and errors that are not an FqvitError
 */
export async function recordOf(
  index: number,
  file: string,
  classify: (file: string) => Promise<Prediction[]>,
): Promise<ImageRecord> {
  const place = { index, file: shownSource(file) };
  try {
    return { ...place, predictions: await classify(file) };
  } catch (error) {
    if (!(error instanceof FqvitError) || error instanceof UsageError) throw error;
    return { ...place, error: { code: error.code, message: error.message } };
  }
}

/**
 * `{"index":0,"file":"a.jpg","predictions":[{"index":3,"label":"cat","probability":0.78}]}` and a
 * line feed.
 */
export function jsonLine(record: ImageRecord): string {
  return `${escapeJsonControls(JSON.stringify(record))}\n`;
}

/** The first line of a CSV (RFC 4180 with line feeds). @param classes most classes of a record */
export function csvHeader(classes: number, output: Output): string {
  const answer = output === 'value' ? 'value' : 'probability';
  return csvRow([
    'index',
    'file',
    'error',
    ...numbers(classes).flatMap((n) => [`label_${n}`, `${answer}_${n}`]),
  ]);
}

/** A row in the columns of `csvHeader`; `error` is the code and the message. */
export function csvLine(record: ImageRecord, classes: number): string {
  const { index, file } = record;
  if ('error' in record) {
    const { code, message } = record.error;
    return csvRow([index, file, `${code}: ${message}`, ...Array<string>(2 * classes).fill('')]);
  }
  return csvRow([
    index,
    file,
    '',
    ...record.predictions.flatMap(({ label, probability, value = probability }) => [label, value]),
  ]);
}

/** A row of CSV with a line feed; quotes fields that need it. */
export function csvRow(fields: readonly (string | number)[]): string {
  return `${fields.map((field) => quotedField(String(field))).join(',')}\n`;
}

function quotedField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

import { FqvitError } from '../errors.js';
import { readText } from './files.js';
import { shown } from './values.js';

/**
 * The names of the classes: one a line, or JSON: an array of strings, or of objects with `index` and `label`.
 *
 * @throws FqvitError `LABELS`; RuntimeError `SOURCE`
 */
export async function readLabels(path: string): Promise<string[]> {
  const text = await readText(path);
  const labels = text.trimStart().startsWith('[') ? fromJson(text, path) : fromLines(text);
  const empty = labels.findIndex((label) => label.trim() === '');
  if (empty >= 0) throw refusal(path, 'a name', `none for class ${empty}`);
  if (labels.length === 0) throw refusal(path, 'labels', 'none');
  return labels;
}

function fromLines(text: string): string[] {
  return text
    .replace(/[\r\n]+$/, '')
    .split(/\r?\n/)
    .map((line) => line.trim());
}

function fromJson(text: string, path: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refusal(path, 'JSON', (cause as Error).message, cause);
  }
  const list = value as unknown[];
  if (list.every((item) => typeof item === 'string')) return list;
  const labels: string[] = [];
  for (const [at, item] of list.entries()) {
    const { index, label } = Object(item) as { index?: unknown; label?: unknown };
    if (!Number.isSafeInteger(index) || typeof label !== 'string') {
      throw refusal(path, 'strings, or objects with "index" and "label"', `${json(item)} at position ${at}`);
    }
    if ((index as number) < 0 || (index as number) >= list.length || labels[index as number] !== undefined) {
      throw refusal(path, `every index from 0 to ${list.length - 1} once`, `${index} at position ${at}`);
    }
    labels[index as number] = label;
  }
  return labels;
}

function json(value: unknown): string {
  return typeof value === 'string' ? shown(value) : (JSON.stringify(value) ?? 'nothing').slice(0, 80);
}

function refusal(path: string, expected: string, found: string, cause?: unknown): FqvitError {
  return new FqvitError('LABELS', `${path}: expected ${expected}, found ${found}`, { cause });
}

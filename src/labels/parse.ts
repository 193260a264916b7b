import { FqvitError } from '../errors.js';
import { quote } from '../text/quote.js';
import { labelsOfLines } from './lines.js';
import { parseLiteral } from './literal.js';
import { labelsOfValue } from './values.js';
import type { Labels } from './wnids.js';

/** Ten times the longest published list, the names of ImageNet-21k as JSON. */
const MAX_CHARACTERS = 2 ** 24;

/** Fits a definition of WordNet, but not a page or a program in one line. */
const MAX_LABEL = 1000;

/**
 * Reads the names of classes from a label file. It may contain:
 *
 * - JSON, or a dict, list or tuple of Python: names in order, names by index (`{0: 'tench'}`),
 *   indices by name, pairs of WordNet id and name by index, objects with an index and a name, or a
 *   config with `id2label` or `label_names`;
 * - lines with an index: `0:tench`, `0,tench`, `0 tench`, `tench,0`, also with tabs; a CSV or TSV
 *   with a header;
 * - lines with a WordNet id: `n01440764 tench`, or the id alone;
 * - one name per line, if the lines have none of these forms.
 *
 * @example
 * ```ts
 * import { readFile } from 'node:fs/promises';
 * import { parseLabels, quantize } from 'fqvit/quantize';
 *
 * const { labels } = parseLabels(await readFile('labels.txt', 'utf8'));
 * const float = await readFile('deit_tiny.safetensors');
 * const { model } = await quantize(float, ['photo.jpg'], { labels });
 * console.log(model.labels);
 * ```
 *
 * @param text the contents of the file
 * @param file the name of the file in messages
 * @returns the names in the order of the classes
 * @throws FqvitError `LABELS` for another form, indices that are not 0 to n - 1, and empty names
 */
export function parseLabels(text: string, file = 'labels'): Labels {
  const refuse = (place: string, expected: string, found: string): never => {
    throw new FqvitError('LABELS', `${file}${place}: expected ${expected}, found ${found}`);
  };
  const refuseLine = (line: number, expected: string, found: string) => refuse(`:${line}`, expected, found);
  const refuseFile = (expected: string, found: string) => refuse('', expected, found);
  if (text.length > MAX_CHARACTERS) refuseFile(`at most ${MAX_CHARACTERS} characters`, String(text.length));
  const clean = text.replace(/^\ufeff/, '').replaceAll(/\r\n?/g, '\n');
  const value = parseLiteral(clean, refuseLine);
  const found = value === undefined ? labelsOfLines(clean, refuseLine) : labelsOfValue(value, refuseFile);
  if (found.labels.length === 0) refuseFile('labels', 'none');
  for (const [index, label] of found.labels.entries()) {
    if (label.trim() === '') refuseFile('a name', `none for class ${index}`);
    if (label.length > MAX_LABEL) refuseFile(`names of at most ${MAX_LABEL} characters`, quote(label));
  }
  const { wnids = [] } = found;
  const first = new Map(wnids.map((wnid, index) => [wnid, index] as const).reverse());
  const twice = wnids.findIndex((wnid, index) => first.get(wnid) !== index);
  if (twice >= 0) refuseFile('every WordNet id once', `${wnids[twice]} again, for class ${twice}`);
  return found;
}

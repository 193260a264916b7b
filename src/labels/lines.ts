/**
 * Labels in lines of text: with an index, with a WordNet id, in columns with a header, or one name
 * a line.
 */

import { formatValue } from '../text/format-value.js';
import type { RefuseLine } from './literal.js';
import { entryOf, INDEX_KEYS, isKey, MAX_CLASSES, NAME_KEYS, numberLabels } from './values.js';
import { type Labels, splitWnids } from './wnids.js';

interface Line {
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

/** A line with an index in it. */
interface Numbered extends Line {
  readonly index: number;
  readonly name: string;
  /**
   * Whether more than a space separates index and name: names may begin or end with a number, as
   * "747 jet".
   */
  readonly isTable: boolean;
}

const AS_LIST = '; if these are names, write them as a JSON list';

/** Longer than any label; bounds the work on one line. */
const MAX_LINE = 2000;
/** Of a table: every row is read cell by cell. */
const MAX_COLUMNS = 100;

/** How files of other forms begin. */
const OTHER_FILES: readonly [RegExp, string][] = [
  [/^<(?:!doctype|\?xml|html)/i, 'HTML or XML'],
  [/^version https:\/\/git-lfs/, 'a pointer of Git LFS: fetch the file itself'],
  [/^(?:---|%YAML)/, 'YAML'],
];

/** Lines of code or YAML. */
const OTHER_LINE = /^[\]})]|[[{(]$|^[A-Za-z_]\w*:(?:$|\s*[[{'"])/;

const SEPARATOR = `(?:[:;,|=]|->|=>)`;
const FIRST = new RegExp(String.raw`^(\d{1,9})(\s*${SEPARATOR}\s*|[.)]\s+|\s+-\s+|\s+)(\S.*)$`);
const BEFORE_LAST = new RegExp(String.raw`(?:${SEPARATOR}|\s-)$`);

/**
 * The part of names that must differ in a table: in "1 star", "2 stars", "3 stars" the numbers
 * belong to the names.
 */
const MOST = 0.9;

export function labelsOfLines(text: string, refuse: RefuseLine): Labels {
  const all = text.trimEnd().split('\n', 2 * MAX_CLASSES);
  const lines = all
    .map((line, at) => ({ text: line.trim(), line: at + 1 }))
    .filter(({ text }) => !/^#(?:[\s!#]|$)/.test(text));
  if (lines.length === 0) return { labels: [] };
  if (lines.length > MAX_CLASSES || all.length === 2 * MAX_CLASSES)
    refuse(MAX_CLASSES + 1, `at most ${MAX_CLASSES} lines`, 'more');
  expectLines(lines, refuse);
  const labels = ofTable(lines, refuse) ?? ofIndexed(lines, refuse);
  if (labels) return labels;
  if (lines.length > 1 && lines.every(({ text }) => /^[+-]?\d+(?:\.\d*)?\s*[,;:\t]/.test(text))) {
    refuse(
      lines[0]!.line,
      'an index in digits, or names',
      `other numbers, ${formatValue(lines[0]!.text)}${AS_LIST}`,
    );
  }
  const names = unquoted(lines, refuse);
  expectUnnumbered(names, refuse);
  const split = wnidsOf(names, refuse);
  expectOneColumn(split.labels, names, refuse);
  if (!split.wnids && names.every(({ text }) => /.\bn\d{8}\b/.test(text))) {
    refuse(names[0]!.line, 'the WordNet id before the name', formatValue(names[0]!.text));
  }
  return split;
}

/** @throws for blank lines between others, and lines of another form */
function expectLines(lines: readonly Line[], refuse: RefuseLine): void {
  for (const { text, line } of lines) {
    if (text.length > MAX_LINE) refuse(line, `lines of at most ${MAX_LINE} characters`, formatValue(text));
    if (text === '') refuse(line, 'a name', 'an empty line');
    if (text.includes('\0')) refuse(line, 'text', 'a NUL character');
    if (OTHER_LINE.test(text)) refuse(line, 'a label', `code or YAML, ${formatValue(text)}${AS_LIST}`);
  }
  const { text, line } = lines[0]!;
  const [, other] = OTHER_FILES.find(([pattern]) => pattern.test(text)) ?? [];
  if (other !== undefined) refuse(line, 'labels', other);
  if (lines.length > 1 && lines.every(({ text }) => /^[-*] /.test(text))) {
    refuse(line, 'labels', `a list of YAML or Markdown, ${formatValue(text)}${AS_LIST}`);
  }
}

/** The labels of a table whose header has known names; undefined for other lines. */
function ofTable([header, ...rows]: readonly Line[], refuse: RefuseLine): Labels | undefined {
  const comma = [',', '\t', ';'].find((one) => header?.text.includes(one));
  if (header === undefined || comma === undefined || rows.length === 0) return undefined;
  const names = cells(header.text, comma);
  const isKnown = (name: string) => name !== '' && (isKey(name, INDEX_KEYS) || isKey(name, NAME_KEYS));
  if (!names.some(isKnown) || !rows.every(({ text }) => text.includes(comma))) return undefined;
  if (names.length > MAX_COLUMNS) refuse(header.line, `at most ${MAX_COLUMNS} columns`, String(names.length));
  const entries = rows.map(({ text, line }) => {
    const row = cells(text, comma);
    if (row.length !== names.length)
      refuse(line, `${names.length} columns`, `${row.length} in ${formatValue(text)}`);
    const entry = entryOf(Object.fromEntries(names.map((name, at) => [name, row[at]!])));
    return entry ?? refuse(line, 'one index and one name', formatValue(text));
  });
  const at = entries.findIndex(({ index }) => index === undefined);
  if (at >= 0) refuse(rows[at]!.line, `a column with the index of the class, as ${INDEX_KEYS[0]}`, 'none');
  return numberLabels(
    entries.map((entry, at) => [entry.index!, entry, `${entry.index} in line ${rows[at]!.line}`]),
    (expected, found) => refuse(header.line, expected, found),
  );
}

/** The labels of lines that all have an index; undefined if not all have one. */
function ofIndexed(lines: readonly Line[], refuse: RefuseLine): Labels | undefined {
  const ways = [first, last].map((way) => lines.map(way));
  for (const way of ways) {
    const rows = way.filter((row) => row !== undefined);
    const tabled = rows.filter(({ isTable }) => isTable).length;
    const isMost = tabled > 1 && tabled > lines.length / 2;
    if (rows.length < lines.length && isMost) {
      const at = way.findIndex((row) => !row?.isTable);
      refuse(lines[at]!.line, 'an index as in the other lines', formatValue(lines[at]!.text) + AS_LIST);
    }
  }
  const whole = ways.filter((way): way is Numbered[] => way.every((row) => row !== undefined));
  const isIndexed = (rows: readonly Numbered[]) => {
    const found = new Set(rows.map(({ index }) => index));
    return found.size === rows.length && rows.every(({ index }) => index < rows.length);
  };
  const tables = whole.filter((rows) => rows.every(({ isTable }) => isTable));
  const table = tables.find(isIndexed) ?? tables[0];
  if (table) {
    if (tables.length > 1 && tables.every(isIndexed)) {
      refuse(table[0]!.line, 'one index in every line', `two, ${formatValue(table[0]!.text)}`);
    }
    return named(table, refuse);
  }
  for (const rows of lines.length > 1 ? whole : []) {
    const differ = new Set(rows.map(({ name }) => name)).size / rows.length;
    const lowest = rows.reduce((low, { index }) => Math.min(low, index), Number.POSITIVE_INFINITY);
    const isCount =
      lowest === 0 || (lowest === 1 && isIndexed(rows.map((row) => ({ ...row, index: row.index - 1 }))));
    if (!isCount || differ <= 0.5) continue;
    if (differ < MOST) {
      refuse(
        rows[0]!.line,
        'names, or an index and a name',
        `lines that can be read as both, ${formatValue(rows[0]!.text)}: write 0:name, or a JSON list`,
      );
    }
    return named(rows, refuse);
  }
  return undefined;
}

function first({ text, line }: Line): Numbered | undefined {
  const [, index, gap, name] = FIRST.exec(text) ?? [];
  if (name === undefined) return undefined;
  return { text, line, name, index: Number(index), isTable: gap!.includes('\t') || gap!.trim() !== '' };
}

function last({ text, line }: Line): Numbered | undefined {
  const index = /\d{1,9}$/.exec(text)?.[0];
  if (index === undefined) return undefined;
  const before = text.slice(0, -index.length);
  const head = before.trimEnd();
  const separator = BEFORE_LAST.exec(head)?.[0] ?? '';
  const name = head.slice(0, head.length - separator.length).trimEnd();
  const isTable = separator !== '' || before.includes('\t', head.length);
  if (name === '' || (!isTable && before === head)) return undefined;
  return { text, line, name, index: Number(index), isTable };
}

/** The names of a table in the order of its indices. */
function named(rows: readonly Numbered[], refuse: RefuseLine): Labels {
  const names = unquoted(
    rows.map(({ name, line }) => ({ text: name, line })),
    refuse,
  );
  const { labels } = wnidsOf(names, refuse);
  const more = [first, last].some((way) => labels.every((text) => way({ text, line: 1 })?.isTable));
  const isCsv = labels.every((text) => /,\S/.test(text));
  if (rows.length > 1 && (more || isCsv)) {
    refuse(
      rows[0]!.line,
      'an index and a name',
      `more columns, ${formatValue(rows[0]!.text)}; add a header with the columns index and label`,
    );
  }
  expectOneColumn(labels, rows, refuse);
  const { line } = rows[0]!;
  return numberLabels(
    rows.map((row, at) => [row.index, { name: names[at]!.text }, `${row.index} in line ${row.line}`]),
    (expected, found) => refuse(line, expected, found + AS_LIST),
  );
}

/**
 * @throws for lines that are numbered from 0 or 1 in another form, as "[0] cat" or "n02119789 1
 *   kit_fox"
 */
function expectUnnumbered(lines: readonly Line[], refuse: RefuseLine): void {
  if (lines.length < 2 || lines.every(({ text }) => /^\d+\.\S/.test(text))) return;
  for (const from of [0, 1]) {
    const rests = lines.map(({ text }, at) => without(text, at + from));
    if (rests.every((rest) => rest !== undefined) && new Set(rests).size > rests.length / 2) {
      refuse(lines[0]!.line, 'names, or 0:name', `numbered lines, ${formatValue(lines[0]!.text)}${AS_LIST}`);
    }
  }
}

/** The text without this number; undefined if the text does not contain it. */
function without(text: string, wanted: number): string | undefined {
  const number = [...text.matchAll(/\d+/g)].find(
    ([digits]) => digits.length < 10 && Number(digits) === wanted,
  );
  return number && text.slice(0, number.index) + text.slice(number.index + number[0].length);
}

function expectOneColumn(labels: readonly string[], lines: readonly Line[], refuse: RefuseLine): void {
  const at = labels.findIndex((label) => label.includes('\t'));
  if (at >= 0) refuse(lines[at]!.line, 'one name', `columns, ${formatValue(lines[at]!.text)}`);
}

function wnidsOf(lines: readonly Line[], refuse: RefuseLine): Labels {
  const names = lines.map(({ text }) => text);
  return splitWnids(names, (expected, found) => refuse(lines[0]!.line, expected, found));
}

/**
 * The lines without the quotes and commas of code and CSV. @throws for single quotes around most of
 * the names
 */
function unquoted(lines: readonly Line[], refuse: RefuseLine): Line[] {
  const isListed = lines.length > 1 && lines.slice(0, -1).every(({ text }) => text.endsWith(','));
  const texts = lines.map(({ text }) => (isListed ? text.replace(/,$/, '').trimEnd() : text));
  const isCode = texts.every((text) => /^(?:'[^'\\]*'|"[^"\\]*")$/.test(text));
  const single = texts.filter((text) => /^'.*'$/.test(text)).length;
  if (!isCode && single > 1 && single > texts.length / 2) {
    refuse(lines[0]!.line, 'names, or a list in brackets', `names in quotes, ${formatValue(texts[0]!)}`);
  }
  return lines.map(({ line }, at) => {
    const text = texts[at]!;
    const isQuoted = isCode || /^"(?:[^"]|"")*"$/.test(text);
    return { line, text: isQuoted ? text.slice(1, -1).replaceAll('""', '"') : text };
  });
}

/** The cells of a row of CSV or TSV. */
function cells(text: string, comma: string): string[] {
  const found: string[] = [];
  let at = 0;
  for (;;) {
    const quoted = /^\s*"((?:[^"]|"")*)"\s*/.exec(text.slice(at));
    const isQuoted = quoted !== null && [comma, undefined].includes(text[at + quoted[0].length]);
    const end = isQuoted ? at + quoted[0].length : text.indexOf(comma, at);
    const raw = end < 0 ? text.slice(at) : text.slice(at, end);
    found.push(isQuoted ? quoted[1]!.replaceAll('""', '"') : raw.trim());
    if (end < 0 || end >= text.length) return found;
    at = end + 1;
  }
}

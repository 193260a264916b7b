import { formatValue } from '../text/format-value.js';
import type { JsonObject } from '../text/json-object.js';
import { escapeInvisible } from '../text/quote.js';
import { isWnid, type Labels, splitWnids } from './wnids.js';

/** Throws, with what was expected and what was found. */
export type RefuseLabels = (expected: string, found: string) => never;

/**
 * Names of the index, as a key of an object about one class or as a column. pandas leaves the
 * header of its index empty.
 */
export const INDEX_KEYS = [
  'index',
  'idx',
  'id',
  'classid',
  'classidx',
  'classindex',
  'labelid',
  'categoryid',
  '',
];
export const NAME_KEYS = ['label', 'name', 'class', 'classname', 'labelname', 'displayname', 'title'];

/** Whether a key is one of these, as class_id, ClassId or "class id". */
export function isKey(key: string, keys: readonly string[]): boolean {
  return keys.includes(key.toLowerCase().replaceAll(/[\s_-]/g, ''));
}

/**
 * Keys for the labels in a config or a data set; if there are several, they must agree. `label2id`
 * is not among them: if two classes have the same name, it loses one.
 */
const WRAPPERS = ['id2label', 'label_names', 'labels', 'class_names', 'classes', 'names', 'categories'];

const FORMS = 'a list of names, names by index, indices by name, or a config with id2label or label_names';

/** One class. */
interface LabelEntry {
  readonly index?: number;
  readonly name: string;
  readonly wnid?: string;
}

/**
 * The labels in a list (names, or objects with index and name), in an object (names by index,
 * indices by name, names by WordNet id), or in a config that has one of these.
 */
export function labelsOfValue(value: unknown, refuse: RefuseLabels): Labels {
  if (Array.isArray(value)) return ofList(value, refuse);
  if (typeof value !== 'object' || value === null) return refuse(FORMS, formatValue(value));
  return ofObject(value as JsonObject, refuse);
}

function ofList(list: readonly unknown[], refuse: RefuseLabels): Labels {
  if (list.every((item) => typeof item === 'string')) return splitWnids(list, refuse);
  const entries = list.map((item, at) => entry(item, `position ${at}`, refuse));
  const indexed = entries.filter(({ index }) => index !== undefined);
  if (indexed.length === 0 && list.every(Array.isArray)) return inOrder(entries, refuse);
  const without = entries.findIndex(({ index }) => index === undefined);
  if (without >= 0) {
    const found = `${json(list[without])} at position ${without}`;
    return refuse('strings, or objects with an index and a name', found);
  }
  return numberLabels(
    entries.map((one, at) => [one.index!, one, `${one.index} at position ${at}`]),
    refuse,
  );
}

function ofObject(object: JsonObject, refuse: RefuseLabels): Labels {
  const entries = Object.entries(object);
  if (entries.length === 0) return refuse('labels', 'none');
  const byIndex = entries.every(([key]) => isInteger(key));
  const toIndex = entries.every(([, value]) => isInteger(value));
  if (byIndex && toIndex && entries.some(([key, value]) => Number(key) !== Number(value))) {
    return refuse('names by index or indices by name', 'numbers by number');
  }
  if (byIndex) {
    const rows = entries.map(([key, value]): LabelRow => {
      const one = typeof value === 'number' ? { name: key } : entry(value, `key ${formatValue(key)}`, refuse);
      if (one.index !== undefined && one.index !== Number(key)) {
        return refuse(`index ${key} in the object under it`, String(one.index));
      }
      return [Number(key), one, `the key ${formatValue(key)}`];
    });
    return numberLabels(rows, refuse);
  }
  if (toIndex) {
    const rows = entries.map(
      ([name, index]): LabelRow => [Number(index), { name }, `${index} under ${formatValue(name)}`],
    );
    return numberLabels(rows, refuse);
  }
  if (entries.every(([key]) => isWnid(key))) return byWnid(entries, refuse);
  const strange = entries.find(([key]) => !isInteger(key));
  if (entries.some(([key]) => isInteger(key)))
    return refuse('an index from 0 as every key', formatValue(strange![0]));
  return ofConfig(object, refuse);
}

/**
 * Objects have no order, so the ids must be in ascending order, as data sets number their classes.
 */
function byWnid(entries: readonly [string, unknown][], refuse: RefuseLabels): Labels {
  const late = entries.findIndex(([key], at) => at > 0 && key < entries[at - 1]![0]);
  if (late >= 0) {
    return refuse(
      'an index for each WordNet id, or the ids in ascending order',
      `${entries[late]![0]} after ${entries[late - 1]![0]}`,
    );
  }
  return inOrder(
    entries.map(([wnid, value]) => ({ ...entry(value, `key "${wnid}"`, refuse), wnid })),
    refuse,
  );
}

function ofConfig(object: JsonObject, refuse: RefuseLabels): Labels {
  const isNested = (key: string) => typeof object[key] === 'object' && object[key] !== null;
  const [first, ...others] = WRAPPERS.filter(isNested);
  if (first === undefined) {
    const only = ['label2id', 'pretrained_cfg'].find(isNested);
    if (only !== undefined) return labelsOfValue(object[only], refuse);
    return refuse(FORMS, `an object with ${keys(object)}`);
  }
  const labels = described(labelsOfValue(object[first], refuse), object.label_descriptions, refuse);
  for (const other of others) {
    const same = described(labelsOfValue(object[other], refuse), object.label_descriptions, refuse);
    if (JSON.stringify(same) !== JSON.stringify(labels))
      return refuse(`${other} with the labels of ${first}`, 'others');
  }
  return labels;
}

/** timm's form: the descriptions are the labels; names that are WordNet ids are kept with them. */
function described(named: Labels, descriptions: unknown, refuse: RefuseLabels): Labels {
  const { labels } = named;
  if (typeof descriptions !== 'object' || descriptions === null) return named;
  const isList = Array.isArray(descriptions);
  const texts = labels.map((name, index) => (descriptions as JsonObject)[isList ? index : name]);
  const without = texts.findIndex((text) => typeof text !== 'string');
  if (without >= 0)
    return refuse('label_descriptions of every class', `none of ${formatValue(labels[without])}`);
  return { labels: texts as string[], ...(labels.every(isWnid) ? { wnids: labels } : {}) };
}

/** An index, its class, and the place for messages. */
type LabelRow = [index: number, entry: LabelEntry, place: string];

/** The labels in the order of their indices, which must be 0 to n - 1, each once. */
export function numberLabels(rows: readonly LabelRow[], refuse: RefuseLabels): Labels {
  const found: LabelEntry[] = [];
  const expected = `every index from 0 to ${rows.length - 1} once`;
  const fromOne = new Set(rows.map(([index]) => index));
  if (fromOne.size === rows.length && [...fromOne].every((index) => index >= 1 && index <= rows.length)) {
    return refuse(
      expected,
      `1 to ${rows.length}: write the labels in the order of the model's classes, from 0`,
    );
  }
  for (const [index, one, place] of rows) {
    if (index >= rows.length || found[index] !== undefined) return refuse(expected, place);
    found[index] = one;
  }
  return inOrder(found, refuse);
}

function inOrder(entries: readonly LabelEntry[], refuse: RefuseLabels): Labels {
  const labels = entries.map(({ name }) => name);
  const wnids = entries.map(({ wnid }) => wnid);
  const without = wnids.indexOf(undefined);
  if (without < 0) return { labels, wnids: wnids as string[] };
  if (wnids.some((wnid) => wnid !== undefined))
    return refuse('a WordNet id for every class', `none for ${formatValue(labels[without])}`);
  return splitWnids(labels, refuse);
}

/**
 * A name, a pair of WordNet id and name, or an object with a name and optionally an index and a
 * WordNet id.
 */
function entry(value: unknown, place: string, refuse: RefuseLabels): LabelEntry {
  if (typeof value === 'string') return { name: value };
  if (Array.isArray(value)) {
    const [wnid, name] = value;
    if (value.length === 2 && isWnid(wnid) && typeof name === 'string') return { wnid, name };
    return refuse('a name, or a WordNet id and a name', `${formatValue(value)} at ${place}`);
  }
  const row = entryOf(Object(value) as JsonObject);
  return row ?? refuse('strings, or objects with an index and a name', `${json(value)} at ${place}`);
}

/**
 * One class from an object; undefined unless it has exactly one name and at most one index and
 * WordNet id.
 */
export function entryOf(object: JsonObject): LabelEntry | undefined {
  const values = (known: readonly string[]) =>
    Object.entries(object).flatMap(([key, value]) => (isKey(key, known) ? [value] : []));
  const wnids = new Set(
    Object.values(object)
      .map(wnidOf)
      .filter((wnid) => wnid !== undefined),
  );
  const names = new Set(
    values(NAME_KEYS).filter(
      (v) => typeof v === 'string' && !isInteger(v) && wnidOf(v) === undefined,
    ) as string[],
  );
  const indices = new Set(
    values([...INDEX_KEYS, ...NAME_KEYS])
      .filter(isInteger)
      .map(Number),
  );
  const [wnid] = wnids;
  const [name = wnid] = names;
  const [index] = indices;
  if (name === undefined || names.size > 1 || wnids.size > 1 || indices.size > 1) return undefined;
  return { name, ...(index === undefined ? {} : { index }), ...(wnid === undefined ? {} : { wnid }) };
}

/** Also in the form of WordNet's site: 01440764-n. */
function wnidOf(value: unknown): string | undefined {
  if (isWnid(value)) return value;
  return typeof value === 'string' && /^\d{8}-n$/.test(value) ? `n${value.slice(0, 8)}` : undefined;
}

/** Whether it is an index: a number, or its digits. */
function isInteger(value: unknown): boolean {
  return typeof value === 'string'
    ? /^\d{1,9}$/.test(value)
    : Number.isSafeInteger(value) && (value as number) >= 0;
}

function keys(object: JsonObject): string {
  const names = Object.keys(object);
  return names.slice(0, 5).map(formatValue).join(', ') + (names.length > 5 ? ', …' : '');
}

function json(value: unknown): string {
  return typeof value === 'string'
    ? formatValue(value)
    : escapeInvisible((JSON.stringify(value) ?? 'nothing').slice(0, 80));
}

/** More than the 100,000 classes that a head may have. */
export const MAX_CLASSES = 2 ** 17;

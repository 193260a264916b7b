import { formatValue } from '../text/format-value.js';

/** The names of the classes, in order. */
export interface Labels {
  /** Names of the classes, by index. */
  readonly labels: readonly string[];
  /** WordNet ids of the classes, if the labels have both ids and names. */
  readonly wnids?: readonly string[];
}

/**
 * A WordNet id and the name after it, as in `n01440764 tench`, `n01440764_tench` or
 * `n02085620-Chihuahua`.
 */
const WNID = /^(n\d{8})(?:[\s,:;|_-]+(\S[\s\S]*))?$/;

/** Whether it is a WordNet id, as in the folder names of ImageNet: n01440764. */
export function isWnid(value: unknown): value is string {
  return typeof value === 'string' && /^n\d{8}$/.test(value);
}

/** The WordNet id at the start of a name. */
export function leadingWnid(name: string): string | undefined {
  return WNID.exec(name)?.[1];
}

/**
 * Splits names that begin with a WordNet id into ids and names; leaves other names unchanged.
 *
 * @param refuse throws if only some of the names have ids
 */
export function splitWnids(
  names: readonly string[],
  refuse: (expected: string, found: string) => never,
): Labels {
  const parts = names.map((name) => WNID.exec(name));
  const without = parts.indexOf(null);
  if (without < 0) {
    if (parts.every((part) => part![2] === undefined)) return { labels: names };
    const nameless = parts.findIndex((part) => part![2] === undefined);
    if (nameless >= 0) refuse('a name after every WordNet id', `none after ${names[nameless]}`);
    return { labels: parts.map((part) => part![2]!), wnids: parts.map((part) => part![1]!) };
  }
  if (parts.some((part) => part !== null)) {
    refuse(
      'a WordNet id before every name or before none',
      `${formatValue(names[without])} for class ${without}`,
    );
  }
  return { labels: names };
}

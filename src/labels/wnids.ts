import { shown } from '../checkpoint/shown.js';

/** The names of the classes, in their order. */
export interface Labels {
  readonly labels: readonly string[];
  /** WordNet ids of the classes, where there are some beside the names. */
  readonly wnids?: readonly string[];
}

/** A WordNet id, and what follows it in `n01440764 tench`, `n01440764_tench` or `n02085620-Chihuahua`. */
const WNID = /^(n\d{8})(?:[\s,:;|_-]+(\S[\s\S]*))?$/;

/** Whether it is a WordNet id, as ImageNet calls its folders: n01440764. */
export function isWnid(value: unknown): value is string {
  return typeof value === 'string' && /^n\d{8}$/.test(value);
}

/** The WordNet id with which a name begins. */
export function leadingWnid(name: string): string | undefined {
  return WNID.exec(name)?.[1];
}

/**
 * Names that begin with a WordNet id, parted into both; other names as they are.
 *
 * @param refuse throws for ids before some of the names
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
    refuse('a WordNet id before every name or before none', `${shown(names[without])} for class ${without}`);
  }
  return { labels: names };
}

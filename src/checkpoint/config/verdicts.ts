/**
 * What becomes of each key of a config: it is applied, it is harmless, or only some of its values are accepted. The tables beside this file
 * hold a verdict for every key that timm and transformers write; docs/configs.md is generated from them.
 */

import { shown } from '../shown.js';

export type Verdict = {
  readonly keys: readonly string[];
} & (
  | { /** How. */ readonly applied: string }
  | { /** Why. */ readonly harmless: string }
  | {
      /** The values that change nothing; null and an absent key are among them. */
      readonly only: readonly unknown[];
      /** What any other value would ask for. */
      readonly because: string;
    }
);

/** The verdicts on one kind of JSON object. */
export interface VerdictTable {
  /** How docs and messages name it. */
  readonly title: string;
  readonly verdicts: readonly Verdict[];
  /** A key without a verdict: refused where its library would not ignore it. */
  readonly others: 'ignored' | 'refused';
}

/**
 * Holds an object against its table.
 *
 * @param refuse throws; it is given the key, what was expected and what was found
 * @returns the keys that have no verdict, where those are ignored: the library that defines the file ignores them too
 */
export function judge(
  json: Readonly<Record<string, unknown>>,
  table: VerdictTable,
  refuse: (message: string) => never,
): string[] {
  const verdicts = new Map(
    table.verdicts.flatMap((verdict) => verdict.keys.map((key) => [key, verdict] as const)),
  );
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    const verdict = verdicts.get(key);
    if (verdict === undefined) {
      // Something to be done to photos or weights, by a name that a later version may have brought.
      if (table.others === 'refused' || (key.startsWith('do_') && value !== false && value !== null)) {
        refuse(`${key}: expected a key that is known, found ${shown(value)}`);
      }
      unknown.push(key);
    } else if ('only' in verdict && value !== null && !verdict.only.some((one) => isEqual(one, value))) {
      const values = verdict.only.map((one) => (typeof one === 'object' ? JSON.stringify(one) : shown(one)));
      refuse(
        `${key}: expected ${values.length > 0 ? values.join(' or ') : 'nothing'}, found ${shown(value)}: ` +
          `${verdict.because} is not supported`,
      );
    }
  }
  return unknown;
}

/** Of the values that tables list: plain ones and empty objects and arrays. */
function isEqual(listed: unknown, value: unknown): boolean {
  if (typeof listed !== 'object' || typeof value !== 'object' || value === null) return listed === value;
  return Array.isArray(listed) === Array.isArray(value) && Object.keys(value).length === 0;
}

/** A warning about keys that were ignored, if there are any. */
export function ignoredKeys(keys: readonly string[], title: string): string[] {
  if (keys.length === 0) return [];
  const names = keys.slice(0, 5).map(shown).join(', ');
  const more = keys.length > 5 ? ` and ${keys.length - 5} more` : '';
  return [`${title}: keys that are not known were ignored: ${names}${more}`];
}

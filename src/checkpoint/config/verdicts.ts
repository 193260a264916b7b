/**
 * The treatment of each key of a config: it is applied, it is harmless, or only some of its values
 * are accepted. The tables in this folder have a verdict for every key that timm and transformers
 * write; docs/configs.md is generated from them.
 */

import { formatValue } from '../../text/format-value.js';

export type Verdict = {
  readonly keys: readonly string[];
} & (
  | { /** How the key is applied. */ readonly applied: string }
  | { /** Why the key can be ignored. */ readonly harmless: string }
  | {
      /** The accepted values, besides null and an absent key. */
      readonly only: readonly unknown[];
      /** What any other value would require. */
      readonly because: string;
    }
);

/** The verdicts on one kind of JSON object. */
export interface VerdictTable {
  /** The name of the object in docs and messages. */
  readonly title: string;
  readonly verdicts: readonly Verdict[];
  /** The treatment of a key without a verdict: `refused` if the library does not ignore it. */
  readonly others: 'ignored' | 'refused';
}

/**
 * Checks an object against its table.
 *
 * @param refuse throws an error; its argument names the key, what was expected and what was found
 * @returns the keys without a verdict, which the library also ignores
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
    const name = /^\w+$/.test(key) ? key : formatValue(key);
    if (verdict === undefined) {
      // A later version of the library may have added a preprocessing step with such a name.
      if (table.others === 'refused' || (key.startsWith('do_') && value !== false && value !== null)) {
        refuse(`${name}: expected a known key, found ${formatValue(value)}`);
      }
      unknown.push(key);
    } else if ('only' in verdict && value !== null && !verdict.only.some((one) => isEqual(one, value))) {
      const values = verdict.only.map((one) =>
        typeof one === 'object' ? JSON.stringify(one) : formatValue(one),
      );
      refuse(
        `${key}: expected ${values.length > 0 ? values.join(' or ') : 'null'}, found ${formatValue(value)}: ` +
          `fqvit does not support ${verdict.because}`,
      );
    }
  }
  return unknown;
}

/** Equality for the values in the tables: primitives, empty objects and empty arrays. */
function isEqual(listed: unknown, value: unknown): boolean {
  if (typeof listed !== 'object' || typeof value !== 'object' || value === null) return listed === value;
  return Array.isArray(listed) === Array.isArray(value) && Object.keys(value).length === 0;
}

/** One warning about ignored keys, or none. */
export function ignoredKeys(keys: readonly string[], title: string): string[] {
  if (keys.length === 0) return [];
  const names = keys.slice(0, 5).map(formatValue).join(', ');
  const more = keys.length > 5 ? ` and ${keys.length - 5} more` : '';
  return [`${title}: unknown keys are ignored: ${names}${more}`];
}

/** What the readers of timm's and transformers' configs share. */

import { formatValue } from '../../text/format-value.js';

export type Json = Readonly<Record<string, unknown>>;

/** Throws an error; the message names the key, what was expected and what was found. */
export type Refuse = (message: string) => never;

/**
 * The side of a square, given as one number or two equal numbers. Values that are not arrays are
 * returned unchanged and validated later.
 */
export function side(value: unknown, key: string, refuse: Refuse): unknown {
  if (!Array.isArray(value)) return value;
  if (value.length === 2 && value[0] === value[1]) return value[0];
  return refuse(`${key}: expected one number or two equal numbers, found ${formatValue(value)}`);
}

/** Drops the keys whose value is undefined. */
export function told(config: Json): Json {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}

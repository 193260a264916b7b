/** What the readers of timm's and transformers' configs share. */

import { formatValue } from '../../text/format-value.js';
import type { JsonObject } from '../../text/json-object.js';
import type { Refuse } from '../../text/refuse.js';

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
export function told(config: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}

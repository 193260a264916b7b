/** What the readers of timm's and transformers' configs share. */

import { shown } from '../shown.js';

export type Json = Readonly<Record<string, unknown>>;

/** Throws, with the key, what was expected and what was found. */
export type Refuse = (message: string) => never;

/** The side of a square: one number, or two equal numbers. Values other than arrays pass, to be validated later. */
export function side(value: unknown, key: string, refuse: Refuse): unknown {
  if (!Array.isArray(value)) return value;
  if (value.length === 2 && value[0] === value[1]) return value[0];
  return refuse(`${key}: expected one number or two equal numbers, found ${shown(value)}`);
}

/** The keys that have a value. */
export function told(config: Json): Json {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}

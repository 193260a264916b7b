import type { Refuse } from '../text/refuse.js';

/**
 * The shapes of activations. A layer's kind maps the shapes of what it reads to the shape of what
 * it makes, so that a network states neither.
 */

/** Rows of a map of side × side tokens in window order after a cyclic shift. */
export interface WindowOrder {
  readonly side: number;
  readonly window: number;
  readonly shift: number;
}

/** Rows of scores or probabilities: `[windows, heads, queries]`, one column per token. */
export interface HeadRows {
  readonly windows: number;
  readonly heads: number;
  readonly queries: number;
  readonly tokens: number;
}

export interface Shape {
  readonly rows: number;
  readonly columns: number;
  /** The order of the rows of a map, unless it is reading order. */
  readonly order?: WindowOrder | undefined;
  /** What the rows are, if they are scores or probabilities. */
  readonly heads?: HeadRows | undefined;
  /** The first columns, of which only the first rows are computed. */
  readonly partial?: { readonly rows: number; readonly columns: number } | undefined;
}

/** The shape alone of an activation. */
export function shapeOnly({ rows, columns, order, heads, partial }: Shape): Shape {
  return { rows, columns, order, heads, partial };
}

/** The windows of a map; tokens in reading order are one window. */
export function windowsOf({ rows, order }: Shape): { windows: number; tokens: number } {
  const windows = order === undefined ? 1 : (order.side / order.window) ** 2;
  return { windows, tokens: rows / windows };
}

/** The side of a square map of tokens. */
export function sideOf({ rows, order }: Shape, refuse: Refuse): number {
  const side = Math.sqrt(rows);
  if (order !== undefined) refuse('expected rows in reading order, found window order');
  return Number.isInteger(side) ? side : refuse(`expected a square map of tokens, found ${rows} rows`);
}

/** Refuses rows that are scores, and rows that are computed in part. */
export function expectPlain({ heads, partial }: Shape, refuse: Refuse): void {
  if (heads !== undefined) refuse('expected rows of tokens, found scores of attention');
  if (partial !== undefined) refuse('expected whole rows, found some that are computed in part');
}

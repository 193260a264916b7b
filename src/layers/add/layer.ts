import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { expectPlain, type Shape, sideOf } from '../shape.js';

/**
 * a + b, for the rows of b and as many of a. The rows of b may be in window order; the sum is in
 * reading order.
 */
export interface AddLayer extends LayerBase<'add'> {}

export function addShape([a, b]: readonly Shape[], refuse: Refuse): Shape {
  expectPlain(a!, refuse);
  expectPlain(b!, refuse);
  if (a!.columns !== b!.columns) refuse(`expected ${a!.columns} columns, found ${b!.columns}`);
  if (a!.rows < b!.rows) refuse(`expected at most ${a!.rows} rows, found ${b!.rows}`);
  const { rows, columns, order } = b!;
  if (order === undefined) {
    if (a!.order !== undefined) refuse('expected rows in reading order, found window order');
  } else if (sideOf(a!, refuse) !== order.side) {
    refuse(`expected a map of ${order.side}×${order.side} tokens, found ${a!.rows} rows`);
  }
  return { rows, columns };
}

import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { expectPlain, type Shape } from '../shape.js';

/** The mean of the rows, without the first `skip`. */
export interface PoolLayer extends LayerBase<'pool'> {
  readonly skip: number;
}

export function poolShape({ skip }: { skip: number }, [input]: readonly Shape[], refuse: Refuse): Shape {
  expectPlain(input!, refuse);
  if (skip >= input!.rows) refuse(`skip: expected fewer than ${input!.rows} rows, found ${skip}`);
  if (skip > 0 && input!.order !== undefined) refuse('expected rows in reading order, found window order');
  return { rows: 1, columns: input!.columns };
}

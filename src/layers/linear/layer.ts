import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { expectPlain, type Shape } from '../shape.js';

/** x·Wᵀ + b of every row. */
export interface LinearLayer extends LayerBase<'linear'> {
  readonly outputs: number;
  /** Computes the first columns for the first rows only: q of the tokens that go on. */
  readonly partial?: { readonly rows: number; readonly columns: number };
  /** A GELU reads the output, as fine codes. */
  readonly fine?: true;
  /** The first or last layer: its weights keep at least 7 bits, and its inputs 8. */
  readonly edge?: true;
  /** The float layer has no bias. */
  readonly unbiased?: true;
}

/**
 * Inputs of the widest layer, for which the accumulator has room (assembly/gemm/gemm.scalar.ts).
 */
export const MAX_INPUTS = 16384;

export function linearShape(
  { outputs, partial }: Pick<LinearLayer, 'outputs' | 'partial'>,
  [input]: readonly Shape[],
  refuse: Refuse,
): Shape {
  const { rows, columns, order } = input!;
  expectPlain(input!, refuse);
  if (columns > MAX_INPUTS) refuse(`expected at most ${MAX_INPUTS} inputs, found ${columns}`);
  if (partial !== undefined) {
    if (order !== undefined) refuse('partial: expected rows in reading order, found window order');
    if (partial.columns >= outputs || partial.rows >= rows)
      refuse(
        `partial: expected fewer than ${rows} rows and ${outputs} columns, found ${partial.rows} and ${partial.columns}`,
      );
  }
  return { rows, columns: outputs, order, ...(partial ? { partial } : {}) };
}

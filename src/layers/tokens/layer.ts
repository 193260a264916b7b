import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { expectPlain, type Shape } from '../shape.js';

/** Constant tokens (class token, distillation token, registers), then the rows that it reads. */
export interface TokensLayer extends LayerBase<'tokens'> {
  /** Number of constant tokens. */
  readonly prefix: number;
  /** The float tensor with the constant tokens. */
  readonly source: string;
}

export function tokensShape(
  { prefix }: { prefix: number },
  [patches]: readonly Shape[],
  refuse: Refuse,
): Shape {
  expectPlain(patches!, refuse);
  if (patches!.order !== undefined) refuse('expected rows in reading order, found window order');
  return { rows: prefix + patches!.rows, columns: patches!.columns };
}

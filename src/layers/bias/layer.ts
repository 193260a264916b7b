import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { type Shape, shapeOnly } from '../shape.js';

/**
 * Scores + the relative position bias of each pair of tokens. Reads scores, and a table
 * `[(2·window - 1)², heads]`.
 */
export interface BiasLayer extends LayerBase<'bias'> {}

export function biasShape([scores, table]: readonly Shape[], refuse: Refuse): Shape {
  const { heads } = scores!;
  if (heads === undefined) return refuse('expected scores of attention, found rows of tokens');
  const window = Math.sqrt(heads.tokens);
  if (!Number.isInteger(window) || heads.queries !== heads.tokens)
    refuse(`expected scores of all tokens of a square window, found ${heads.queries} × ${heads.tokens}`);
  const rows = (2 * window - 1) ** 2;
  if (table!.rows !== rows || table!.columns !== heads.heads)
    refuse(`expected a table [${rows}, ${heads.heads}], found [${table!.rows}, ${table!.columns}]`);
  return shapeOnly(scores!);
}

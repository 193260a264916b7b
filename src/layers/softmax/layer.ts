import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { type Shape, shapeOnly } from '../shape.js';

/**
 * Probabilities of the tokens, for every row of scores. In a shifted map, tokens count only for
 * tokens that were their neighbours before the shift.
 */
export interface SoftmaxLayer extends LayerBase<'softmax'> {}

export function softmaxShape([scores]: readonly Shape[], refuse: Refuse): Shape {
  if (scores!.heads === undefined) refuse('expected scores of attention, found rows of tokens');
  return shapeOnly(scores!);
}

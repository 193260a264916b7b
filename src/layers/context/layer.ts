import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { headedDim } from '../scores/layer.js';
import { type Shape, windowsOf } from '../shape.js';

/** Probabilities · v of every head in every window. Reads probabilities, and q, k and v. */
export interface ContextLayer extends LayerBase<'context'> {}

export function contextShape([probabilities, qkv]: readonly Shape[], refuse: Refuse): Shape {
  const { heads } = probabilities!;
  if (heads === undefined) return refuse('expected probabilities of attention, found rows of tokens');
  const dim = headedDim(qkv!, heads.heads, refuse);
  const { windows, tokens } = windowsOf(qkv!);
  if (windows !== heads.windows || tokens !== heads.tokens)
    refuse(`expected v of ${heads.windows} windows of ${heads.tokens} tokens, found ${windows} of ${tokens}`);
  if (qkv!.partial !== undefined && qkv!.partial.columns > 2 * dim)
    refuse('expected v of all tokens, found some that are not computed');
  return { rows: windows * heads.queries, columns: dim, order: qkv!.order };
}

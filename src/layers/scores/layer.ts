import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { type Shape, windowsOf } from '../shape.js';

/** q·kᵀ · d^-½ of every head in every window. Reads `[tokens, 3 · dim]`: q, k and v. */
export interface ScoresLayer extends LayerBase<'scores'> {
  readonly heads: number;
  /** The first tokens of a window whose attention is computed. Default: all. */
  readonly queries?: number;
}

/** Tokens of a window, for which the sums of a softmax have room (assembly/softmax). */
export const MAX_TOKENS = 4097;

export function scoresShape(
  { heads, queries }: Pick<ScoresLayer, 'heads' | 'queries'>,
  [qkv]: readonly Shape[],
  refuse: Refuse,
): Shape {
  const { windows, tokens } = windowsOf(qkv!);
  const dim = headedDim(qkv!, heads, refuse);
  if (tokens > MAX_TOKENS) refuse(`expected at most ${MAX_TOKENS} tokens, found ${tokens}`);
  const some = queries ?? tokens;
  if (some > tokens || (some < tokens && windows > 1))
    refuse(
      `queries: expected at most the ${tokens} tokens of a window, all of them in a map of windows, found ${some}`,
    );
  const { partial } = qkv!;
  if (partial !== undefined && (partial.columns !== dim || partial.rows < some))
    refuse(
      `expected q of ${some} tokens, found ${partial.columns} of ${dim} columns for ${partial.rows} tokens`,
    );
  return {
    rows: windows * heads * some,
    columns: tokens,
    order: qkv!.order,
    heads: { windows, heads, queries: some, tokens },
  };
}

/** The width of q, of k and of v. */
export function headedDim({ columns, heads: found }: Shape, heads: number, refuse: Refuse): number {
  const dim = columns / 3;
  if (found !== undefined) refuse('expected rows of tokens, found scores of attention');
  if (!Number.isInteger(dim) || dim % heads !== 0)
    refuse(`heads: expected q, k and v of ${heads} heads of the same width, found ${columns} columns`);
  return dim;
}

import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { expectPlain, type Shape, sideOf } from '../shape.js';

/** LayerNorm of every row, or of some, also into another order. */
export interface LayerNormLayer extends LayerBase<'layernorm'> {
  /** Only the first rows. */
  readonly rows?: number;
  /** The rows become one, side by side. */
  readonly joined?: true;
  /** The rows of a map in window order. */
  readonly window?: { readonly size: number; readonly shift: number };
  /** Each row is a 2×2 patch of a map. */
  readonly merge?: true;
}

/** Channels of the widest row, for which its sums have room (assembly/layernorm). */
export const MAX_CHANNELS = 4096;
/** Side of the largest window, in tokens. */
export const MAX_WINDOW = 64;

/** Channels of a normalised row. */
export function channelsOf({ merge }: Pick<LayerNormLayer, 'merge'>, { columns }: Shape): number {
  return merge ? 4 * columns : columns;
}

export function layerNormShape(layer: LayerNormLayer, [input]: readonly Shape[], refuse: Refuse): Shape {
  const { rows, joined, window, merge } = layer;
  expectPlain(input!, refuse);
  const columns = channelsOf(layer, input!);
  if (columns > MAX_CHANNELS) refuse(`expected at most ${MAX_CHANNELS} channels, found ${columns}`);
  if (Number(window !== undefined) + Number(merge === true) + Number(rows !== undefined) > 1)
    refuse('expected one of rows, window and merge, found several');
  if (rows !== undefined && (rows > input!.rows || input!.order !== undefined))
    refuse(`rows: expected at most ${input!.rows} rows in reading order, found ${rows}`);
  if (joined && rows === undefined) refuse('joined: expected with rows, found alone');
  if (window !== undefined) {
    const side = sideOf(input!, refuse);
    if (side % window.size !== 0 || window.shift >= window.size || window.size > MAX_WINDOW)
      refuse(
        `window: expected a size of at most ${MAX_WINDOW} that divides the ${side} tokens of a side, and a shift below it, found ${window.size} and ${window.shift}`,
      );
    return { rows: input!.rows, columns, order: { side, window: window.size, shift: window.shift } };
  }
  if (merge) {
    const side = sideOf(input!, refuse);
    if (side % 2 !== 0) refuse(`merge: expected a map with an even side, found ${side}`);
    return { rows: input!.rows / 4, columns };
  }
  if (rows === undefined) return { rows: input!.rows, columns, order: input!.order };
  return joined ? { rows: 1, columns: rows * columns } : { rows, columns };
}

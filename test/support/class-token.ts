/**
 * The last block of a DeiT or ViT computes the class token alone: the codes of an activation that a
 * plan makes.
 */
import type { IntegerModel } from '../../src/checkpoint/integer/model.js';

/**
 * The codes of an activation that the plan computes: as many rows as it has (the first of each head
 * if there are heads), and of a partial one only the columns that it computes.
 *
 * @param codes the rows of all tokens, or the rows of the activation
 */
export function computed(
  codes: Uint8Array,
  output: string,
  { program }: Pick<IntegerModel, 'program'>,
): Uint8Array {
  const { rows, columns, partial } = program.activations.get(output)!;
  const step = codes.length / columns / rows;
  const wanted = Array.from({ length: rows }, (_, i) => {
    const at = i * step * columns;
    const row = codes.subarray(at, at + columns);
    return partial === undefined || i < partial.rows ? row : row.subarray(partial.columns);
  });
  return new Uint8Array(Buffer.concat(wanted));
}

/** The last block of a DeiT or ViT goes on for the class token alone: which codes of a tensor a plan makes. */
import type { Architecture } from '../../src/checkpoint/architecture.js';
import type { Buffer as Activation } from '../../src/models/integer.js';

/**
 * Of the codes of a tensor those that the plan computes: as many rows as its buffer has, the first one of every head where there
 * are heads; and of q, k and v of the last block not the q of other tokens than the first.
 *
 * @param codes rows of all tokens, or as the buffer holds them
 */
export function computed(
  codes: Uint8Array,
  output: string,
  { rows, columns }: Activation,
  architecture: Architecture,
): Uint8Array {
  const step = codes.length / columns / rows;
  const wanted = Array.from({ length: rows }, (_, i) => {
    const at = i * step * columns;
    return codes.subarray(at, at + columns);
  });
  if (architecture.family === 'swin' || output !== `blocks.${architecture.depth - 1}.attn.qkv.out`)
    return joined(wanted);
  return joined(wanted.map((row, i) => (i === 0 ? row : row.subarray(architecture.dim))));
}

const joined = (rows: Uint8Array[]) => new Uint8Array(Buffer.concat(rows));

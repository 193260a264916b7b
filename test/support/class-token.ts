/**
 * The last block of a DeiT or ViT computes the class token alone: the codes of a tensor that a plan
 * makes.
 */
import type { Architecture } from '../../src/checkpoint/architecture.js';
import type { Buffer as Activation } from '../../src/models/integer.js';

/**
 * The codes of a tensor that the plan computes: as many rows as its buffer has (the first of each
 * head if there are heads), and of the last block's q only that of the first token.
 *
 * @param codes the rows of all tokens, or the rows of the buffer
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

import type { Description } from './integer-description.js';

/**
 * The probability that each attention code of a block stands for, f64 `[256]`: 2^-code, 2^(-code/8)
 * or scale · code, depending on the recipe (paper, section 3.3; docs/integer-checkpoint.md).
 *
 * @param name `B.attn.softmax`
 */
export function attentionValues({ recipe, quantizers }: Description, name: string): Float64Array {
  if (recipe.attention === 'uniform') {
    const { scale } = quantizers.get(name.replace(/softmax$/, 'probs'))!;
    return Float64Array.from({ length: 256 }, (_, code) => scale * code);
  }
  const [steps, last] = recipe.attention === 'log2' ? [1, 15] : [8, 127];
  return Float64Array.from({ length: 256 }, (_, code) => (code > last ? 0 : 2 ** (-code / steps)));
}

import type { IntegerActivation } from '../integer-activation.js';

/**
 * The probability that each attention code stands for, f64 `[256]`: 2^-code, 2^(-code/8) or
 * scale · code (paper, section 3.3; docs/integer-checkpoint.md).
 */
export function attentionValues({ element, highest, scale }: IntegerActivation): Float64Array {
  const value = (code: number) => {
    if (element === 'uniform') return scale! * code;
    return code > highest ? 0 : 2 ** (-code / (element === 'log2' ? 1 : 8));
  };
  return Float64Array.from({ length: 256 }, (_, code) => value(code));
}

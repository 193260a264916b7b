import { FINE_CODES } from '../linear/integer.js';
import { affineCode } from '../round.js';
import type { Gelu } from './layer.js';

/** A fine quantiser of fc1's output, and the table from its codes to the codes after the GELU. */
export interface GeluTable {
  /** Real size of one step of the index. */
  readonly scale: number;
  /** Index of 0. */
  readonly zeroPoint: number;
  /** u8 `[4096]`. */
  readonly table: Uint8Array;
}

/** Below this, every GELU is within 1e-9 of 0; above its negative, of the identity. */
const FAR = 15;
/**
 * Margin at both ends, so that the first and last entry of the table hold for all values beyond.
 */
const MARGIN = 1 / 32;

/**
 * The GELU of fc1 as a table over fine codes of 12 bits. The index covers only the inputs for which
 * the output code still changes: below, gelu(x) rounds to the code of 0; above, the output
 * saturates.
 *
 * @param out the quantiser after the GELU
 * @param highest its highest code
 * @param kind which GELU
 */
export function geluTable(
  out: { scale: number; zeroPoint: number },
  highest = 255,
  kind: Gelu = 'exact',
): GeluTable {
  const gelu = GELU_FUNCTIONS[kind];
  const code = (x: number) => affineCode(gelu(x), out, highest);
  let low = -FAR;
  while (low < -MARGIN && code(low) === out.zeroPoint) low += MARGIN / 8;
  low -= MARGIN;
  let high = (highest + 0.5 - out.zeroPoint) * out.scale + MARGIN;
  // gelu(x) < x, so it saturates later than x
  while (code(high - MARGIN) < highest) high += MARGIN / 8;
  const scale = (high - low) / (FINE_CODES - 1);
  const zeroPoint = Math.round(-low / scale);
  const table = Uint8Array.from({ length: FINE_CODES }, (_, i) => code((i - zeroPoint) * scale));
  return { scale, zeroPoint, table };
}

/** GELU and its two approximations by Hendrycks and Gimpel (arXiv 1606.08415). */
const GELU_FUNCTIONS: Readonly<Record<Gelu, (x: number) => number>> = {
  exact: gelu,
  tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  quick: (x) => x / (1 + Math.exp(-1.702 * x)),
};

/** The exact GELU, x·Φ(x). */
export function gelu(x: number): number {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

/**
 * The error function to about 1e-15: its Maclaurin series, all terms positive in the form
 * 2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!! (Abramowitz and Stegun 7.1.6), which converges for
 * every x that matters here.
 */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  let term = a;
  let sum = a;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
}

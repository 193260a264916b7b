/**
 * The polynomial of i-exp, a(x + b)² + c over (-ln 2, 0] (I-BERT, arXiv 2101.01321, section 3.5;
 * paper eq. 10).
 */
const A = 0.35815147;
const B = 0.96963238 / A;
const C = 1 / A;
// biome-ignore lint/suspicious/noApproximativeNumericConstant: the paper's constant, to its digits
const LN2 = 0.6931;
/**
 * Below this value of floor(c/s²) the polynomial has too little resolution, and the table holds
 * exact exponentials.
 */
const LEAST_RESOLUTION = 10;
const N = 30;

/**
 * e[d], the integer exponential of a score that lies d codes below the largest of its row,
 * d = 0..255.
 *
 * i-exp: x0 = floor(-0.6931/s), k = floor(-d/x0), r = -d - x0·k,
 * e = (r·(r + floor(b/s)) + floor(c/s²))·2^(n-k). Large scales (s above about 0.53) get exact
 * exponentials. The table uses the widest fixed point at which a row of `tokens` equal scores sums
 * below 2^32, and is made to fall: i-exp can rise by a rounding when k changes.
 *
 * @param scale of the scores
 * @param tokens scores in a row
 */
export function exponentialTable(scale: number, tokens: number): Uint32Array {
  const polynomial = Math.floor(C / scale ** 2) >= LEAST_RESOLUTION;
  return polynomial ? widestTable((d) => iExp(-d, scale), tokens) : exactExponentialTable(scale, tokens);
}

/**
 * The same table with exact exponentials, for uniform attention codes: the paper's authors leave
 * that softmax in float.
 */
export function exactExponentialTable(scale: number, tokens: number): Uint32Array {
  return widestTable((d) => Math.exp(-d * scale), tokens);
}

function widestTable(exponential: (d: number) => number, tokens: number): Uint32Array {
  const widest = Math.floor((2 ** 32 - 1) / tokens);
  const first = exponential(0);
  const table = new Uint32Array(256);
  let least = widest;
  for (let d = 0; d < 256; d++) {
    least = Math.min(least, Math.round((exponential(d) / first) * widest));
    table[d] = least;
  }
  return table;
}

function iExp(distance: number, scale: number): number {
  const x0 = Math.floor(-LN2 / scale);
  const x = Math.max(distance, N * x0);
  const k = Math.floor(x / x0);
  const r = x - x0 * k;
  return (r * (r + Math.floor(B / scale)) + Math.floor(C / scale ** 2)) * 2 ** (N - k);
}

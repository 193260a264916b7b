/** What a Swin adds to the scores of every pair of tokens (i, j) of a window of w×w: N = w², tokens in reading order. */

/**
 * The relative position bias of every pair: f32 [heads, N, N].
 *
 * @param table [(2w-1)², heads], whose row (yᵢ - yⱼ + w-1)·(2w-1) + xᵢ - xⱼ + w-1 is for the pair (i, j)
 */
export function biasOfPairs(table: Float32Array, window: number, heads: number): Float32Array {
  const pairs = window ** 4;
  const bias = new Float32Array(heads * pairs);
  eachPair(window, (pair, [yi, xi], [yj, xj]) => {
    const row = (yi - yj + window - 1) * (2 * window - 1) + xi - xj + window - 1;
    for (let h = 0; h < heads; h++) bias[h * pairs + pair] = table[row * heads + h]!;
  });
  return bias;
}

/** What is added to the score of two tokens that were not neighbours before the cyclic shift, as in the original. */
const MASKED = -100;

/**
 * The shift masks of a window at the right edge of the map, at the bottom edge, and at both: f32 [3, N, N]. The last
 * `shift` columns of the first, and rows of the second, come from the opposite edge of the map.
 */
export function shiftMasks(window: number, shift: number): Float32Array {
  const pairs = window ** 4;
  const masks = new Float32Array(3 * pairs);
  const wrapped = (x: number) => x >= window - shift;
  eachPair(window, (pair, [yi, xi], [yj, xj]) => {
    const right = wrapped(xi) !== wrapped(xj);
    const bottom = wrapped(yi) !== wrapped(yj);
    if (right) masks[pair] = MASKED;
    if (bottom) masks[pairs + pair] = MASKED;
    if (right || bottom) masks[2 * pairs + pair] = MASKED;
  });
  return masks;
}

type Place = readonly [y: number, x: number];

function eachPair(window: number, visit: (pair: number, i: Place, j: Place) => void): void {
  const tokens = window ** 2;
  const place = (t: number): Place => [Math.floor(t / window), t % window];
  for (let i = 0; i < tokens; i++) {
    for (let j = 0; j < tokens; j++) visit(i * tokens + j, place(i), place(j));
  }
}

/**
 * The terms that a Swin adds to the score of each pair of tokens (i, j) in a window of w×w: N = w²,
 * tokens in reading order.
 */

import { areNeighbours } from './windows.js';

/**
 * The relative position bias of every pair: f32 [heads, N, N].
 *
 * @param table [(2w-1)², heads], whose row (yᵢ - yⱼ + w-1)·(2w-1) + xᵢ - xⱼ + w-1 is for the pair
 *   (i, j)
 */
export function biasOfPairs(table: Float32Array, window: number, heads: number): Float32Array {
  const tokens = window ** 2;
  const bias = new Float32Array(heads * tokens ** 2);
  for (let i = 0; i < tokens; i++) {
    for (let j = 0; j < tokens; j++) {
      const down = Math.floor(i / window) - Math.floor(j / window) + window - 1;
      const along = (i % window) - (j % window) + window - 1;
      const row = down * (2 * window - 1) + along;
      for (let h = 0; h < heads; h++) bias[(h * tokens + i) * tokens + j] = table[row * heads + h]!;
    }
  }
  return bias;
}

/**
 * Added to the score of two tokens that were not neighbours before the cyclic shift, as in the
 * original.
 */
const MASKED = -100;

/**
 * The shift masks of a window at the right edge of the map, at the bottom edge, and at both: f32
 * [3, N, N].
 */
export function shiftMasks(window: number, shift: number): Float32Array {
  const tokens = window ** 2;
  const masks = new Float32Array(3 * tokens ** 2);
  for (const edge of [1, 2, 3] as const) {
    for (let i = 0; i < tokens; i++) {
      for (let j = 0; j < tokens; j++) {
        if (areNeighbours(edge, i, j, window, shift)) continue;
        masks[((edge - 1) * tokens + i) * tokens + j] = MASKED;
      }
    }
  }
  return masks;
}

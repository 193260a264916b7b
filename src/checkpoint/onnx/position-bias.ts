/**
 * Recovers the relative position bias table of a Swin. A graph has one entry per head and pair of
 * tokens in a window, possibly with the mask of shifted windows added.
 */

import { biasRows } from '../../architecture/architecture.js';
import { areNeighbours, windowEdge } from '../../layers/windows.js';
import type { Attention } from './attention.js';
import { refuseNode } from './wire.js';

/** Masked pairs of tokens get -100 or less; 16-bit floats round the sum with the bias. */
const MASKED = -99;

/** The windows on the map of a stage. */
interface Windows {
  /** Side of the map, in tokens. */
  readonly side: number;
  /** Side of a window, in tokens. */
  readonly window: number;
  /** The shift of the map, up and to the left, in tokens. */
  readonly shift: number;
}

/** Checks that the groups of tokens are windows, and that all are in reading order. */
export function windowsOf({ places, tokens, node }: Attention): Windows {
  const side = Math.sqrt(places.length);
  const window = Math.sqrt(tokens);
  const shift = places[0]! % side;
  const across = side / window;
  if (![side, window, across].every(Number.isInteger)) {
    refuseNode(
      node,
      `expected square windows that divide a square map, found groups of ${tokens} out of ${places.length} tokens`,
    );
  }
  for (const [i, token] of places.entries()) {
    const [w, t] = [Math.floor(i / tokens), i % tokens];
    const row = Math.floor(w / across) * window + Math.floor(t / window);
    const column = (w % across) * window + (t % window);
    const expected = ((row + shift) % side) * side + ((column + shift) % side);
    if (token === expected) continue;
    refuseNode(
      node,
      `expected windows of ${window}×${window} tokens, shifted by ${shift}, with token ${expected} at place ${i}, ` +
        `found token ${token}`,
    );
  }
  return { side, window, shift };
}

/** The table of offsets, [(2 window - 1)², heads], row by row. */
export function positionTable(
  { bias, heads, tokens, node }: Attention,
  { side, window, shift }: Windows,
): Float64Array {
  if (!bias) return refuseNode(node, 'expected scores with a relative position bias, found none');
  const across = side / window;
  const table = new Float64Array(biasRows(window) * heads);
  /** Number of heads for which the bias of an offset is known. */
  const seen = new Int32Array(biasRows(window));
  // The first window of a shifted map is at no edge, so its pairs cover every offset.
  for (let w = 0, at = 0; w < across ** 2; w++) {
    const edge = shift === 0 ? 0 : windowEdge(w, across);
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < tokens; i++) {
        for (let j = 0; j < tokens; j++, at++) {
          const offset = offsetOf(i, j, window);
          const cell = offset * heads + head;
          const value = bias[at]!;
          if (w === 0 && seen[offset]! <= head) {
            table[cell] = value;
            seen[offset] = head + 1;
          }
          const neighbours = areNeighbours(edge, i, j, window, shift);
          const sound = neighbours
            ? Object.is(value, table[cell]!) || value === table[cell]
            : value <= table[cell]! + MASKED;
          if (sound) continue;
          refuseNode(
            node,
            `expected tokens ${i} and ${j} of window ${w} ${neighbours ? 'to have the bias of their offset' : 'to be masked'}, ` +
              `${table[cell]}${neighbours ? '' : ' - 100'}, found ${value} (head ${head})`,
          );
        }
      }
    }
  }
  return table;
}

/** The table row for the offset between two tokens of a window. */
function offsetOf(i: number, j: number, window: number): number {
  const rows = Math.floor(i / window) - Math.floor(j / window);
  const columns = (i % window) - (j % window);
  return (rows + window - 1) * (2 * window - 1) + columns + window - 1;
}

/**
 * The relative position bias of a Swin. A graph has it gathered, an entry for each head and pair of tokens of a window, and
 * perhaps with the mask of shifted windows added; here the table of offsets is found again.
 */

import { areNeighbours, windowEdge } from '../../models/windows.js';
import { biasRows } from '../architecture.js';
import type { Attention } from './attention.js';
import { refuseNode } from './wire.js';

/** Tokens that are no neighbours get -100 or less, and 16-bit floats round the sum with the bias. */
const MASKED = -99;

/** How windows lie on the map of a stage. */
interface Windows {
  /** Tokens of the side of the map. */
  readonly side: number;
  /** Tokens of a window's side. */
  readonly window: number;
  /** Tokens that the map is shifted by, up and to the left. */
  readonly shift: number;
}

/** The windows that the groups of tokens are: in reading order, their tokens too. */
export function windowsOf({ places, tokens, node }: Attention): Windows {
  const side = Math.sqrt(places.length);
  const window = Math.sqrt(tokens);
  const shift = places[0]! % side;
  const across = side / window;
  if (![side, window, across].every(Number.isInteger)) {
    refuseNode(
      node,
      `expected square windows that divide a square map, found ${tokens} tokens of ${places.length} attend to each other`,
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
      `expected windows of ${window}×${window} tokens, shifted by ${shift}, with token ${expected} in place ${i}, ` +
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
  if (!bias) return refuseNode(node, 'expected a relative position bias added to the scores, found none');
  const across = side / window;
  const table = new Float64Array(biasRows(window) * heads);
  /** Heads whose bias of an offset is known. */
  const seen = new Int32Array(biasRows(window));
  // The first window of a shifted map is at no edge, so its pairs show every offset.
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
            `expected tokens ${i} and ${j} of window ${w} ${neighbours ? 'with the bias of their offset' : 'masked'}, ` +
              `${table[cell]}${neighbours ? '' : ' - 100'}, found ${value} (head ${head})`,
          );
        }
      }
    }
  }
  return table;
}

/** The row of the table for the offset of two tokens of a window. */
function offsetOf(i: number, j: number, window: number): number {
  const rows = Math.floor(i / window) - Math.floor(j / window);
  const columns = (i % window) - (j % window);
  return (rows + window - 1) * (2 * window - 1) + columns + window - 1;
}

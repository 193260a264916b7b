/**
 * Windows of a cyclically shifted map. Some hold tokens from both ends of the map, which were not
 * neighbours before the shift.
 */

/**
 * Which map edges the window touches: the right one (1), the bottom one (2), both (3) or neither
 * (0).
 */
export type WindowEdge = 0 | 1 | 2 | 3;

/** @param w number of the window in reading order  @param across windows per row */
export function windowEdge(w: number, across: number): WindowEdge {
  const right = w % across === across - 1 ? 1 : 0;
  const bottom = w >= across * (across - 1) ? 2 : 0;
  return (right + bottom) as WindowEdge;
}

/**
 * Whether tokens i and j of a window, in reading order, come from the same end of the map. At the
 * right edge the last `shift` columns come from the left end; at the bottom the last `shift` rows
 * come from the top.
 */
export function areNeighbours(
  edge: WindowEdge,
  i: number,
  j: number,
  window: number,
  shift: number,
): boolean {
  const seam = window - shift;
  const columns = (edge & 1) === 0 || i % window >= seam === j % window >= seam;
  const rows = (edge & 2) === 0 || Math.floor(i / window) >= seam === Math.floor(j / window) >= seam;
  return columns && rows;
}

/** Windows of a map that was shifted cyclically: some hold tokens from both ends of it, which were no neighbours before. */

/** Where a window is such a one: at the right edge of the map (1), at the bottom (2), at both (3), at neither (0). */
export type WindowEdge = 0 | 1 | 2 | 3;

/** @param w number of the window in reading order  @param across windows side by side */
export function windowEdge(w: number, across: number): WindowEdge {
  const right = w % across === across - 1 ? 1 : 0;
  const bottom = w >= across * (across - 1) ? 2 : 0;
  return (right + bottom) as WindowEdge;
}

/**
 * Whether tokens i and j of a window of window × window, in reading order, come from the same end of the map: at the right
 * edge its last `shift` columns, at the bottom its last `shift` rows come from the opposite one.
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

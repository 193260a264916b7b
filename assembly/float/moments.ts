/**
 * The second moments of the rows of a matrix, for error feedback: G[i, j] += Σ_m X[m, i] · X[m, j]
 * for j >= i.
 *
 * Layout
 *   panels  X [rows, cols] as panels of eight columns (pack_columns):
 *           [ceil(cols / 8)][rows][8] f32, missing columns 0
 *   G       [padded, padded] f32, padded = cols rounded up to 8; elements below the diagonal, left
 *           of the panel of their row of tiles, stay as they are
 *           panel stays as it is
 *
 * Sums of a call are plain f32 in the order of the rows.
 */
import { tile } from './tile';

export function moments(panels: usize, rows: i32, cols: i32, g: usize): void {
  const width = <usize>((cols + 7) & ~7);
  const panelBytes = <usize>rows << 5;
  const rowBytes = width << 2;
  for (let i: usize = 0; i < width; i += 4) {
    const a = panels + (i >> 3) * panelBytes + ((i & 4) << 2);
    let b = panels + (i >> 3) * panelBytes;
    for (let j = i & ~7; j < width; j += 8) {
      tile(a, 32, b, rows, 0, 1, g + i * rowBytes + (j << 2), rowBytes, true);
      b += panelBytes;
    }
  }
}

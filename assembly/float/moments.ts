/**
 * The second moments of the rows of a matrix, for error feedback: G[i, j] += Σ_m X[m, i] · X[m, j] for j >= i.
 *
 * Layout
 *   panels  X [rows, cols] as panels of eight columns (packColumns): [ceil(cols / 8)][rows][8] f32, missing columns 0
 *   G       [padded, padded] f32, padded = cols rounded up to 8; what lies below the diagonal in a row of tiles left of its own
 *           panel stays as it is
 *
 * The tile is 4 × 8 as in gemm.ts: 8 accumulators, 2 vectors of the columns j and 1 of i live. Sums of a call are plain f32
 * in the order of the rows.
 */
export function moments(panels: usize, rows: i32, cols: i32, g: usize): void {
  const width = <usize>((cols + 7) & ~7);
  const panelBytes = <usize>rows << 5;
  const rowBytes = width << 2;
  for (let i: usize = 0; i < width; i += 4) {
    const a = panels + (i >> 3) * panelBytes + ((i & 4) << 2);
    let b = panels + (i >> 3) * panelBytes;
    for (let j = i & ~7; j < width; j += 8) {
      tile(a, b, panelBytes, g + i * rowBytes + (j << 2), rowBytes);
      b += panelBytes;
    }
  }
}

// @ts-ignore: decorator
@inline
function tile(a: usize, b: usize, bytes: usize, out: usize, rowBytes: usize): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  const end = b + bytes;
  do {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(a0, b0));
    c01 = f32x4.add(c01, f32x4.mul(a0, b1));
    const a1 = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(a1, b0));
    c11 = f32x4.add(c11, f32x4.mul(a1, b1));
    const a2 = v128.load32_splat(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(a2, b0));
    c21 = f32x4.add(c21, f32x4.mul(a2, b1));
    const a3 = v128.load32_splat(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(a3, b0));
    c31 = f32x4.add(c31, f32x4.mul(a3, b1));
    a += 32;
    b += 32;
  } while (b < end);
  addRow(out, c00, c01);
  addRow(out + rowBytes, c10, c11);
  addRow(out + 2 * rowBytes, c20, c21);
  addRow(out + 3 * rowBytes, c30, c31);
}

// @ts-ignore: decorator
@inline
function addRow(out: usize, low: v128, high: v128): void {
  v128.store(out, f32x4.add(v128.load(out), low));
  v128.store(out, f32x4.add(v128.load(out, 16), high), 16);
}

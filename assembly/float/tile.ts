/**
 * One 4 × 8 tile of a product in f32, Σ_k A[i, k] · B[k, j] in the order of k: the loop of gemm.ts
 * and of moments.ts.
 *
 *   a    four values of A every `step` bytes
 *   b    a panel of eight columns, [depth][8]
 *   out  four rows every `rowBytes`: scale · sum + bias (address of 8, 0 for none), or, if
 *        `adds`, the old value plus the sum
 */
// @ts-ignore: decorator
@inline
export function tile(
  a: usize,
  step: usize,
  b: usize,
  depth: i32,
  bias: usize,
  scale: f32,
  out: usize,
  rowBytes: usize,
  adds: bool,
): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  const end = a + <usize>depth * step;
  do {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(b0, a0));
    c01 = f32x4.add(c01, f32x4.mul(b1, a0));
    const a1 = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(b0, a1));
    c11 = f32x4.add(c11, f32x4.mul(b1, a1));
    const a2 = v128.load32_splat(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(b0, a2));
    c21 = f32x4.add(c21, f32x4.mul(b1, a2));
    const a3 = v128.load32_splat(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(b0, a3));
    c31 = f32x4.add(c31, f32x4.mul(b1, a3));
    a += step;
    b += 32;
  } while (a < end);
  if (adds) {
    addRow(out, c00, c01);
    addRow(out + rowBytes, c10, c11);
    addRow(out + 2 * rowBytes, c20, c21);
    addRow(out + 3 * rowBytes, c30, c31);
    return;
  }
  const s = f32x4.splat(scale);
  const d0 = bias ? v128.load(bias) : f32x4.splat(0);
  const d1 = bias ? v128.load(bias, 16) : f32x4.splat(0);
  storeRow(out, c00, c01, s, d0, d1);
  storeRow(out + rowBytes, c10, c11, s, d0, d1);
  storeRow(out + 2 * rowBytes, c20, c21, s, d0, d1);
  storeRow(out + 3 * rowBytes, c30, c31, s, d0, d1);
}

// @ts-ignore: decorator
@inline
function storeRow(out: usize, low: v128, high: v128, scale: v128, bias0: v128, bias1: v128): void {
  v128.store(out, f32x4.add(f32x4.mul(low, scale), bias0));
  v128.store(out, f32x4.add(f32x4.mul(high, scale), bias1), 16);
}

// @ts-ignore: decorator
@inline
function addRow(out: usize, low: v128, high: v128): void {
  v128.store(out, f32x4.add(v128.load(out), low));
  v128.store(out, f32x4.add(v128.load(out, 16), high), 16);
}

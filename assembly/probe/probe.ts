/**
 * The inner loop of the relaxed tier (gemm.relaxed.ts) and that of the simd tier (gemm.simd.ts),
 * each over one tile of 4 rows × 8 channels: small enough that an engine's optimising compiler
 * finishes them within a millisecond.
 *
 * a: k/4 groups of 4 rows × 4 signed bytes; w: k/4 groups of 8 channels × 4 bytes without their
 * sign bit. The wide loop reads the same bytes as i16, half as many products: its time counts
 * twice, and its sums do not matter. out: i32 [4, 8].
 */

// @ts-ignore: decorator
@inline
function widen(acc: v128, x: v128, u: v128): v128 {
  return i32x4.add(acc, i32x4.extadd_pairwise_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(x, u)));
}

// @ts-ignore: decorator
@inline
function dot(acc: v128, x: v128, w: v128): v128 {
  return i32x4.add(acc, i32x4.dot_i16x8_s(x, w));
}

// @ts-ignore: decorator
@inline
function tile(a: usize, w: usize, k: i32, out: usize, narrow: bool): void {
  let c00 = i32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  const end = w + (<usize>k << 3);
  do {
    const w0 = v128.load(w), w1 = v128.load(w, 16);
    const a0 = v128.load_splat<u32>(a);
    c00 = narrow ? widen(c00, a0, w0) : dot(c00, a0, w0);
    c01 = narrow ? widen(c01, a0, w1) : dot(c01, a0, w1);
    const a1 = v128.load_splat<u32>(a, 4);
    c10 = narrow ? widen(c10, a1, w0) : dot(c10, a1, w0);
    c11 = narrow ? widen(c11, a1, w1) : dot(c11, a1, w1);
    const a2 = v128.load_splat<u32>(a, 8);
    c20 = narrow ? widen(c20, a2, w0) : dot(c20, a2, w0);
    c21 = narrow ? widen(c21, a2, w1) : dot(c21, a2, w1);
    const a3 = v128.load_splat<u32>(a, 12);
    c30 = narrow ? widen(c30, a3, w0) : dot(c30, a3, w0);
    c31 = narrow ? widen(c31, a3, w1) : dot(c31, a3, w1);
    a += 16;
    w += 32;
  } while (w < end);
  v128.store(out, c00);
  v128.store(out, c01, 16);
  v128.store(out, c10, 32);
  v128.store(out, c11, 48);
  v128.store(out, c20, 64);
  v128.store(out, c21, 80);
  v128.store(out, c30, 96);
  v128.store(out, c31, 112);
}

export function relaxed(a: usize, w: usize, k: i32, out: usize): void {
  tile(a, w, k, out, true);
}

export function wide(a: usize, w: usize, k: i32, out: usize): void {
  tile(a, w, k, out, false);
}

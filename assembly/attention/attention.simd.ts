/**
 * The two products of attention as i16 dot products (the equations and ranges:
 * attention.scalar.ts; the loop: gemm.simd.ts). Kᵀ and V are packed into i16 panels per head.
 *
 * Tokens are padded to 8: reads of up to 7 rows behind k and v must stay inside memory; what they
 * hold does not matter, since columns of `scores` from `tokens` on are never read and attention
 * codes from `tokens` on are codes for 0, which the softmax kernels write up to the row stride (a
 * multiple of 16).
 *
 * scratch: 16-byte aligned; for T = tokens rounded up to 8, R = rows rounded up to 4:
 * scores 2·d·(R + T) + 64 bytes, context 2·T·(R + d) + 64 bytes.
 */
import { Codes } from './codes';
import { Out, packRows, storeRows, tiles } from '../gemm/gemm.simd';

/** Packs 8 rows of d codes (8 tokens of K) into the panel [d/2][8 tokens][2]. */
// @ts-ignore: decorator
@inline
function packTransposed(k: usize, ld: usize, zero: v128, d: i32, panel: usize): void {
  for (let t: usize = 0; t < <usize>d; t += 8) {
    for (let half: usize = 0; half < 2; half++) {
      const p = k + half * 4 * ld + t;
      const r0 = i16x8.sub(v128.load_ext<u8>(p), zero);
      const r1 = i16x8.sub(v128.load_ext<u8>(p + ld), zero);
      const r2 = i16x8.sub(v128.load_ext<u8>(p + 2 * ld), zero);
      const r3 = i16x8.sub(v128.load_ext<u8>(p + 3 * ld), zero);
      const x0 = i32x4.shuffle(r0, r1, 0, 4, 1, 5), x1 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
      const x2 = i32x4.shuffle(r0, r1, 2, 6, 3, 7), x3 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
      const o = panel + t * 16 + half * 16;
      v128.store(o, i64x2.shuffle(x0, x1, 0, 2));
      v128.store(o, i64x2.shuffle(x0, x1, 1, 3), 32);
      v128.store(o, i64x2.shuffle(x2, x3, 0, 2), 64);
      v128.store(o, i64x2.shuffle(x2, x3, 1, 3), 96);
    }
  }
}

/**
 * The epilogue's operands where all channels share one multiplier: 8 biases of 0, then 8 times the
 * multiplier.
 */
// @ts-ignore: decorator
@inline
function sameForAll(epilogue: usize, multiplier: i32): void {
  v128.store(epilogue, i32x4.splat(0));
  v128.store(epilogue, i32x4.splat(0), 16);
  v128.store(epilogue, i32x4.splat(multiplier), 32);
  v128.store(epilogue, i32x4.splat(multiplier), 48);
}

export function scores(
  q: usize, k: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, rows: i32, tokens: i32, d: i32, scratch: usize,
): void {
  const padded = (tokens + 7) & ~7;
  const panels = scratch + <usize>(((rows + 3) & ~3) * d * 2);
  const epilogue = panels + <usize>(padded * d * 2);
  const zero = i16x8.splat(<i16>z);
  sameForAll(epilogue, multiplier);
  packRows(q, ld, z, rows, d, scratch);
  for (let j = 0; j < tokens; j += 8) packTransposed(k + <usize>j * ld, ld, zero, d, panels + <usize>(j * d * 2));
  tiles(scratch, panels, padded >> 3, d, rows, epilogue, epilogue + 32, 0, left, right, zo, out, ldo, Out.Code);
}

/**
 * Eight log2 codes to -2^(15-code): the two bytes of each weight come from two swizzles, 0 for
 * codes above 15.
 */
// @ts-ignore: decorator
@inline
function log2Weights(codes: v128): v128 {
  const low = i8x16.swizzle(i8x16(0, 0, 0, 0, 0, 0, 0, 0, -128, -64, -32, -16, -8, -4, -2, -1), codes);
  const high = i8x16.swizzle(i8x16(-128, -64, -32, -16, -8, -4, -2, -1, -1, -1, -1, -1, -1, -1, -1, -1), codes);
  return i8x16.shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/**
 * Eight codes in eighths of an octave to -2^(15-code/8): the fraction's Q15 by swizzles, times the
 * octave's power.
 */
// @ts-ignore: decorator
@inline
function eighthWeights(codes: v128): v128 {
  const f = v128.and(codes, i8x16.splat(7));
  const low = i8x16.swizzle(i8x16(-1, 96, -94, -76, -126, -1, 28, -53, 0, 0, 0, 0, 0, 0, 0, 0), f);
  const high = i8x16.swizzle(i8x16(127, 117, 107, 98, 90, 82, 76, 69, 0, 0, 0, 0, 0, 0, 0, 0), f);
  const fractions = i8x16.shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return i16x8.q15mulr_sat_s(fractions, log2Weights(i8x16.shr_u(codes, 3)));
}

// @ts-ignore: decorator
@inline
function weights(p: usize, codes: Codes): v128 {
  if (codes == Codes.Uniform) return v128.load_ext<u8>(p);
  if (codes == Codes.Log2) return log2Weights(v128.load64_zero(p));
  return eighthWeights(v128.load64_zero(p));
}

// @ts-ignore: decorator
@inline
function context(
  p: usize, ldp: usize, v: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, high: i32, rows: i32, tokens: i32, d: i32, scratch: usize, codes: Codes,
): void {
  const padded = (tokens + 7) & ~7;
  const panel = scratch + <usize>(((rows + 3) & ~3) * padded * 2);
  const epilogue = panel + <usize>(padded * d * 2);
  const zero = i16x8.splat(<i16>z);
  sameForAll(epilogue, multiplier);

  let packed = scratch;
  for (let i = 0; i < rows; i += 4) {
    const p0 = p + <usize>i * ldp;
    const p1 = p + <usize>min(i + 1, rows - 1) * ldp;
    const p2 = p + <usize>min(i + 2, rows - 1) * ldp;
    const p3 = p + <usize>min(i + 3, rows - 1) * ldp;
    for (let j: usize = 0; j < <usize>padded; j += 8) {
      storeRows(packed, weights(p0 + j, codes), weights(p1 + j, codes), weights(p2 + j, codes), weights(p3 + j, codes));
      packed += 64;
    }
  }

  let o = panel;
  for (let t = 0; t < d; t += 8) {
    let pv = v + <usize>t;
    for (let j = 0; j < padded; j += 2) {
      const a = i16x8.sub(v128.load_ext<u8>(pv), zero), b = i16x8.sub(v128.load_ext<u8>(pv + ld), zero);
      v128.store(o, i16x8.shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
      v128.store(o, i16x8.shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15), 16);
      pv += 2 * ld;
      o += 32;
    }
  }
  tiles(
    scratch, panel, d >> 3, padded, rows, epilogue, epilogue + 32, 0, left, right, zo, out, ldo, Out.Capped, high,
  );
}

export function context_log2(
  p: usize, ldp: usize, v: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, high: i32, rows: i32, tokens: i32, d: i32, scratch: usize,
): void {
  context(p, ldp, v, ld, z, multiplier, left, right, out, ldo, zo, high, rows, tokens, d, scratch, Codes.Log2);
}

export function context_uniform(
  p: usize, ldp: usize, v: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, high: i32, rows: i32, tokens: i32, d: i32, scratch: usize,
): void {
  context(p, ldp, v, ld, z, multiplier, left, right, out, ldo, zo, high, rows, tokens, d, scratch, Codes.Uniform);
}

export function context_eighths(
  p: usize, ldp: usize, v: usize, ld: usize, z: i32, multiplier: i32, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, high: i32, rows: i32, tokens: i32, d: i32, scratch: usize,
): void {
  context(p, ldp, v, ld, z, multiplier, left, right, out, ldo, zo, high, rows, tokens, d, scratch, Codes.Eighths);
}

/**
 * Linear layers in integers by relaxed int8 dot products (the equation and its ranges:
 * gemm.scalar.ts), for weights of at most 7 bits; wider ones take i16 dot products (gemm.simd.ts).
 *
 * The dot takes signed bytes x and bytes u without their sign bit, so with c = 2^(aBits-1),
 * d = 2^(wBits-1), x = a - c, u = w + d
 *
 *   Σ (a - z)·w = Σ x·u - d·Σx + (c - z)·Σw
 *
 * The sums of w follow each panel, the sums of x each group of rows. The dot adds two products in
 * i16, which is exact if it cannot saturate: |x·u| <= c·(2^wBits - 1). How many dots
 * fit one i16 before it is widened:
 *   8-bit codes, 7-bit weights: 1, 2·128·127 = 32512;  7 and 7, or 8 and 6: 2;
 *   8 and 4: 8, 16·128·15 = 30720.
 * So every engine gives the same bits, whatever its instruction does outside this range.
 *
 * Codes are packed as [m/4][k/4][4 rows][4 k] bytes and 4 sums, weights as [k/4][8 channels][4 k]
 * bytes and 8 sums. scratch: 16-byte aligned, (k + 4)·(m rounded up to 4) bytes, m at most a chunk
 * of rows (`chunkRows`), and 32 more.
 */
import { chunkRows, gemm, Out, put } from './gemm.simd';
import { PANEL_SUMS } from '../sizes';
import { pack_weights as packWide } from './layout';

/** Widest weights that the relaxed dot takes. */
const NARROW_BITS: i32 = 7;

/**
 * Packs weights int8 [n, k] (row-major, as in the checkpoint) of `bits` bits into panels of
 * kPadded inputs.
 */
export function pack_weights(weight: usize, n: i32, k: i32, kPadded: i32, bits: i32, out: usize): void {
  if (bits > NARROW_BITS) {
    packWide(weight, n, k, kPadded, bits, out);
    return;
  }
  const d = 1 << (bits - 1), all = (1 << bits) - 1;
  for (let i = 0; i < n; i += 8) {
    const sums = out + (<usize>kPadded << 3);
    memory.fill(out, <u8>d, <usize>kPadded << 3);
    memory.fill(sums, 0, PANEL_SUMS);
    for (let r = 0; r < min(8, n - i); r++) {
      const row = weight + <usize>((i + r) * k);
      let to = out + <usize>(r << 2), sum = 0, j = 0;
      // four inputs lie side by side in both layouts; w + d of a code of so many bits is w with its
      // sign bit turned
      for (; j + 4 <= k; j += 4) {
        const four = load<u32>(row + <usize>j);
        store<u32>(to, (four ^ (d * 0x01010101)) & (all * 0x01010101));
        sum += <i32><i8>four + <i32><i8>(four >> 8) + <i32><i8>(four >> 16) + <i32><i8>(four >> 24);
        to += 32;
      }
      for (; j < k; j++) {
        const w = <i32>load<i8>(row + <usize>j);
        store<u8>(to++, <u8>(w + d));
        sum += w;
      }
      store<i32>(sums + (<usize>r << 2), sum);
    }
    out = sums + PANEL_SUMS;
  }
}

// @ts-ignore: decorator
@inline
function dot(x: v128, u: v128): v128 {
  return i16x8.relaxed_dot_i8x16_i7x16_s(x, u);
}

/** acc + the dot products of one vector of channels, pairwise sums widened. */
// @ts-ignore: decorator
@inline
function widen(acc: v128, dots: v128): v128 {
  return i32x4.add(acc, i32x4.extadd_pairwise_i16x8_s(dots));
}

// @ts-ignore: decorator
@inline
function splatSum(sums: usize, row: usize, c: v128): v128 {
  return i32x4.add(c, v128.load_splat<u32>(sums + 4 * row));
}

/**
 * One panel of 8 channels over all rows.
 *
 * @param start address of bias + (c - z)·Σw, 8 i32  @param dots how many are added in i16: 1, 2 or
 *   8
 * @param ldo row stride of the output in bytes
 */
// @ts-ignore: decorator
@inline
function panelRows(
  rows: usize, panel: usize, k: i32, m: i32, start: usize, multiplier: usize, left: i32, right: i32,
  zo: i32, out: usize, ldo: usize, kind: Out, dots: i32,
): void {
  const end = panel + (<usize>k << 3);
  let pa = rows;
  let i = 0;
  for (; i + 1 < m; i += 4) {
    let c00 = v128.load(start), c01 = v128.load(start, 16);
    let c10 = c00, c11 = c01, c20 = c00, c21 = c01, c30 = c00, c31 = c01;
    let pb = panel;
    do {
      if (dots == 1) {
        const w0 = v128.load(pb), w1 = v128.load(pb, 16);
        const a0 = v128.load_splat<u32>(pa);
        c00 = widen(c00, dot(a0, w0));
        c01 = widen(c01, dot(a0, w1));
        const a1 = v128.load_splat<u32>(pa, 4);
        c10 = widen(c10, dot(a1, w0));
        c11 = widen(c11, dot(a1, w1));
        const a2 = v128.load_splat<u32>(pa, 8);
        c20 = widen(c20, dot(a2, w0));
        c21 = widen(c21, dot(a2, w1));
        const a3 = v128.load_splat<u32>(pa, 12);
        c30 = widen(c30, dot(a3, w0));
        c31 = widen(c31, dot(a3, w1));
        pa += 16;
        pb += 32;
      } else if (dots == 2) {
        const w0 = v128.load(pb), w1 = v128.load(pb, 16), v0 = v128.load(pb, 32), v1 = v128.load(pb, 48);
        const a0 = v128.load_splat<u32>(pa), b0 = v128.load_splat<u32>(pa, 16);
        c00 = widen(c00, i16x8.add(dot(a0, w0), dot(b0, v0)));
        c01 = widen(c01, i16x8.add(dot(a0, w1), dot(b0, v1)));
        const a1 = v128.load_splat<u32>(pa, 4), b1 = v128.load_splat<u32>(pa, 20);
        c10 = widen(c10, i16x8.add(dot(a1, w0), dot(b1, v0)));
        c11 = widen(c11, i16x8.add(dot(a1, w1), dot(b1, v1)));
        const a2 = v128.load_splat<u32>(pa, 8), b2 = v128.load_splat<u32>(pa, 24);
        c20 = widen(c20, i16x8.add(dot(a2, w0), dot(b2, v0)));
        c21 = widen(c21, i16x8.add(dot(a2, w1), dot(b2, v1)));
        const a3 = v128.load_splat<u32>(pa, 12), b3 = v128.load_splat<u32>(pa, 28);
        c30 = widen(c30, i16x8.add(dot(a3, w0), dot(b3, v0)));
        c31 = widen(c31, i16x8.add(dot(a3, w1), dot(b3, v1)));
        pa += 32;
        pb += 64;
      } else {
        // a step per loop body: the engine loads all of a body at its start, and spills what does
        // not fit its registers
        let s00 = i16x8.splat(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
        const stop = min(pb + <usize>(32 * dots), end);
        do {
          const w0 = v128.load(pb), w1 = v128.load(pb, 16);
          const a0 = v128.load_splat<u32>(pa);
          s00 = i16x8.add(s00, dot(a0, w0));
          s01 = i16x8.add(s01, dot(a0, w1));
          const a1 = v128.load_splat<u32>(pa, 4);
          s10 = i16x8.add(s10, dot(a1, w0));
          s11 = i16x8.add(s11, dot(a1, w1));
          const a2 = v128.load_splat<u32>(pa, 8);
          s20 = i16x8.add(s20, dot(a2, w0));
          s21 = i16x8.add(s21, dot(a2, w1));
          const a3 = v128.load_splat<u32>(pa, 12);
          s30 = i16x8.add(s30, dot(a3, w0));
          s31 = i16x8.add(s31, dot(a3, w1));
          pa += 16;
          pb += 32;
        } while (pb < stop);
        c00 = widen(c00, s00);
        c01 = widen(c01, s01);
        c10 = widen(c10, s10);
        c11 = widen(c11, s11);
        c20 = widen(c20, s20);
        c21 = widen(c21, s21);
        c30 = widen(c30, s30);
        c31 = widen(c31, s31);
      }
    } while (pb < end);
    const m0 = v128.load(multiplier), m1 = v128.load(multiplier, 16), zero = i16x8.splat(<i16>zo);
    put(out, kind, splatSum(pa, 0, c00), splatSum(pa, 0, c01), m0, m1, left, right, zero);
    put(out + ldo, kind, splatSum(pa, 1, c10), splatSum(pa, 1, c11), m0, m1, left, right, zero);
    if (i + 2 < m) put(out + 2 * ldo, kind, splatSum(pa, 2, c20), splatSum(pa, 2, c21), m0, m1, left, right, zero);
    if (i + 3 < m) put(out + 3 * ldo, kind, splatSum(pa, 3, c30), splatSum(pa, 3, c31), m0, m1, left, right, zero);
    pa += 16;
    out += 4 * ldo;
  }
  if (i >= m) return;
  // one row is left of 49 and of 197 tokens
  let c0 = v128.load(start), c1 = v128.load(start, 16);
  let pb = panel;
  do {
    const a0 = v128.load_splat<u32>(pa);
    c0 = widen(c0, dot(a0, v128.load(pb)));
    c1 = widen(c1, dot(a0, v128.load(pb, 16)));
    pa += 16;
    pb += 32;
  } while (pb < end);
  const m0 = v128.load(multiplier), m1 = v128.load(multiplier, 16);
  put(out, kind, splatSum(pa, 0, c0), splatSum(pa, 0, c1), m0, m1, left, right, i16x8.splat(<i16>zo));
}

// @ts-ignore: decorator
@inline
function addSums(sums: v128, x: v128): v128 {
  return i32x4.add(sums, i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(x)));
}

/** Σ of four lanes of each of four vectors. */
// @ts-ignore: decorator
@inline
function transposedSum(s0: v128, s1: v128, s2: v128, s3: v128): v128 {
  const a = i32x4.add(i32x4.shuffle(s0, s1, 0, 4, 1, 5), i32x4.shuffle(s0, s1, 2, 6, 3, 7));
  const b = i32x4.add(i32x4.shuffle(s2, s3, 0, 4, 1, 5), i32x4.shuffle(s2, s3, 2, 6, 3, 7));
  return i32x4.add(i64x2.shuffle(a, b, 0, 2), i64x2.shuffle(a, b, 1, 3));
}

/** 16 codes of a row as x; only the first 8 where `half`. */
// @ts-ignore: decorator
@inline
function centred(p: usize, c: v128, half: bool): v128 {
  return half ? i64x2.replace_lane(i8x16.sub(v128.load64_zero(p), c), 1, 0) : i8x16.sub(v128.load(p), c);
}

/**
 * Packs u8 codes [m, k] as x into groups of four rows and -d·Σx. Rows from m on repeat the last
 * row.
 */
function packRows(a: usize, lda: usize, c: v128, d: i32, m: i32, k: i32, out: usize): void {
  for (let i = 0; i < m; i += 4) {
    const p0 = a + <usize>i * lda;
    const p1 = a + <usize>min(i + 1, m - 1) * lda;
    const p2 = a + <usize>min(i + 2, m - 1) * lda;
    const p3 = a + <usize>min(i + 3, m - 1) * lda;
    let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    for (let j: usize = 0; j < <usize>k; j += 16) {
      const half = j + 8 == <usize>k;
      const r0 = centred(p0 + j, c, half), r1 = centred(p1 + j, c, half);
      const r2 = centred(p2 + j, c, half), r3 = centred(p3 + j, c, half);
      s0 = addSums(s0, r0);
      s1 = addSums(s1, r1);
      s2 = addSums(s2, r2);
      s3 = addSums(s3, r3);
      const x0 = i32x4.shuffle(r0, r1, 0, 4, 1, 5), x1 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
      v128.store(out, i64x2.shuffle(x0, x1, 0, 2));
      v128.store(out, i64x2.shuffle(x0, x1, 1, 3), 16);
      out += 32;
      if (half) break;
      const x2 = i32x4.shuffle(r0, r1, 2, 6, 3, 7), x3 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
      v128.store(out, i64x2.shuffle(x2, x3, 0, 2));
      v128.store(out, i64x2.shuffle(x2, x3, 1, 3), 16);
      out += 32;
    }
    v128.store(out, i32x4.mul(transposedSum(s0, s1, s2, s3), i32x4.splat(-d)));
    out += 16;
  }
}

// @ts-ignore: decorator
@inline
function narrowGemm(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize, kind: Out, dots: i32,
): void {
  const size: usize = kind == Out.Fine ? 2 : 1;
  const rows = chunkRows(m, k);
  const start = scratch + <usize>(rows * (k + 4));
  const c = 1 << (aBits - 1), rest = i32x4.splat(c - za);
  for (let i = 0; i < m; i += rows) {
    const height = min(rows, m - i);
    packRows(a + <usize>i * lda, lda, i8x16.splat(<i8>c), 1 << (wBits - 1), height, k, scratch);
    let panel = w;
    for (let j = 0; j < n; j += 8) {
      const at = <usize>j << 2, sums = panel + (<usize>k << 3);
      v128.store(start, i32x4.add(v128.load(bias + at), i32x4.mul(rest, v128.load(sums))));
      v128.store(start, i32x4.add(v128.load(bias + at, 16), i32x4.mul(rest, v128.load(sums, 16))), 16);
      panelRows(
        scratch, panel, k, height, start, multiplier + at, left, right,
        zo, out + (<usize>i * ldo + <usize>j) * size, ldo * size, kind, dots,
      );
      panel = sums + PANEL_SUMS;
    }
  }
}

// One function each: in one function the optimiser folds the three loops into one that decides at
// every step.

function toCode1(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  narrowGemm(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch, Out.Code, 1);
}

function toCode2(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  narrowGemm(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch, Out.Code, 2);
}

function toCode8(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  narrowGemm(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch, Out.Code, 8);
}

function toFine1(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  narrowGemm(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch, Out.Fine, 1);
}

function toFine2(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  narrowGemm(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch, Out.Fine, 2);
}

function toFine8(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  narrowGemm(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch, Out.Fine, 8);
}

/** Linear layer to u8 codes (patch embedding, qkv, proj, fc2, head). */
export function linear(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  if (wBits > NARROW_BITS) {
    gemm(a, lda, za, w, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch, Out.Code);
  } else if (wBits <= 4) toCode8(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch);
  else if (aBits + wBits <= 14) toCode2(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch);
  else toCode1(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch);
}

/** Linear layer to fine u16 codes 0..4095, the index of a GELU table (fc1). */
export function linear_fine(
  a: usize, lda: usize, za: i32, aBits: i32, w: usize, wBits: i32, bias: usize, multiplier: usize, left: i32, right: i32,
  out: usize, ldo: usize, zo: i32, m: i32, n: i32, k: i32, scratch: usize,
): void {
  if (wBits > NARROW_BITS) {
    gemm(a, lda, za, w, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch, Out.Fine);
  } else if (wBits <= 4) toFine8(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch);
  else if (aBits + wBits <= 14) toFine2(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch);
  else toFine1(a, lda, za, aBits, w, wBits, bias, multiplier, left, right, out, ldo, zo, m, n, k, scratch);
}

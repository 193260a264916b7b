/**
 * Rearrangements of f32 matrices into the orders that gemm.ts reads.
 *
 *   rows     [rows, depth]             -> [ceil(rows / 4)][depth][4]; a short last group
 *                                         repeats its last row
 *   weights  W [cols, depth] (= Bᵀ)    -> [ceil(cols / 8)][depth][8]; a short last panel
 *                                         repeats its last column
 *   columns  B [depth, cols]           -> the same panels; missing columns are zero
 *
 * `lds` is the distance between two rows of the source in elements. Source and destination must not
 * overlap.
 */

/** A as groups of four rows. */
export function packRows(src: usize, lds: i32, dst: usize, rows: i32, depth: i32): void {
  const step = <usize>lds << 2;
  for (let m = 0; m < rows; m += 4) {
    interleaveFour(src, step, rows - 1 - m, dst, 16, depth);
    src += step << 2;
    dst += <usize>depth << 4;
  }
}

/** W [cols, depth] as panels of eight columns of Wᵀ. */
export function pack_weights(src: usize, lds: i32, dst: usize, cols: i32, depth: i32): void {
  const step = <usize>lds << 2;
  for (let n = 0; n < cols; n += 8) {
    for (let half: usize = 0; half < 8; half += 4) {
      interleaveFour(src + step * half, step, cols - 1 - n - <i32>half, dst + (half << 2), 32, depth);
    }
    src += step << 3;
    dst += <usize>depth << 5;
  }
}

/**
 * Element k of rows 0 to 3 of src, or of row `last` (which may lie before src) in place of those
 * after it, side by side every `stride` bytes.
 */
// @ts-ignore: decorator
@inline
function interleaveFour(src: usize, step: usize, last: i32, dst: usize, stride: usize, depth: i32): void {
  let p0 = src + step * min(0, last);
  let p1 = src + step * min(1, last);
  let p2 = src + step * min(2, last);
  let p3 = src + step * min(3, last);
  let k = 0;
  for (; k <= depth - 4; k += 4) {
    const r0 = v128.load(p0);
    const r1 = v128.load(p1);
    const r2 = v128.load(p2);
    const r3 = v128.load(p3);
    const low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5);
    const high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7);
    const low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
    const high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
    v128.store(dst, i32x4.shuffle(low01, low23, 0, 1, 4, 5));
    v128.store(dst + stride, i32x4.shuffle(low01, low23, 2, 3, 6, 7));
    v128.store(dst + 2 * stride, i32x4.shuffle(high01, high23, 0, 1, 4, 5));
    v128.store(dst + 3 * stride, i32x4.shuffle(high01, high23, 2, 3, 6, 7));
    p0 += 16;
    p1 += 16;
    p2 += 16;
    p3 += 16;
    dst += 4 * stride;
  }
  for (; k < depth; k++) {
    store<f32>(dst, load<f32>(p0));
    store<f32>(dst, load<f32>(p1), 4);
    store<f32>(dst, load<f32>(p2), 8);
    store<f32>(dst, load<f32>(p3), 12);
    p0 += 4;
    p1 += 4;
    p2 += 4;
    p3 += 4;
    dst += stride;
  }
}

/** B [depth, cols] as panels of eight columns. */
export function pack_columns(src: usize, lds: i32, dst: usize, cols: i32, depth: i32): void {
  for (let n = 0; n < cols; n += 8) {
    let from = src + (<usize>n << 2);
    const width = min(8, cols - n);
    for (let k = 0; k < depth; k++) {
      if (width == 8) {
        v128.store(dst, v128.load(from));
        v128.store(dst, v128.load(from, 16), 16);
      } else {
        memory.fill(dst, 0, 32);
        memory.copy(dst, from, <usize>width << 2);
      }
      from += <usize>lds << 2;
      dst += 32;
    }
  }
}

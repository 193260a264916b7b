/**
 * Rearrangements of f32 matrices into the orders that gemm.ts reads.
 *
 *   rows     [rows, depth]             -> [ceil(rows / 4)][depth][4]; a short last group repeats its last row
 *   weights  W [cols, depth] (= Bᵀ)    -> [ceil(cols / 8)][depth][8]; missing columns are zero
 *   columns  B [depth, cols]           -> the same panels
 *
 * `lds` is the distance between two rows of the source in elements. Source and destination must not overlap.
 */

/** A as groups of four rows. */
export function packRows(src: usize, lds: i32, dst: usize, rows: i32, depth: i32): void {
  const step = <usize>lds << 2;
  for (let m = 0; m < rows; m += 4) {
    const last = rows - 1 - m;
    const p0 = src;
    const p1 = src + step * <usize>min(1, last);
    const p2 = src + step * <usize>min(2, last);
    const p3 = src + step * <usize>min(3, last);
    packFour(p0, p1, p2, p3, dst, depth);
    src += step << 2;
    dst += <usize>depth << 4;
  }
}

// @ts-ignore: decorator
@inline
function packFour(p0: usize, p1: usize, p2: usize, p3: usize, dst: usize, depth: i32): void {
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
    v128.store(dst, i32x4.shuffle(low01, low23, 2, 3, 6, 7), 16);
    v128.store(dst, i32x4.shuffle(high01, high23, 0, 1, 4, 5), 32);
    v128.store(dst, i32x4.shuffle(high01, high23, 2, 3, 6, 7), 48);
    p0 += 16;
    p1 += 16;
    p2 += 16;
    p3 += 16;
    dst += 64;
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
    dst += 16;
  }
}

/** W [cols, depth] as panels of eight columns of Wᵀ. */
export function packWeights(src: usize, lds: i32, dst: usize, cols: i32, depth: i32): void {
  for (let n = 0; n < cols; n += 8) {
    const width = min(8, cols - n);
    for (let j = 0; j < 8; j++) {
      let from = src + ((<usize>(n + j) * <usize>lds) << 2);
      let to = dst + (<usize>j << 2);
      const inside = j < width;
      for (let k = 0; k < depth; k++) {
        store<f32>(to, inside ? load<f32>(from) : 0);
        from += 4;
        to += 32;
      }
    }
    dst += <usize>depth << 5;
  }
}

/** B [depth, cols] as panels of eight columns. */
export function packColumns(src: usize, lds: i32, dst: usize, cols: i32, depth: i32): void {
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

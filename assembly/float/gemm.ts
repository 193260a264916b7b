/**
 * Matrix product in f32: C[m, n] = scale · Σ_k A[m, k] · B[k, n] + bias[n].
 *
 * Layout
 *   A     [rows, depth] f32, a row every `lda` elements
 *   B     packed panels (pack.ts): [ceil(cols / 8)][depth][8] f32; columns beyond `cols` may hold
 *         anything
 *   bias  [ceil(cols / 8) · 8] f32, or address 0 for none
 *   C     [rows, cols] f32, a row every `ldc` elements; nothing outside these is written
 *   scratch  FLOAT_CHUNK + FLOAT_TILE or more (scratchBytes(depth)), 16-byte aligned
 *
 * Rows are taken in chunks and columns in blocks, so that both stay in the second-level cache. A
 * chunk is packed four rows at a time as [depth][4], so that one pointer reaches all of a tile's
 * rows by immediate offsets. Four rows take all panels of a block in turn, which writes C from left
 * to right: a panel that takes all rows in turn is 10 % slower. The tile is 4 rows × 8 columns: 8
 * accumulators, 2 vectors of B and 4 of A are the 14 live vectors that x86-64 keeps in registers.
 * Unrolling over k halves the speed. Sums are plain f32 in the order of k, so a result does not
 * depend on the batch that it is part of.
 */
import { FLOAT_BLOCK, FLOAT_CHUNK, FLOAT_TILE } from '../sizes';
import { packRows } from './pack';
import { tile } from './tile';

/** Bytes of scratch that `gemm` needs for a product over `depth`. */
export function gemm_scratch_bytes(depth: i32): i32 {
  return chunkRows(depth) * (depth << 2) + FLOAT_TILE;
}

/** Rows of a chunk: a multiple of four, at least four. */
// @ts-ignore: decorator
@inline
function chunkRows(depth: i32): i32 {
  return max(4, (FLOAT_CHUNK / (depth << 2)) & ~3);
}

/** Columns of a block: a multiple of eight, at least eight. */
// @ts-ignore: decorator
@inline
function blockColumns(depth: i32): i32 {
  return max(8, (FLOAT_BLOCK / (depth << 2)) & ~7);
}

export function gemm(
  a: usize,
  lda: i32,
  b: usize,
  bias: usize,
  c: usize,
  ldc: i32,
  rows: i32,
  cols: i32,
  depth: i32,
  scale: f32,
  scratch: usize,
): void {
  const chunk = chunkRows(depth);
  const block = blockColumns(depth);
  const packed = scratch + FLOAT_TILE;
  const rowBytes = <usize>ldc << 2;
  for (let first = 0; first < rows; first += chunk) {
    const count = min(chunk, rows - first);
    packRows(a + ((<usize>first * <usize>lda) << 2), lda, packed, count, depth);
    for (let from = 0; from < cols; from += block) {
      const to = min(cols, from + block);
      let group = packed;
      let out = c + <usize>first * rowBytes;
      for (let m = 0; m < count; m += 4) {
        let panel = b + ((<usize>from * <usize>depth) << 2);
        for (let n = from; n < to; n += 8) {
          const columnBias = bias ? bias + (<usize>n << 2) : 0;
          const place = out + (<usize>n << 2);
          const whole = count - m >= 4 && cols - n >= 8;
          tile(group, 16, panel, depth, columnBias, scale, whole ? place : scratch, whole ? rowBytes : 32, false);
          if (!whole) copyTile(scratch, place, rowBytes, min(4, count - m), min(8, cols - n));
          panel += <usize>depth << 5;
        }
        group += <usize>depth << 4;
        out += rowBytes << 2;
      }
    }
  }
}

/** The part of a tile that lies inside C. */
function copyTile(tile: usize, out: usize, rowBytes: usize, rows: i32, cols: i32): void {
  for (let i = 0; i < rows; i++) {
    for (let j: usize = 0; j < <usize>cols << 2; j += 4) store<f32>(out + j, load<f32>(tile + j));
    tile += 32;
    out += rowBytes;
  }
}

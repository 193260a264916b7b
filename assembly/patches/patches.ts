/**
 * Table look-ups of bytes, the same in both tiers: a gather has no SIMD form.
 */

/**
 * Pixels to the rows of the patch embedding's matrix: out[patch,
 * (c·P + y)·P + x] = table[c][pixel]. The table folds the normalisation of a channel into the input
 * quantiser. pixels: u8 [size, size, 3]. table: u8 [3, 256]. out: u8 [count, k], the patches from
 * `first` on in reading order, k = 3·P² rounded up to 8; the padding gets `zero`, the zero point,
 * and meets weights that are 0.
 */
export function patches(pixels: usize, table: usize, zero: i32, size: i32, patch: i32, k: i32, first: i32, count: i32, out: usize): void {
  const side = size / patch;
  for (let i = first; i < first + count; i++) {
    const corner = pixels + <usize>(((i / side) * size + (i % side)) * patch * 3);
    let o = out;
    for (let c: usize = 0; c < 3; c++) {
      const t = table + (c << 8);
      for (let y = 0; y < patch; y++) {
        let p = corner + <usize>(y * size * 3) + c;
        for (let x = 0; x < patch; x++) {
          store<u8>(o++, load<u8>(t + <usize>load<u8>(p)));
          p += 3;
        }
      }
    }
    out += <usize>k;
    memory.fill(o, <u8>zero, out - o);
  }
}

/**
 * out[i] = table[x[i]]: codes of one scale to codes of another. x, out: u8 [n], may be the same.
 * table: u8 [256].
 */
export function lookup(x: usize, table: usize, out: usize, n: i32): void {
  for (let i: usize = 0; i < <usize>n; i++) store<u8>(out + i, load<u8>(table + <usize>load<u8>(x + i)));
}

/**
 * From bytes to the rows of the patch convolution, which has stride = kernel and so is a matrix
 * product.
 */

/**
 * x[i] = table[i mod 3][pixel[i]]: normalised pixels from interleaved RGB bytes.
 *
 * Layout: pixels u8 [count, 3], table f32 [3][256] (the value of every byte in every channel), x
 * f32 [count, 3].
 */
export function normalise(pixels: usize, table: usize, x: usize, count: i32): void {
  const end = pixels + 3 * <usize>count;
  for (; pixels < end; pixels += 3) {
    store<f32>(x, load<f32>(table + (<usize>load<u8>(pixels) << 2)));
    store<f32>(x, load<f32>(table + (<usize>load<u8>(pixels, 1) << 2), 1024), 4);
    store<f32>(x, load<f32>(table + (<usize>load<u8>(pixels, 2) << 2), 2048), 8);
    x += 12;
  }
}

/**
 * im2col of one image: rows of patches in reading order.
 *
 * Layout: x f32 [side, side, 3], out f32 [(side / patch)², patch · patch · 3] in the order (y, x,
 * channel); the weights are packed in the same order.
 */
export function patches(x: usize, side: i32, patch: i32, out: usize): void {
  const lineBytes = <usize>(patch * 3) << 2;
  const rowBytes = <usize>(side * 3) << 2;
  const grid = side / patch;
  for (let py = 0; py < grid; py++) {
    for (let px = 0; px < grid; px++) {
      let from = x + <usize>(py * patch) * rowBytes + <usize>px * lineBytes;
      for (let line = 0; line < patch; line++) {
        memory.copy(out, from, lineBytes);
        out += lineBytes;
        from += rowBytes;
      }
    }
  }
}

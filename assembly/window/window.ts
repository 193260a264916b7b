/**
 * Index arithmetic of Swin's maps of side × side tokens in reading order. Neighbouring kernels use
 * it instead of copying maps.
 */

/**
 * The row of the map that holds line `line` of `window` tokens, counted in window order: shift the
 * map by `shift` towards the origin, cut it into windows of window × window tokens, and count the
 * windows in reading order and the lines of each from top to bottom. side is a multiple of window,
 * 0 <= shift < window. Divisions are slow: `lineToken` steps along a line without one.
 */
// @ts-ignore: decorator
@inline
export function lineRow(line: i32, side: i32, window: i32, shift: i32): i32 {
  return wrap((line / side) * window + (line % window) + shift, side);
}

// @ts-ignore: decorator
@inline
export function lineColumn(line: i32, side: i32, window: i32, shift: i32): i32 {
  return (line % side) / window * window + shift;
}

/** Token x of a line. */
// @ts-ignore: decorator
@inline
export function lineToken(row: i32, column: i32, x: i32, side: i32): i32 {
  return row * side + wrap(column + x, side);
}

// @ts-ignore: decorator
@inline
function wrap(x: i32, side: i32): i32 {
  return x < side ? x : x - side;
}

/**
 * Gathers the 2×2 tokens of merged patch r in the order (0,0) (1,0) (0,1) (1,1), c bytes each. side
 * is even.
 */
// @ts-ignore: decorator
@inline
export function gatherPatch(x: usize, r: i32, side: i32, c: usize, out: usize): void {
  const half = side >> 1;
  const p = x + <usize>(2 * (r / half) * side + 2 * (r % half)) * c;
  const below = p + <usize>side * c;
  memory.copy(out, p, c);
  memory.copy(out + c, below, c);
  memory.copy(out + 2 * c, p + c, c);
  memory.copy(out + 3 * c, below + c, c);
}

// An attention map as an image: a cubic B-spline over the centres of the patches, coloured by
// viridis. It only grows lighter, so that nobody has to tell red from green.

/** matplotlib's viridis in eight steps. */
export const VIRIDIS = [
  '#440154',
  '#472d7b',
  '#3b528b',
  '#2c728e',
  '#21918c',
  '#28ae80',
  '#5ec962',
  '#addc30',
  '#fde725',
];

/** 256 colours of three bytes. */
const COLOURS = Uint8Array.from({ length: 768 }, (_, i) => {
  const at = (Math.floor(i / 3) / 255) * 7.999;
  const channel = (colour) => Number.parseInt(colour.slice(1 + 2 * (i % 3), 3 + 2 * (i % 3)), 16);
  const [from, to] = [VIRIDIS[Math.floor(at)], VIRIDIS[Math.floor(at) + 1]].map(channel);
  return Math.round(from + (to - from) * (at % 1));
});

/** Pixels per side, finer than the patches. */
export const SIDE = 192;

/** @param map `model.attention`; @returns RGBA `[SIDE, SIDE, 4]` */
export function coloured({ side, weights }) {
  const values = smooth(weights, side);
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const scale = high > low ? 255 / (high - low) : 0;
  const rgba = new Uint8ClampedArray(4 * SIDE * SIDE).fill(255);
  for (let i = 0; i < values.length; i++) {
    const colour = 3 * Math.round(scale * (values[i] - low));
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = COLOURS[colour + c];
  }
  return rgba;
}

/** From `[side, side]` to `[SIDE, SIDE]`. */
function smooth(weights, side) {
  const taps = Array.from({ length: SIDE }, (_, i) => spline(((i + 0.5) * side) / SIDE - 0.5, side));
  const rows = Array.from({ length: side }, (_, y) =>
    taps.map((row) => row.reduce((sum, [x, factor]) => sum + factor * weights[y * side + x], 0)),
  );
  const values = new Float32Array(SIDE * SIDE);
  taps.forEach((column, y) => {
    for (const [from, factor] of column)
      for (let x = 0; x < SIDE; x++) values[y * SIDE + x] += factor * rows[from][x];
  });
  return values;
}

/** The four patches around a place and their weights; patches at the edge repeat beyond it. */
function spline(at, side) {
  const before = Math.floor(at);
  const t = at - before;
  const factors = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
  return factors.map((factor, i) => [Math.min(side - 1, Math.max(0, before - 1 + i)), factor / 6]);
}

/** The place of the largest weight, in words. */
export function strongest({ side, weights }) {
  const at = weights.indexOf(Math.max(...weights));
  const third = (i) => Math.floor(((i + 0.5) / side) * 3);
  const row = ['top', 'middle', 'bottom'][third(Math.floor(at / side))];
  const column = ['left', 'middle', 'right'][third(at % side)];
  return row === column ? row : `${row} ${column}`;
}

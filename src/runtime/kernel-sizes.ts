// Copied from assembly/sizes.ts by scripts/kernel-sizes.mjs: not to be changed by hand.

/** Rows of a tile of a linear layer or a product of attention. Threads share rows in tiles. */
export const TILE_ROWS = 4;

/** After each panel of weights: the sums of 8 channels, i32 (gemm/layout.ts). */
export const PANEL_SUMS = 32;

/** Rows that `linear` packs at once, unless one tile is larger. */
export const LINEAR_CHUNK = 262144;

/** Panels that `linear` widens at once, unless one panel is larger. */
export const LINEAR_BLOCK = 32768;

/** Scratch of a softmax, without its masked row. */
export const SOFTMAX_SCRATCH = 2416;

/** Rows that the float `gemm` packs at once, unless four rows are larger. */
export const FLOAT_CHUNK = 131072;

/** Panels of a block of the float `gemm`. */
export const FLOAT_BLOCK = 131072;

/** Scratch of a tile of the float `gemm`. */
export const FLOAT_TILE = 128;

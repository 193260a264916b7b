/** A row-major float tensor. `data` may be a view on the file: do not write to it. */
export interface FloatTensor {
  /** Length of each axis. */
  readonly shape: readonly number[];
  /** The values, row by row. */
  readonly data: Float32Array;
}

import type { Pass } from '../../runtime/passes.js';
import type { FloatKernels, FloatWorkspace } from './kernels.js';

/** Shows a row-major tensor at `address` under the name of its layer. */
export type Emit = (name: string, address: number, shape: readonly number[]) => void;

/** One forward pass over `batch` images. */
export interface FloatPass extends Pick<FloatWorkspace, 'memory' | 'scratch'> {
  readonly kernels: FloatKernels;
  readonly batch: number;
  /** The epsilon of every LayerNorm. */
  readonly eps: number;
  /** u8 `[3][256]`, f32: the normalised value of every byte of every channel. */
  readonly pixelTable: number;
  /** The images, uint8 `[imageSize, imageSize, 3]`. */
  readonly pixels: readonly Uint8Array[];
  /** Address for one image. */
  readonly image: number;
  /** Address of k or v of one head as panels. */
  readonly panels: number;
  /** Absent if nobody observes the run. */
  readonly emit: Emit | undefined;
}

/** The calls of a layer. */
export type FloatStep = (pass: FloatPass) => Pass<void>;

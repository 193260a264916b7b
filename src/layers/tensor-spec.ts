import type { Dtype } from '../checkpoint/safetensors/safetensors.js';

/** A tensor that an integer checkpoint must have. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** For a table of exponentials: the number of scores in a row of its softmax. */
  readonly scores?: number;
  /** For a weight: the bits of a code. */
  readonly bits?: number;
  /** The permitted values, inclusive, if they are fewer than the type has. */
  readonly range?: { readonly low: number; readonly high: number; readonly expected: string };
}

/** A row-major tensor of an integer checkpoint. */
export type IntegerArray = Int8Array | Uint8Array | Int32Array | Uint32Array;

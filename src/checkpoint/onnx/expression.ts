import type { OnnxNode } from './wire.js';

/** `tanh` is an approximation of the exact GELU, `erf`. */
export type GeluKind = 'erf' | 'tanh';

/** The kinds of expressions, and how each is computed from others. */
export type Operation =
  | { readonly kind: 'image' }
  /** A convolution of patches: `size` is tokens × channels, tokens in reading order. */
  | {
      readonly kind: 'patches';
      readonly input: View;
      readonly weight: View<KnownTensor>;
      readonly bias: View<KnownTensor> | undefined;
    }
  /** `weight` is [out, in]. */
  | {
      readonly kind: 'linear';
      readonly input: View;
      readonly weight: View<KnownTensor>;
      readonly bias: View<KnownTensor> | undefined;
    }
  /** LayerNorm over the last axis. */
  | {
      readonly kind: 'norm';
      readonly input: View;
      readonly weight: View<KnownTensor>;
      readonly bias: View<KnownTensor> | undefined;
      readonly epsilon: number;
    }
  | { readonly kind: 'gelu'; readonly input: View; readonly approximation: GeluKind }
  | { readonly kind: 'softmax'; readonly input: View }
  /** The product of two matrices that are not constant. */
  | { readonly kind: 'product'; readonly a: View; readonly b: View }
  | { readonly kind: 'add'; readonly a: View; readonly b: View }
  /** Several sources, concatenated along an axis. */
  | { readonly kind: 'join'; readonly parts: readonly View[]; readonly axis: number }
  /** The mean over axes. */
  | { readonly kind: 'mean'; readonly input: View; readonly axes: readonly number[] }
  | { readonly kind: 'squared'; readonly input: View }
  /**
   * The steps of a LayerNorm of `input`, in this order; `scaled` is multiplied by the weight,
   * without the bias.
   */
  | { readonly kind: 'centred'; readonly input: View }
  | { readonly kind: 'variance' | 'deviation' | 'normalised'; readonly input: View; readonly epsilon: number }
  | {
      readonly kind: 'scaled';
      readonly input: View;
      readonly weight: View<KnownTensor>;
      readonly epsilon: number;
    }
  /** The steps of a GELU of `input`: input³; erf(input / √2) or its approximation; and 1 + that. */
  | { readonly kind: 'cube'; readonly input: View }
  | { readonly kind: 'sigmoid' | 'sigmoid1'; readonly input: View; readonly approximation: GeluKind }
  | { readonly kind: 'isNaN'; readonly input: View };

/** An operation with its node in the graph and the size of its result. */
export type Expression = Operation & {
  readonly node: OnnxNode;
  readonly shape: readonly number[];
  readonly size: number;
};

export type ExpressionKind = Operation['kind'];

export type ExpressionOf<K extends ExpressionKind> = Expression & { readonly kind: K };

/** Known numbers: a tensor of the file, or the result of computing with constants. */
export interface KnownTensor {
  readonly kind: 'constant';
  readonly type: 'float' | 'integer' | 'boolean';
  readonly size: number;
  /** The number in a cell. */
  readonly read: (cell: number) => number;
  /** The bits, if this is a float tensor of the file. */
  readonly stored: { readonly dtype: FloatDtype; readonly data: Uint8Array } | undefined;
}

export type FloatDtype = 'F16' | 'BF16' | 'F32' | 'F64';

export type Source = KnownTensor | Expression;

/** Elements of a source, times a factor. Cells are the source's elements, numbered row by row. */
export interface View<S extends Source = Source> {
  readonly source: S;
  /** The cell of each place that the strides address; undefined if places are cells. */
  readonly cells: Int32Array | undefined;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  /** The product of all scalars that multiply the source. */
  readonly factor: number;
}

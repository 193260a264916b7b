/**
 * What a graph computes from the image, in the layers of a vision transformer: each operator that does arithmetic becomes
 * one of these, and chains that mean one layer (a LayerNorm of seven operators, a GELU of five) become that layer.
 */

import type { Constant, View } from './view.js';
import type { OnnxNode } from './wire.js';

/** Of tanh approximates the other. */
export type GeluKind = 'erf' | 'tanh';

/** How each kind of expression is computed from others. */
export type Operation =
  | { readonly kind: 'image' }
  /** A convolution of patches: `size` is tokens × channels, tokens in reading order. */
  | {
      readonly kind: 'patches';
      readonly input: View;
      readonly weight: View<Constant>;
      readonly bias: View<Constant> | undefined;
    }
  /** `weight` is [out, in]. */
  | {
      readonly kind: 'linear';
      readonly input: View;
      readonly weight: View<Constant>;
      readonly bias: View<Constant> | undefined;
    }
  /** LayerNorm over the last axis. */
  | {
      readonly kind: 'norm';
      readonly input: View;
      readonly weight: View<Constant>;
      readonly bias: View<Constant> | undefined;
      readonly epsilon: number;
    }
  | { readonly kind: 'gelu'; readonly input: View; readonly approximation: GeluKind }
  | { readonly kind: 'softmax'; readonly input: View }
  /** The product of matrices, of which neither is constant. */
  | { readonly kind: 'product'; readonly a: View; readonly b: View }
  | { readonly kind: 'add'; readonly a: View; readonly b: View }
  /** Several sources side by side along an axis. */
  | { readonly kind: 'join'; readonly parts: readonly View[]; readonly axis: number }
  /** The mean over axes. */
  | { readonly kind: 'mean'; readonly input: View; readonly axes: readonly number[] }
  | { readonly kind: 'squared'; readonly input: View }
  /** Steps of a LayerNorm of `input` in this order; `scaled` has its weight, and no bias yet. */
  | { readonly kind: 'centred'; readonly input: View }
  | { readonly kind: 'variance' | 'deviation' | 'normalised'; readonly input: View; readonly epsilon: number }
  | {
      readonly kind: 'scaled';
      readonly input: View;
      readonly weight: View<Constant>;
      readonly epsilon: number;
    }
  /** Steps of a GELU of `input`: input³, erf(input / √2) or what approximates it, and one more than that. */
  | { readonly kind: 'cube'; readonly input: View }
  | { readonly kind: 'sigmoid' | 'sigmoid1'; readonly input: View; readonly approximation: GeluKind }
  | { readonly kind: 'isNaN'; readonly input: View };

/** An operation, where it is in the graph, and how much it gives. */
export type Expression = Operation & {
  readonly node: OnnxNode;
  readonly shape: readonly number[];
  readonly size: number;
};

export type ExpressionKind = Operation['kind'];

/** The expression of a kind. */
export type ExpressionOf<K extends ExpressionKind> = Expression & { readonly kind: K };

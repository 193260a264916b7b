import type { FloatModel } from '../checkpoint/float/model.js';
import type { Recipe } from '../checkpoint/integer/description.js';
import type { Quantizer } from '../quantize/observers.js';
import type { GeluTable } from './gelu/table.js';
import type { QuantizerScale } from './integer-activation.js';
import type { IntegerLayer } from './integer-kinds.js';
import type { Layer } from './layer.js';
import type { LayerBase } from './layer-base.js';
import type { Moments } from './linear/moments.js';
import type { PatchesLayer } from './patches/layer.js';
import type { Shape } from './shape.js';
import type { IntegerArray } from './tensor-spec.js';

/** What the quantiser side of a kind may ask. */
export interface QuantizeContext {
  readonly model: FloatModel;
  readonly recipe: Recipe;
  /** The quantiser of an activation. @throws QuantizeError */
  quantizer(name: string): Quantizer;
  /** The highest code of an activation. */
  highest(name: string): number;
  shape(name: string): Shape;
  /** The layer that makes an activation, if it makes patches of the pixels. */
  patches(name: string): PatchesLayer | undefined;
  /** The moments of a linear input, for error feedback. */
  moments(name: string): Moments | undefined;
  /** A float tensor. */
  float(name: string): Float32Array;
  /** The table of the GELU that reads fine codes. */
  geluTable(name: string): GeluTable;
}

/**
 * An integer layer without what it has in common with its float layer, and its tensors by suffix.
 */
export interface QuantizedLayer<L extends IntegerLayer> {
  readonly attributes: Omit<L, keyof LayerBase<string>>;
  readonly tensors: Readonly<Record<string, IntegerArray | undefined>>;
}

/** The scale and zero point of what a layer makes. */
export function scaleAndZero({ name }: Layer, context: QuantizeContext): QuantizerScale {
  const { scale, zeroPoint } = context.quantizer(name);
  return { scale, zeroPoint };
}

/** The power-of-two factors of what a layer makes, if the recipe has them. */
export function factorsOfLayer({ name }: Layer, context: QuantizeContext) {
  const { factors } = context.quantizer(name);
  return factors === undefined
    ? { flag: {}, tensors: {} }
    : { flag: { factors: true as const }, tensors: { factors } };
}

/** The bits of a linear input, if they are fewer than 8. */
export function narrowBits({ name }: Layer, context: QuantizeContext): { readonly bits?: 7 } {
  return context.highest(name) === 127 ? { bits: 7 } : {};
}

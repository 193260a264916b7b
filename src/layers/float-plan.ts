import type { ParameterPlan } from '../forward/float/parameters.js';
import type { Layer } from './layer.js';
import type { Shape } from './shape.js';

/** What a kind of layer asks of the plan of a float pass. */
export interface FloatPlan {
  readonly parameters: ParameterPlan;
  readonly batch: number;
  readonly imageSize: number;
  /** Bytes of the largest key or value of a head as panels. */
  panelBytes: number;
  shape(name: string): Shape;
  layer(name: string): Layer;
  /** The region of an activation. */
  at(name: string): { readonly address: number };
  /** A new region for what a layer makes: f32 `[batch, rows, columns]`. */
  output(layer: Layer): { readonly address: number };
  /** The region of the first operand, which the layer overwrites: nobody else may read it later. */
  inPlace(layer: Layer): { readonly address: number };
  /** A parameter that layers read as an activation. */
  constant(layer: Layer, address: number): void;
  /** A region for this step alone. */
  temporary(bytes: number): { readonly address: number };
}

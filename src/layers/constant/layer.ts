import type { LayerBase } from '../layer-base.js';
import type { Shape } from '../shape.js';

/** A parameter that other layers read as an activation: position embeddings, bias tables. */
export interface ConstantLayer extends LayerBase<'constant'> {
  readonly shape: readonly [rows: number, columns: number];
  /** The float tensor. */
  readonly source: string;
}

export function constantShape({ shape: [rows, columns] }: Pick<ConstantLayer, 'shape'>): Shape {
  return { rows, columns };
}

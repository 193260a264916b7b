import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import { expectPlain, type Shape, shapeOnly } from '../shape.js';

/** GELU of every element of a linear layer's output. */
export interface GeluLayer extends LayerBase<'gelu'> {
  readonly gelu: Gelu;
}

export function geluShape([input]: readonly Shape[], refuse: Refuse): Shape {
  expectPlain(input!, refuse);
  return shapeOnly(input!);
}

/** The GELU of the MLPs: exact, the tanh approximation, or x·sigmoid(1.702 x). */
export type Gelu = 'exact' | 'tanh' | 'quick';

export const GELUS: readonly Gelu[] = ['exact', 'tanh', 'quick'];

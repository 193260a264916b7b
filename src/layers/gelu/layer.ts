import type { Gelu } from '../../architecture/architecture.js';
import type { LayerBase } from '../layer-base.js';
import { expectPlain, type Refuse, type Shape, shapeOnly } from '../shape.js';

/** GELU of every element of a linear layer's output. */
export interface GeluLayer extends LayerBase<'gelu'> {
  readonly gelu: Gelu;
}

export function geluShape([input]: readonly Shape[], refuse: Refuse): Shape {
  expectPlain(input!, refuse);
  return shapeOnly(input!);
}

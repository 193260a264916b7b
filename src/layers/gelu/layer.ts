import type { Gelu } from '../../checkpoint/architecture.js';
import type { LayerBase } from '../layer.js';
import type { Refuse, Shape } from '../shape.js';

/** GELU of every element of a linear layer's output. */
export interface GeluLayer extends LayerBase<'gelu'> {
  readonly gelu: Gelu;
}

export function geluShape([input]: readonly Shape[], refuse: Refuse): Shape {
  if (input!.columns % 8 !== 0) refuse(`expected a multiple of 8 columns, found ${input!.columns}`);
  if (input!.partial !== undefined) refuse('expected whole rows, found some that are not computed');
  return input!;
}

import { factorsOfLayer, type QuantizeContext, type QuantizedLayer, scaleAndZero } from '../quantize-kind.js';
import type { IntegerAdd } from './integer.js';
import type { AddLayer } from './layer.js';
import { additionParameters } from './scales.js';

export function quantizeAdd(layer: AddLayer, context: QuantizeContext): QuantizedLayer<IntegerAdd> {
  const [a, b] = layer.reads.map((name) => context.quantizer(name));
  const { columns } = context.shape(layer.name);
  const { multipliers, shift } = additionParameters(a!, b!, context.quantizer(layer.name), columns);
  const factors = factorsOfLayer(layer, context);
  return {
    attributes: { shift, ...factors.flag, ...scaleAndZero(layer, context) },
    tensors: { multiplier: multipliers, ...factors.tensors },
  };
}

import { narrowBits, type QuantizeContext, type QuantizedLayer, scaleAndZero } from '../quantize-kind.js';
import type { IntegerGelu } from './integer.js';
import type { GeluLayer } from './layer.js';

export function quantizeGelu(layer: GeluLayer, context: QuantizeContext): QuantizedLayer<IntegerGelu> {
  return {
    attributes: { ...narrowBits(layer, context), ...scaleAndZero(layer, context) },
    tensors: { table: context.geluTable(layer.reads[0]!).table },
  };
}

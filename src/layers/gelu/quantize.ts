import { narrowBits, type QuantizeContext, type Quantized, scaleAndZero } from '../quantize-kind.js';
import type { IntegerGelu } from './integer.js';
import type { GeluLayer } from './layer.js';

export function quantizeGelu(layer: GeluLayer, context: QuantizeContext): Quantized<IntegerGelu> {
  return {
    attributes: { ...narrowBits(layer, context), ...scaleAndZero(layer, context) },
    tensors: { table: context.geluTable(layer.reads[0]!).table },
  };
}

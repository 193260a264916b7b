import { factorsOfLayer, type QuantizeContext, type QuantizedLayer, scaleAndZero } from '../quantize-kind.js';
import { productOf } from '../requantizer.js';
import type { IntegerPool } from './integer.js';
import type { PoolLayer } from './layer.js';

/** The mean over tokens, which keeps power-of-two factors (quantize/observers/pooled.ts). */
export function quantizePool(layer: PoolLayer, context: QuantizeContext): QuantizedLayer<IntegerPool> {
  const { skip, name, reads } = layer;
  const tokens = context.shape(reads[0]!).rows - skip;
  const ratio = context.quantizer(reads[0]!).scale / context.quantizer(name).scale / tokens;
  const factors = factorsOfLayer(layer, context);
  return {
    attributes: {
      skip,
      ...productOf(ratio, 255 * tokens),
      ...factors.flag,
      ...scaleAndZero(layer, context),
    },
    tensors: factors.tensors,
  };
}

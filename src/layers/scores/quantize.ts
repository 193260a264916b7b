import { type QuantizeContext, type QuantizedLayer, scaleAndZero } from '../quantize-kind.js';
import { productOf } from '../requantizer.js';
import type { IntegerScores } from './integer.js';
import type { ScoresLayer } from './layer.js';

export function quantizeScores(layer: ScoresLayer, context: QuantizeContext): QuantizedLayer<IntegerScores> {
  const { heads, queries, name, reads } = layer;
  const qkv = context.quantizer(reads[0]!);
  const headDim = context.shape(reads[0]!).columns / 3 / heads;
  const factor = qkv.scale ** 2 / Math.sqrt(headDim) / context.quantizer(name).scale;
  return {
    attributes: {
      heads,
      ...(queries === undefined ? {} : { queries }),
      ...productOf(factor, 255 ** 2 * headDim),
      ...scaleAndZero(layer, context),
    },
    tensors: {},
  };
}

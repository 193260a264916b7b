import { narrowBits, type QuantizeContext, type QuantizedLayer, scaleAndZero } from '../quantize-kind.js';
import { productOf } from '../requantizer.js';
import type { IntegerContext } from './integer.js';
import type { ContextLayer } from './layer.js';

export function quantizeContext(
  layer: ContextLayer,
  context: QuantizeContext,
): QuantizedLayer<IntegerContext> {
  const [probabilities, qkv] = layer.reads as [string, string];
  const v = context.quantizer(qkv).scale;
  const { scale } = context.quantizer(layer.name);
  const { columns: tokens } = context.shape(probabilities);
  const product =
    context.recipe.attention === 'uniform'
      ? productOf((context.quantizer(probabilities).scale * v) / scale, 255 ** 2 * tokens)
      : productOf((-v * 2 ** -15) / scale, 2 ** 24);
  return {
    attributes: { ...product, ...narrowBits(layer, context), ...scaleAndZero(layer, context) },
    tensors: {},
  };
}

import { prefixOf } from '../integer-kind.js';
import { narrowBits, type QuantizeContext, type QuantizedLayer, scaleAndZero } from '../quantize-kind.js';
import { FULL_MANTISSA, layerNormParameters, PAPER_MANTISSA } from './gain.js';
import type { IntegerLayerNorm } from './integer.js';
import type { LayerNormLayer } from './layer.js';

export function quantizeLayerNorm(
  layer: LayerNormLayer,
  context: QuantizeContext,
): QuantizedLayer<IntegerLayerNorm> {
  const { rows, joined, window, merge, name } = layer;
  const { gain, bias, shift } = layerNormParameters(
    context.float(`${prefixOf(layer)}.weight`),
    context.float(`${prefixOf(layer)}.bias`),
    context.quantizer(name).scale,
    context.recipe.method === 'best' ? FULL_MANTISSA : PAPER_MANTISSA,
  );
  return {
    attributes: {
      shift,
      ...(rows === undefined ? {} : { rows }),
      ...(joined ? { joined } : {}),
      ...(window ? { window } : {}),
      ...(merge ? { merge } : {}),
      ...narrowBits(layer, context),
      ...scaleAndZero(layer, context),
    },
    tensors: { gain, bias },
  };
}

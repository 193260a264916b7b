import { additionParameters } from '../add/scales.js';
import { type QuantizeContext, type QuantizedLayer, scaleAndZero } from '../quantize-kind.js';
import type { IntegerBias } from './integer.js';
import type { BiasLayer } from './layer.js';

export function quantizeBias(layer: BiasLayer, context: QuantizeContext): QuantizedLayer<IntegerBias> {
  const [scores, table] = layer.reads.map((name) => context.quantizer(name));
  const { multipliers, shift } = additionParameters(scores!, table!, context.quantizer(layer.name), 1);
  const [multiplier, biasMultiplier] = multipliers as unknown as [number, number];
  return { attributes: { multiplier, biasMultiplier, shift, ...scaleAndZero(layer, context) }, tensors: {} };
}

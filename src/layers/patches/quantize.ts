import type { QuantizeContext, QuantizedLayer } from '../quantize-kind.js';
import { inputQuantizer } from './input.js';
import type { IntegerPatches } from './integer.js';
import type { PatchesLayer } from './layer.js';

export function quantizePatches(
  layer: PatchesLayer,
  context: QuantizeContext,
): QuantizedLayer<IntegerPatches> {
  const { patch, direct = false } = layer;
  const observed = context.quantizer(layer.name);
  const { scale, zeroPoint, table } = inputQuantizer(direct, context.model.preprocessing, observed);
  return { attributes: { patch, scale, zeroPoint }, tensors: { table } };
}

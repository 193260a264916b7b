import type { Quantizer } from '../../quantize/observers.js';
import { scaleOf } from '../add/scales.js';
import { type QuantizeContext, type QuantizedLayer, scaleAndZero } from '../quantize-kind.js';
import { affineCode } from '../round.js';
import type { IntegerConstant } from './integer.js';
import type { ConstantLayer } from './layer.js';

export function quantizeConstant(
  layer: ConstantLayer,
  context: QuantizeContext,
): QuantizedLayer<IntegerConstant> {
  const { shape, source, name } = layer;
  const codes = channelCodes(context.float(source), shape[1], context.quantizer(name));
  return { attributes: { shape, ...scaleAndZero(layer, context) }, tensors: { codes } };
}

/** A float tensor as codes. */
export function channelCodes(values: Float32Array, channels: number, quantizer: Quantizer): Uint8Array {
  const { zeroPoint } = quantizer;
  return Uint8Array.from(values, (x, i) =>
    affineCode(x, { scale: scaleOf(quantizer, i % channels), zeroPoint }),
  );
}

import { channelCodes } from '../constant/quantize.js';
import { type QuantizeContext, type QuantizedLayer, scaleAndZero } from '../quantize-kind.js';
import { affineCode } from '../round.js';
import type { IntegerTokens } from './integer.js';
import type { TokensLayer } from './layer.js';

export function quantizeTokens(layer: TokensLayer, context: QuantizeContext): QuantizedLayer<IntegerTokens> {
  const { prefix, name, reads, source } = layer;
  const patches = context.quantizer(reads[0]!);
  const tokens = context.quantizer(name);
  const table = Uint8Array.from({ length: 256 }, (_, code) =>
    affineCode((code - patches.zeroPoint) * patches.scale, tokens),
  );
  const { columns } = context.shape(name);
  const first = prefix > 0 ? channelCodes(context.float(source), columns, tokens) : undefined;
  return { attributes: { prefix, ...scaleAndZero(layer, context) }, tensors: { table, first } };
}

import { quantizeAdd } from './add/quantize.js';
import { quantizeBias } from './bias/quantize.js';
import { quantizeConstant } from './constant/quantize.js';
import { quantizeContext } from './context/quantize.js';
import { quantizeGelu } from './gelu/quantize.js';
import type { IntegerLayer } from './integer-kinds.js';
import type { Layer } from './layer.js';
import { quantizeLayerNorm } from './layernorm/quantize.js';
import { quantizeLinear } from './linear/quantize.js';
import { quantizePatches } from './patches/quantize.js';
import { quantizePool } from './pool/quantize.js';
import type { QuantizeContext, QuantizedLayer } from './quantize-kind.js';
import { quantizeScores } from './scores/quantize.js';
import { quantizeSoftmax } from './softmax/quantize.js';
import { quantizeTokens } from './tokens/quantize.js';

/** The integer layer of a layer. */
export function quantizeLayer(layer: Layer, context: QuantizeContext): QuantizedLayer<IntegerLayer> {
  switch (layer.kind) {
    case 'patches':
      return quantizePatches(layer, context);
    case 'tokens':
      return quantizeTokens(layer, context);
    case 'constant':
      return quantizeConstant(layer, context);
    case 'linear':
      return quantizeLinear(layer, context);
    case 'scores':
      return quantizeScores(layer, context);
    case 'bias':
      return quantizeBias(layer, context);
    case 'softmax':
      return quantizeSoftmax(layer, context);
    case 'context':
      return quantizeContext(layer, context);
    case 'add':
      return quantizeAdd(layer, context);
    case 'layernorm':
      return quantizeLayerNorm(layer, context);
    case 'gelu':
      return quantizeGelu(layer, context);
    case 'pool':
      return quantizePool(layer, context);
  }
}

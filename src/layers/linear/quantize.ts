import { scaleOf } from '../add/scales.js';
import { prefixOf } from '../integer-kind.js';
import { inputQuantizer } from '../patches/input.js';
import { factorsOfLayer, type QuantizeContext, type QuantizedLayer } from '../quantize-kind.js';
import { requantizer } from '../requantizer.js';
import { clamp } from '../round.js';
import { ErrorFeedback } from './feedback.js';
import type { IntegerLinear } from './integer.js';
import type { LinearLayer } from './layer.js';
import { packNibbles } from './nibbles.js';
import { linearCodes, MAX_BIAS } from './weights.js';

export function quantizeLinear(layer: LinearLayer, context: QuantizeContext): QuantizedLayer<IntegerLinear> {
  const { outputs, partial, fine, edge, unbiased, name } = layer;
  const from = layer.reads[0]!;
  const { columns: inputs } = context.shape(from);
  const weight = context.float(`${prefixOf(layer)}.weight`);
  const realBias = unbiased ? new Float32Array(outputs) : context.float(`${prefixOf(layer)}.bias`);
  const { scale, offset } = inputOf(from, context);
  const weightBits = edge && context.recipe.weightBits < 7 ? 7 : context.recipe.weightBits;
  const target = fine ? context.geluTable(name) : context.quantizer(name);
  const moments = context.moments(from);
  const feedback = moments && new ErrorFeedback(moments, scale);
  const { codes, scales, bias } = linearCodes(weight, realBias, scale, target.scale, weightBits, feedback);
  const biases = new Int32Array(outputs);
  const highest = context.highest(from);
  let bound = 0;
  for (let o = 0; o < outputs; o++) {
    let sum = 0;
    let magnitude = 0;
    for (const code of codes.subarray(o * inputs, (o + 1) * inputs)) {
      sum += code;
      magnitude += Math.abs(code);
    }
    const b = Math.round(bias[o]! / (scale * scales[o]!) + offset * sum);
    biases[o] = clamp(b, -MAX_BIAS, MAX_BIAS);
    bound = Math.max(bound, highest * magnitude + Math.abs(biases[o]!));
  }
  const ratios = Float64Array.from(scales, (s, o) => (scale * s) / scaleOf(target, o));
  const { multipliers, left, right } = requantizer(ratios, bound);
  const factors = fine ? { flag: {}, tensors: {} } : factorsOfLayer(layer, context);
  return {
    attributes: {
      outputs,
      weightBits,
      left,
      right,
      ...(partial ? { partial } : {}),
      ...(fine ? { fine } : {}),
      ...factors.flag,
      scale: target.scale,
      zeroPoint: target.zeroPoint,
    },
    tensors: {
      weight: weightBits === 4 ? packNibbles(codes, inputs) : codes,
      bias: biases,
      multiplier: multipliers,
      ...factors.tensors,
    },
  };
}

/**
 * The scale of the input, and its offset: real input = scale·(code - zeroPoint + offset). The bias
 * absorbs the sum of the offset over the weights.
 */
function inputOf(name: string, context: QuantizeContext): { scale: number; offset: number } {
  const patches = context.patches(name);
  if (patches === undefined) return { scale: context.quantizer(name).scale, offset: 0 };
  return inputQuantizer(patches.direct ?? false, context.model.preprocessing, context.quantizer(name));
}

import { attentionValues } from '../checkpoint/attention-values.js';
import type { IntegerModel } from '../checkpoint/integer-model.js';
import { inputQuantizer } from './input.js';

/** The real values of an activation's codes: values[code] · the scale of the channel. */
export interface RealCodes {
  /** f64 `[256]`. */
  readonly values: Float64Array;
  /** One scale per channel, or one for all. */
  readonly scales: Float64Array;
}

/**
 * The real values of the codes of an integer model (docs/integer-checkpoint.md).
 *
 * @param name of a quantiser, or `B.attn.softmax` for the attention codes of a block
 */
export function realCodes(model: IntegerModel, name: string): RealCodes {
  if (name.endsWith('.attn.softmax')) {
    return { values: attentionValues(model, name), scales: Float64Array.of(1) };
  }
  const { zeroPoint } = model.quantizers.get(name)!;
  return { values: affine(zeroPoint - inputOffset(model, name)), scales: channelScales(model, name) };
}

const affine = (zero: number) => Float64Array.from({ length: 256 }, (_, code) => code - zero);

/** Integer minus real zero point of the pixels; the bias of the patch embedding corrects it. */
function inputOffset({ architecture, preprocessing, quantizers }: IntegerModel, name: string): number {
  if (name !== 'input') return 0;
  return inputQuantizer(architecture.family, preprocessing, quantizers.get('input')!).offset;
}

function channelScales(model: IntegerModel, name: string): Float64Array {
  const { scale } = model.quantizers.get(name)!;
  const factors = model.tensors.get(`${name.replace(/\.out$/, '')}.factors`);
  if (factors !== undefined) return Float64Array.from(factors, (factor) => scale * 2 ** factor);
  const operand = model.recipe.method === 'best' ? operandOf(name) : undefined;
  return operand ? operandScales(model, operand) : Float64Array.of(scale);
}

/** An operand of an addition: the first or the second. */
interface Operand {
  readonly addition: string;
  readonly index: 0 | 1;
}

/** Inputs of additions other than the residual stream. The patches have the tokens' scales. */
function operandOf(name: string): Operand | undefined {
  if (name === 'tokens' || name === 'patch_embed.out') return { addition: 'stem', index: 0 };
  if (name === 'pos_embed') return { addition: 'stem', index: 1 };
  const [, block, layer] = /^(.*)\.(attn\.proj|mlp\.fc2)\.out$/.exec(name) ?? [];
  if (block === undefined) return undefined;
  return { addition: `${block}.residual${layer === 'attn.proj' ? 1 : 2}`, index: 1 };
}

/** The scale of channel c: multiplier[c] · 2^-shift times that of the sum. */
function operandScales(model: IntegerModel, { addition, index }: Operand): Float64Array {
  const sum = channelScales(model, `${addition}.out`);
  const { shift } = model.steps.get(addition)!;
  const multipliers = model.tensors.get(`${addition}.multiplier`)!;
  return sum.map((scale, c) => (scale * multipliers[index * sum.length + c]!) / 2 ** shift!);
}

import type { IntegerModel } from '../checkpoint/integer/model.js';
import { prefixOf } from '../layers/integer-kind.js';
import type { IntegerLayer } from '../layers/integer-kinds.js';
import { inputQuantizer } from '../layers/patches/input.js';
import { attentionValues } from '../layers/softmax/attention-values.js';
import type { Network } from '../networks/network.js';

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
 * @param network that the model was made from
 * @param name of a layer
 */
export function realCodes(model: IntegerModel, network: Network, name: string): RealCodes {
  const made = model.program.activations.get(name)!;
  if (made.element !== 'codes' && made.element !== 'fine')
    return { values: attentionValues(made), scales: Float64Array.of(1) };
  const zero = made.zeroPoint - inputOffset(model, network, name);
  const values = Float64Array.from({ length: 256 }, (_, code) => code - zero);
  return { values, scales: channelScales(model, name) };
}

/** Integer minus real zero point of the pixels; the bias of the patch embedding corrects it. */
function inputOffset({ preprocessing, program }: IntegerModel, { layers }: Network, name: string): number {
  const layer = layers.find((one) => one.name === name);
  if (layer?.kind !== 'patches') return 0;
  const { scale, zeroPoint } = program.activations.get(name)!;
  return inputQuantizer(layer.direct ?? false, preprocessing, { scale: scale!, zeroPoint }).offset;
}

function channelScales(model: IntegerModel, name: string): Float64Array {
  const { program, tensors, recipe } = model;
  const { scale, factors } = program.activations.get(name)!;
  if (factors !== undefined)
    return Float64Array.from(tensors.get(factors)!, (factor) => scale! * 2 ** factor);
  const readers = program.layers.filter(({ reads }) => reads.includes(name));
  const [reader] = readers;
  if (recipe.method !== 'best' || reader === undefined) return Float64Array.of(scale!);
  if (reader.kind === 'tokens') return channelScales(model, reader.name);
  return readers.every(({ kind }) => kind === 'add')
    ? operandScales(model, reader, reader.reads.indexOf(name))
    : Float64Array.of(scale!);
}

/** The scale of channel c: multiplier[c] · 2^-shift times that of the sum. */
function operandScales(model: IntegerModel, addition: IntegerLayer, index: number): Float64Array {
  const sum = channelScales(model, addition.name);
  const { columns } = model.program.activations.get(addition.name)!;
  const { shift } = addition as { shift?: number };
  const multipliers = model.tensors.get(`${prefixOf(addition)}.multiplier`)!;
  return Float64Array.from({ length: columns }, (_, c) => {
    const scale = sum[sum.length === 1 ? 0 : c]!;
    return (scale * multipliers[index * columns + c]!) / 2 ** shift!;
  });
}

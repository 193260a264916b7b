import type { FloatModel } from '../../checkpoint/float-model.js';
import type { IntegerModel } from '../../checkpoint/integer-model.js';

/** A part of a model, summed over all blocks. */
export interface PartSize {
  readonly part: string;
  /** Parameters of the float model. */
  readonly parameters: number;
  /** Bytes in the integer checkpoint. */
  readonly bytes: number;
}

/** The part of a tensor, float or integer: that of the first pattern that its name matches. */
const PARTS: readonly (readonly [part: string, name: RegExp])[] = [
  ['patch embedding', /^(patch_embed\.proj\.|input\.table$|tokens\.table$|cls_token$)/],
  ['position embedding', /^pos_embed$|\.(relative_position_)?bias_table$/],
  ['tables', /\.table$/],
  ['attention', /\.attn\./],
  ['MLP', /\.mlp\./],
  ['patch merging', /\.downsample\.reduction\./],
  ['LayerNorm', /(^|\.)norm\d?\./],
  ['head', /^head\./],
  ['additions', /\.(multiplier|factors)$/],
];

/** The parts of a model in the order of the forward pass, then the description. */
export function partSizes(float: FloatModel, integer: IntegerModel, fileBytes: number): PartSize[] {
  const parameters = sums([...float.tensors].map(([name, { data }]) => [name, data.length]));
  const bytes = sums([...integer.tensors].map(([name, { byteLength }]) => [name, byteLength]));
  const parts = PARTS.map(([part]) => ({
    part,
    parameters: parameters.get(part) ?? 0,
    bytes: bytes.get(part) ?? 0,
  })).filter(({ bytes: size }) => size > 0);
  const rest = fileBytes - parts.reduce((total, { bytes: size }) => total + size, 0);
  return [...parts, { part: 'description', parameters: 0, bytes: rest }];
}

function sums(tensors: readonly (readonly [name: string, size: number])[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const [name, size] of tensors) {
    const part = PARTS.find(([, pattern]) => pattern.test(name))![0];
    sizes.set(part, (sizes.get(part) ?? 0) + size);
  }
  return sizes;
}

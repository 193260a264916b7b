/** A Swin that is small enough for tests, with Microsoft's names. */

import type { Tensor } from '../../src/checkpoint/safetensors/safetensors.js';

export interface TinySwinSizes {
  imageSize: number;
  patchSize: number;
  dim: number;
  depths: readonly number[];
  heads: readonly number[];
  window: number;
  mlpDim: number;
  classes: number;
}

/** 8×8 patches of 2×2; four shifted windows in the first stage, one in the second; 3 classes. */
export const TINY_SWIN: TinySwinSizes = {
  imageSize: 16,
  patchSize: 2,
  dim: 16,
  depths: [2, 2],
  heads: [2, 4],
  window: 4,
  mlpDim: 32,
  classes: 3,
};

/** Shapes by name, in the order of the forward pass, independent of the code under test. */
export function tinySwinShapes(sizes: Partial<TinySwinSizes> = {}): Map<string, number[]> {
  const { patchSize: p, dim, depths, heads, mlpDim, classes: k, ...rest } = { ...TINY_SWIN, ...sizes };
  const shapes: [string, number[]][] = [
    ['patch_embed.proj.weight', [dim, 3, p, p]],
    ['patch_embed.proj.bias', [dim]],
    ['patch_embed.norm.weight', [dim]],
    ['patch_embed.norm.bias', [dim]],
  ];
  let c = dim;
  let m = mlpDim;
  for (const [i, depth] of depths.entries()) {
    const window = Math.min(rest.window, rest.imageSize / p / 2 ** i);
    for (let j = 0; j < depth; j++) {
      const block = `layers.${i}.blocks.${j}`;
      shapes.push(
        [`${block}.norm1.weight`, [c]],
        [`${block}.norm1.bias`, [c]],
        [`${block}.attn.relative_position_bias_table`, [(2 * window - 1) ** 2, heads[i]!]],
        [`${block}.attn.qkv.weight`, [c * 3, c]],
        [`${block}.attn.qkv.bias`, [c * 3]],
        [`${block}.attn.proj.weight`, [c, c]],
        [`${block}.attn.proj.bias`, [c]],
        [`${block}.norm2.weight`, [c]],
        [`${block}.norm2.bias`, [c]],
        [`${block}.mlp.fc1.weight`, [m, c]],
        [`${block}.mlp.fc1.bias`, [m]],
        [`${block}.mlp.fc2.weight`, [c, m]],
        [`${block}.mlp.fc2.bias`, [c]],
      );
    }
    if (i + 1 === depths.length) break;
    shapes.push(
      [`layers.${i}.downsample.norm.weight`, [c * 4]],
      [`layers.${i}.downsample.norm.bias`, [c * 4]],
      [`layers.${i}.downsample.reduction.weight`, [c * 2, c * 4]],
    );
    c *= 2;
    m *= 2;
  }
  shapes.push(['norm.weight', [c]], ['norm.bias', [c]], ['head.weight', [k, c]], ['head.bias', [k]]);
  return new Map(shapes);
}

/** PyTorch's buffers: position indices (I64), and masks of shifted windows (F32). */
export function tinySwinBuffers(sizes: Partial<TinySwinSizes> = {}): Tensor[] {
  const { imageSize, patchSize, depths, window } = { ...TINY_SWIN, ...sizes };
  return depths.flatMap((depth, i) => {
    const side = imageSize / patchSize / 2 ** i;
    const tokens = Math.min(window, side) ** 2;
    return Array.from({ length: depth }, (_, j): Tensor[] => {
      const block = `layers.${i}.blocks.${j}`;
      const index = buffer(`${block}.attn.relative_position_index`, 'I64', [tokens, tokens]);
      const shifts = j % 2 === 1 && side > window;
      return shifts
        ? [index, buffer(`${block}.attn_mask`, 'F32', [side ** 2 / tokens, tokens, tokens])]
        : [index];
    }).flat();
  });
}

function buffer(name: string, dtype: 'I64' | 'F32', shape: number[]): Tensor {
  const bytes = shape.reduce((product, n) => product * n, dtype === 'I64' ? 8 : 4);
  return { name, dtype, shape, data: new Uint8Array(bytes) };
}

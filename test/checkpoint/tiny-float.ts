/** A DeiT that is small enough for tests, with timm's names. */

import { type Dtype, type Tensor, writeSafetensors } from '../../src/checkpoint/safetensors/safetensors.js';

export interface TinySizes {
  dim: number;
  depth: number;
  patchSize: number;
  grid: number;
  mlpDim: number;
  classes: number;
}

/** dim 16, 2 blocks, 4 patches of 4×4, MLP 32, 3 classes. */
export const TINY: TinySizes = { dim: 16, depth: 2, patchSize: 4, grid: 2, mlpDim: 32, classes: 3 };

/** Shapes by name, independent of the code under test. */
export function tinyShapes(sizes: Partial<TinySizes> = {}): Map<string, number[]> {
  const { dim: c, depth, patchSize: p, grid: g, mlpDim: m, classes: k } = { ...TINY, ...sizes };
  const shapes: [string, number[]][] = [
    ['cls_token', [1, 1, c]],
    ['pos_embed', [1, g * g + 1, c]],
    ['patch_embed.proj.weight', [c, 3, p, p]],
    ['patch_embed.proj.bias', [c]],
  ];
  for (let n = 0; n < depth; n++) {
    shapes.push(
      [`blocks.${n}.norm1.weight`, [c]],
      [`blocks.${n}.norm1.bias`, [c]],
      [`blocks.${n}.attn.qkv.weight`, [c * 3, c]],
      [`blocks.${n}.attn.qkv.bias`, [c * 3]],
      [`blocks.${n}.attn.proj.weight`, [c, c]],
      [`blocks.${n}.attn.proj.bias`, [c]],
      [`blocks.${n}.norm2.weight`, [c]],
      [`blocks.${n}.norm2.bias`, [c]],
      [`blocks.${n}.mlp.fc1.weight`, [m, c]],
      [`blocks.${n}.mlp.fc1.bias`, [m]],
      [`blocks.${n}.mlp.fc2.weight`, [c, m]],
      [`blocks.${n}.mlp.fc2.bias`, [c]],
    );
  }
  shapes.push(['norm.weight', [c]], ['norm.bias', [c]], ['head.weight', [k, c]], ['head.bias', [k]]);
  return new Map(shapes);
}

const ELEMENT_BYTES = { F64: 8, F32: 4, F16: 2, BF16: 2, I8: 1 } as const;

/** Zeros of these shapes; `fill` may change the data of a tensor. */
export function zeros(
  shapes: ReadonlyMap<string, readonly number[]>,
  dtype: Dtype & keyof typeof ELEMENT_BYTES = 'F32',
  fill: (tensor: Tensor) => void = () => {},
): Tensor[] {
  return [...shapes].map(([name, shape]) => {
    const bytes = shape.reduce((product, n) => product * n, ELEMENT_BYTES[dtype]);
    const tensor = { name, dtype, shape, data: new Uint8Array(bytes) };
    fill(tensor);
    return tensor;
  });
}

/** A complete file of a tiny model. Its default config has two heads. */
export function tinyFile(
  config: unknown = { num_heads: 2, architecture: 'deit' },
  tensors = zeros(tinyShapes()),
): Uint8Array {
  return writeSafetensors(tensors, { fqvit: typeof config === 'string' ? config : JSON.stringify(config) });
}

/** The tensors that DeiT, ViT and Swin have in common. */

/** Weight and bias of each layer, in this order. */
export function withBiases(layers: readonly string[]): string[] {
  return layers.flatMap((layer) => [`${layer}.weight`, `${layer}.bias`]);
}

/** The sizes that determine the shapes of {@link commonShape}. */
export interface CommonSizes {
  readonly dim: number;
  readonly patchSize: number;
  readonly mlpDim: number;
  readonly classes: number;
}

/** The shape of a tensor, named without its block; a linear layer's weight is [out, in]. */
export function commonShape(
  layer: string,
  { dim, patchSize, mlpDim, classes }: CommonSizes,
): readonly number[] {
  switch (layer) {
    case 'patch_embed.proj.weight':
      return [dim, 3, patchSize, patchSize];
    case 'attn.qkv.weight':
      return [3 * dim, dim];
    case 'attn.qkv.bias':
      return [3 * dim];
    case 'attn.proj.weight':
      return [dim, dim];
    case 'mlp.fc1.weight':
      return [mlpDim, dim];
    case 'mlp.fc1.bias':
      return [mlpDim];
    case 'mlp.fc2.weight':
      return [dim, mlpDim];
    case 'head.weight':
      return [classes, dim];
    case 'head.bias':
      return [classes];
    default:
      // LayerNorm parameters and the other biases.
      return [dim];
  }
}

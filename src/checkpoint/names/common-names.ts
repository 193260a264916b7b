/** The tensors that DeiT, ViT and Swin have in common. */

/** The names of the weight and bias of each layer, in this order. */
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
    case 'attn.q.weight':
    case 'attn.k.weight':
    case 'attn.v.weight':
    case 'attn.proj.weight':
      return [dim, dim];
    case 'mlp.fc1.weight':
      return [mlpDim, dim];
    case 'mlp.fc1.bias':
      return [mlpDim];
    case 'mlp.fc2.weight':
      return [dim, mlpDim];
    case 'head.weight':
    case 'head_dist.weight':
      return [classes, dim];
    case 'head.bias':
    case 'head_dist.bias':
      return [classes];
    default:
      // Parameters of LayerNorm and LayerScale, and the other biases.
      return [dim];
  }
}

/** How the query, key and value layers are stored. */
export interface AttentionParts {
  /** Whether query, key and value are three separate layers. */
  readonly apart: boolean;
  readonly bias: boolean;
  /** Whether query and value have their own biases and key has none (EVA). */
  readonly keyless?: boolean;
}

/** Infers the parts from the tensor names of the blocks. */
export function attentionParts(names: readonly string[]): AttentionParts {
  const found = names.flatMap((name) => /\.attn\.(qkv|[qkv])[._](weight|bias)$/.exec(name) ?? []);
  const keyless = found.some((part) => part.endsWith('.q_bias'));
  const bias = keyless || found.includes('bias') || !found.includes('weight');
  return { apart: found.includes('q') && !keyless, bias, ...(keyless ? { keyless } : {}) };
}

/** The names of the query, key and value tensors, with biases if there are any. */
export function attentionNames({ apart, bias, keyless }: AttentionParts): string[] {
  if (keyless) return ['attn.qkv.weight', 'attn.q_bias', 'attn.v_bias'];
  const layers = apart ? ['attn.q', 'attn.k', 'attn.v'] : ['attn.qkv'];
  return bias ? withBiases(layers) : layers.map((layer) => `${layer}.weight`);
}

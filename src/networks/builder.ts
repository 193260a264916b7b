import type { Gelu } from '../layers/gelu/layer.js';
import type { Layer } from '../layers/layer.js';
import type { LinearLayer } from '../layers/linear/layer.js';

type LinearTraits = Partial<Pick<LinearLayer, 'partial' | 'fine' | 'edge' | 'unbiased'>> & {
  factors?: true;
};

/** Lists the layers of a network. The parts that families share are methods. */
export class Builder {
  readonly layers: Layer[] = [];

  constructor(private readonly gelu: Gelu = 'exact') {}

  add(layer: Layer): string {
    this.layers.push(layer);
    return layer.name;
  }

  /** Pixels to the rows of the patch embedding's matrix, then its product. */
  patchEmbedding(name: string, patch: number, dim: number, direct: boolean): string {
    this.add({ kind: 'patches', name: 'input', reads: [], patch, ...(direct ? { direct } : {}) });
    return this.linear('patch_embed.proj', 'input', dim, { edge: true }, name);
  }

  /** The layer `parameters`, which makes `parameters.out` unless told otherwise. */
  linear(
    parameters: string,
    from: string,
    outputs: number,
    options: LinearTraits = {},
    name = `${parameters}.out`,
  ): string {
    return this.add({ kind: 'linear', name, reads: [from], parameters, outputs, ...options });
  }

  /** LayerNorm of all tokens. */
  norm(parameters: string, from: string, name = `${parameters}.out`): string {
    return this.add({ kind: 'layernorm', name, reads: [from], parameters });
  }

  residual(name: string, stream: string, branch: string): string {
    return this.add({ kind: 'add', name, reads: [stream, branch], factors: true });
  }

  /**
   * The second part of attention: x + proj(softmax(scores)·v).
   *
   * @param stream x
   */
  attend(block: string, stream: string, dim: number): string {
    const attn = `${block}.attn`;
    this.add({ kind: 'softmax', name: `${attn}.probs`, reads: [`${attn}.scores`] });
    this.add({ kind: 'context', name: `${attn}.context`, reads: [`${attn}.probs`, `${attn}.qkv.out`] });
    const branch = this.linear(`${attn}.proj`, `${attn}.context`, dim);
    return this.residual(`${block}.residual1.out`, stream, branch);
  }

  /** x + fc2(GELU(fc1(LayerNorm(x)))). */
  mlp(block: string, stream: string, dim: number, mlpDim: number): string {
    const normed = this.norm(`${block}.norm2`, stream);
    const hidden = this.linear(`${block}.mlp.fc1`, normed, mlpDim, { fine: true });
    const gelu = `${block}.mlp.gelu.out`;
    this.add({ kind: 'gelu', name: gelu, reads: [hidden], gelu: this.gelu });
    return this.residual(`${block}.residual2.out`, stream, this.linear(`${block}.mlp.fc2`, gelu, dim));
  }

  /**
   * Marks the layers that `build` adds as those of a residual block, and those that are searched.
   */
  block(name: string, searched: readonly string[], build: () => string): string {
    const first = this.layers.length;
    const output = build();
    for (let i = first; i < this.layers.length; i++) {
      const layer = this.layers[i]!;
      const search = searched.find((place) => layer.name === `${name}.${place}`);
      this.layers[i] = { ...layer, block: name, ...(search === undefined ? {} : { search }) };
    }
    return output;
  }

  /** The mean of the tokens after the first `skip`. */
  pool(from: string, skip: number, factors?: true): string {
    return this.add({ kind: 'pool', name: 'pooled', reads: [from], skip, ...(factors ? { factors } : {}) });
  }

  /** The layer that makes the logits, if there are classes. @returns the names of the outputs */
  head(features: string, tokens: number, classes: number) {
    const outputs = { features: { layer: features, tokens } };
    if (classes === 0) return outputs;
    return { logits: this.linear('head', features, classes, { edge: true }, 'logits'), ...outputs };
  }
}

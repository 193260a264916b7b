import { pooledTokens, tokenCount, type VitArchitecture } from '../architecture/architecture.js';
import { Builder } from './builder.js';
import type { Network } from './network.js';

/** The layers of a block whose range `best` searches. */
const SEARCHED = ['norm1.out', 'attn.qkv.out', 'attn.scores', 'attn.context', 'norm2.out', 'mlp.gelu.out'];

/**
 * DeiT and ViT (arXiv 2010.11929, section 3.1), with the quantisers of Figure 2 of arXiv
 * 2111.13824.
 *
 * @param trimmed whether only the tokens that the head reads continue after attention in the last
 *   block; the others serve as keys and values
 */
export function vitNetwork(architecture: VitArchitecture, trimmed: boolean): Network {
  const {
    imageSize,
    patchSize,
    dim,
    depth,
    heads,
    mlpDim,
    classes,
    prefix = 1,
    pool = 'token',
  } = architecture;
  const builder = new Builder(architecture.gelu);
  const tokens = tokenCount(architecture);
  const pooled = pooledTokens(architecture);
  const embedded = builder.patchEmbedding('patch_embed.out', patchSize, dim, architecture.family === 'vit');
  builder.add({ kind: 'tokens', name: 'tokens', reads: [embedded], prefix, source: 'cls_token' });
  builder.add({ kind: 'constant', name: 'pos_embed', reads: [], shape: [tokens, dim], source: 'pos_embed' });
  let stream = builder.residual('stem.out', 'tokens', 'pos_embed');
  for (let i = 0; i < depth; i++) {
    const name = `blocks.${i}`;
    const queries = trimmed && i + 1 === depth && pooled > 0 && pooled < tokens ? pooled : undefined;
    const input = stream;
    stream = builder.block(name, SEARCHED, () => {
      const partial = queries === undefined ? {} : { partial: { rows: queries, columns: dim } };
      const qkv = builder.linear(`${name}.attn.qkv`, builder.norm(`${name}.norm1`, input), 3 * dim, partial);
      const some = queries === undefined ? {} : { queries };
      builder.add({ kind: 'scores', name: `${name}.attn.scores`, reads: [qkv], heads, ...some });
      return builder.mlp(name, builder.attend(name, input, dim), dim, mlpDim);
    });
  }
  const parameters = 'norm';
  const name = 'norm.out';
  let features: string;
  if (pool === 'mean') {
    features = builder.pool(builder.norm(parameters, stream), prefix);
  } else {
    const reads = [pool === 'mean-before-norm' ? builder.pool(stream, prefix, true) : stream];
    const rows = Math.max(1, pooled);
    features = builder.add({
      kind: 'layernorm',
      name,
      reads,
      parameters,
      rows,
      ...(rows > 1 ? { joined: true } : {}),
    });
  }
  const layers = Array.from({ length: depth }, (_, i) => `blocks.${i}.attn.probs`);
  const read = pooled === 0 ? ([prefix, tokens] as const) : ([0, pooled] as const);
  const outputs = {
    ...builder.head(features, Math.max(1, pooled), classes),
    attention: { layers, prefix, read },
  };
  return { imageSize, layers: builder.layers, outputs, pooled };
}

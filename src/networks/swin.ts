import { biasRows, type SwinArchitecture, swinStages } from '../architecture/architecture.js';
import { Builder } from './builder.js';
import type { Network } from './network.js';

/** The layers of a block whose range `best` searches. */
const SEARCHED = [
  'norm1.out',
  'attn.qkv.out',
  'attn.qk',
  'attn.scores',
  'attn.context',
  'norm2.out',
  'mlp.gelu.out',
];

/**
 * Swin (arXiv 2103.14030), with the quantisers of the simulator of arXiv 2111.13824. The residual
 * stream is a map in reading order. norm1 writes its rows in window order, cyclic shift included,
 * and residual1 reads the projection back, so that no map is copied.
 */
export function swinNetwork(architecture: SwinArchitecture): Network {
  const { imageSize, patchSize, classes } = architecture;
  const builder = new Builder(architecture.gelu);
  const stages = swinStages(architecture);
  const embedded = builder.patchEmbedding('patch_embed.conv.out', patchSize, architecture.dim, false);
  let stream = builder.norm('patch_embed.norm', embedded, 'stem.out');
  for (const [i, { name: stage, dim, mlpDim, depth, heads, window, shift }] of stages.entries()) {
    for (let j = 0; j < depth; j++) {
      const name = `${stage}.blocks.${j}`;
      const attn = `${name}.attn`;
      const input = stream;
      stream = builder.block(name, SEARCHED, () => {
        builder.add({
          kind: 'layernorm',
          name: `${name}.norm1.out`,
          reads: [input],
          parameters: `${name}.norm1`,
          window: { size: window, shift: j % 2 === 1 ? shift : 0 },
        });
        const qkv = builder.linear(`${attn}.qkv`, `${name}.norm1.out`, 3 * dim);
        builder.add({ kind: 'scores', name: `${attn}.qk`, reads: [qkv], heads });
        builder.add({
          kind: 'constant',
          name: `${attn}.bias_table`,
          reads: [],
          shape: [biasRows(window), heads],
          source: `${attn}.relative_position_bias_table`,
        });
        builder.add({ kind: 'bias', name: `${attn}.scores`, reads: [`${attn}.qk`, `${attn}.bias_table`] });
        return builder.mlp(name, builder.attend(name, input, dim), dim, mlpDim);
      });
    }
    if (i + 1 < stages.length) {
      const norm = `${stage}.downsample.norm`;
      builder.add({ kind: 'layernorm', name: `${norm}.out`, reads: [stream], parameters: norm, merge: true });
      stream = builder.linear(`${stage}.downsample.reduction`, `${norm}.out`, 2 * dim, {
        unbiased: true,
        factors: true,
      });
    }
  }
  const outputs = builder.head(builder.pool(builder.norm('norm', stream), 0), 1, classes);
  return { imageSize, layers: builder.layers, outputs, pooled: 0 };
}

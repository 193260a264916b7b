import { pooledTokens, tokenCount, type VitArchitecture } from '../../checkpoint/architecture.js';
import type { IntegerModel } from '../../checkpoint/integer-model.js';
import { share } from './calls.js';
import { type Lane, ModelPlan } from './plan.js';

/**
 * The forward pass of an integer DeiT or ViT (paper Figure 2). If the head reads the class token,
 * only its row continues after attention in the last block; the other tokens serve as keys and
 * values.
 */
export function planVit(
  model: IntegerModel,
  architecture: VitArchitecture,
  threads: number,
  lane?: Lane,
): ModelPlan {
  const { dim, depth, heads, prefix = 1, pool = 'token' } = architecture;
  const plan = new ModelPlan(model, threads, lane);
  const tokens = tokenCount(architecture);
  const kept = pooledTokens(architecture) || tokens;
  stem(plan, tokens, prefix, dim);
  let stream = 'stem.out';
  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    const shape = { windows: 1, tokens, heads, dim, queries: i + 1 < depth ? tokens : kept };
    plan.layerNorm(`${block}.norm1`, stream);
    plan.qkv(block, shape);
    plan.scores(block, `${block}.attn.scores`, shape);
    plan.attend(block, shape);
    plan.linear(`${block}.attn.proj`, `${block}.attn.context`);
    plan.add(`${block}.residual1`, stream, `${block}.attn.proj.out`);
    plan.mlp(block);
    stream = `${block}.residual2.out`;
  }
  if (pool === 'mean-before-norm') stream = plan.pool(stream, prefix);
  plan.layerNorm('norm', stream, 'norm.out', {
    rows: pool === 'mean' ? tokens : Math.max(1, pooledTokens(architecture)),
    joined: pool !== 'mean',
  });
  plan.head(pool === 'mean' ? plan.pool('norm.out', prefix) : 'norm.out');
  return plan.finish();
}

/** Patch embedding, tokens before the patches, position embedding: `stem.out`. */
function stem(plan: ModelPlan, tokens: number, prefix: number, dim: number): void {
  plan.patchEmbedding('patch_embed.out');
  const embedded = plan.activation('patch_embed.out');
  const first = plan.model.tensors.get('cls_token');
  const rows = plan.keptBuffer('tokens', tokens, dim, (memory) => memory.set(first ?? []));
  const table = plan.constant('tokens.table');
  plan.step('tokens', {
    kernel: 'lookup',
    reads: ['patch_embed.out'],
    constants: [table],
    calls: (part) => {
      const [from, to] = share(tokens - prefix, part);
      const at = from * dim;
      const out = rows.address + prefix * dim + at;
      return [['lookup', embedded.address + at, table.address, out, (to - from) * dim]];
    },
  });
  plan.constantBuffer('pos_embed', tokens, dim, plan.constant('pos_embed').address);
  plan.add('stem', 'tokens', 'pos_embed');
}

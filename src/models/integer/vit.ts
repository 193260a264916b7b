import { tokenCount, type VitArchitecture } from '../../checkpoint/architecture.js';
import type { IntegerModel } from '../../checkpoint/integer-model.js';
import { share } from './calls.js';
import { ModelPlan } from './plan.js';

/**
 * The forward pass of an integer DeiT or ViT (paper Figure 2). The head reads the class token, so in the last block only its
 * row goes on from attention; the other tokens are there as keys and values.
 */
export function planVit(model: IntegerModel, architecture: VitArchitecture, threads: number): ModelPlan {
  const { dim, depth, heads } = architecture;
  const plan = new ModelPlan(model, threads);
  const tokens = tokenCount(architecture);
  stem(plan, tokens, dim);
  let stream = 'stem.out';
  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    const shape = { windows: 1, tokens, heads, dim, queries: i + 1 < depth ? tokens : 1 };
    plan.layerNorm(`${block}.norm1`, stream);
    plan.qkv(block, shape);
    plan.scores(block, `${block}.attn.scores`, shape);
    plan.attend(block, shape);
    plan.linear(`${block}.attn.proj`, `${block}.attn.context`);
    plan.add(`${block}.residual1`, stream, `${block}.attn.proj.out`);
    plan.mlp(block);
    stream = `${block}.residual2.out`;
  }
  plan.layerNorm('norm', stream, 'norm.out', { rows: 1 });
  plan.head('norm.out');
  return plan.finish();
}

/** Patch embedding, class token and position embedding: `stem.out`. */
function stem(plan: ModelPlan, tokens: number, dim: number): void {
  plan.patchEmbedding('patch_embed.out');
  const embedded = plan.activation('patch_embed.out');
  const classToken = plan.model.tensors.get('cls_token')!;
  const rows = plan.filled(tokens * dim, (memory) => memory.set(classToken));
  plan.constantBuffer('tokens', tokens, dim, rows.address);
  const table = plan.constant('tokens.table');
  plan.step('tokens', {
    kernel: 'lookup',
    reads: ['patch_embed.out'],
    constants: [table],
    calls: (part) => {
      const [from, to] = share(tokens - 1, part);
      const at = from * dim;
      return [['lookup', embedded.address + at, table.address, rows.address + dim + at, (to - from) * dim]];
    },
  });
  plan.constantBuffer('pos_embed', tokens, dim, plan.constant('pos_embed').address);
  plan.add('stem', 'tokens', 'pos_embed');
}

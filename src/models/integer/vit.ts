import { tokenCount, type VitArchitecture } from '../../checkpoint/architecture.js';
import type { IntegerModel } from '../../checkpoint/integer-model.js';
import { ModelPlan } from './plan.js';

/** The forward pass of an integer DeiT or ViT (paper Figure 2). */
export function planVit(model: IntegerModel, architecture: VitArchitecture): ModelPlan {
  const { dim, depth, heads } = architecture;
  const plan = new ModelPlan(model);
  const tokens = tokenCount(architecture);
  stem(plan, tokens, dim);
  let stream = 'stem.out';
  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    const shape = { windows: 1, tokens, heads, dim };
    plan.layerNorm(`${block}.norm1`, stream);
    plan.qkv(block);
    plan.scores(block, `${block}.attn.scores`, shape);
    plan.attend(block, shape);
    plan.linear(`${block}.attn.proj`, `${block}.attn.context`);
    plan.add(`${block}.residual1`, stream, `${block}.attn.proj.out`);
    plan.mlp(block);
    stream = `${block}.residual2.out`;
  }
  plan.layerNorm('norm', stream, 'norm.out', { rows: 1 }); // of the class token, the first row
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
    run: (k) => k.lookup(embedded.address, table.address, rows.address + dim, (tokens - 1) * dim),
  });
  plan.constantBuffer('pos_embed', tokens, dim, plan.constant('pos_embed').address);
  plan.add('stem', 'tokens', 'pos_embed');
}

import { describe, expect, test } from '@jest/globals';
import { readFloatModel } from '../../../src/checkpoint/float/model.js';
import { writeSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { TINY, tinyShapes, zeros } from '../tiny-float.js';
import { tinySwinShapes } from '../tiny-swin.js';

const { dim: C, mlpDim } = TINY;

/** A file without a config, whose tensors `change` turns into those of another architecture. */
function read(change: (shapes: Map<string, number[]>) => void, shapes = tinyShapes()) {
  change(shapes);
  return readFloatModel(writeSafetensors(zeros(shapes), {}), { heads: 2 });
}

/** With the tensor names of timm 1.0.31. */
describe('a refusal names the unsupported operation instead of the unexpected tensors', () => {
  test.each<[string, (shapes: Map<string, number[]>) => void, string]>([
    [
      'vit_base_patch16_clip_224',
      (shapes) => {
        shapes.set('norm_pre.weight', [C]).set('norm_pre.bias', [C]).delete('patch_embed.proj.bias');
      },
      'a LayerNorm before the first block (pre-norm), as tensor "norm_pre.',
    ],
    [
      'aimv2_large_patch14_224',
      (shapes) => shapes.set('blocks.0.mlp.fc1_g.weight', [mlpDim, C]),
      'SwiGLU, as tensor "blocks.0.mlp.fc1_g.weight" shows',
    ],
    [
      'vit_giant_patch14_dinov2',
      (shapes) => {
        for (const n of [0, 1]) shapes.set(`blocks.${n}.mlp.fc2.weight`, [C, mlpDim / 2]);
      },
      'SwiGLU (mlp.fc1 is twice as wide as mlp.fc2)',
    ],
    [
      'beit_base_patch16_224',
      (shapes) => shapes.set('blocks.0.attn.relative_position_bias_table', [12, 2]),
      'relative positions in attention',
    ],
    [
      'vit_relpos_base_patch16_224',
      (shapes) => shapes.set('blocks.0.attn.rel_pos.mlp.fc1.weight', [8, 2]),
      'relative positions in attention',
    ],
    [
      'vit_base_patch16_rope_mixed_224',
      (shapes) => shapes.set('rope.freqs', [2, 2, 8]),
      'rotary position embeddings (RoPE), as tensor "rope.freqs" shows',
    ],
    [
      'vit_small_patch16_dinov3',
      (shapes) => shapes.set('blocks.0.gamma_1', [C]).delete('pos_embed'),
      'rotary position embeddings (RoPE), since there is no pos_embed',
    ],
    [
      'vit_base_patch16_siglip_224',
      (shapes) => shapes.set('attn_pool.latent', [1, 1, C]),
      'attention pooling',
    ],
    ['beit3_base_patch16_224', (shapes) => shapes.set('blocks.0.attn.norm.weight', [C]), 'inside attention'],
    ['vit_dwee', (shapes) => shapes.set('blocks.0.attn.lambda_q1', [8]), 'differential attention'],
    ['vit_xp', (shapes) => shapes.set('blocks.0.in_proj.weight', [C, C]), 'parallel blocks'],
    [
      'a norm of query and key',
      (shapes) => shapes.set('blocks.0.attn.q_norm.weight', [8]),
      'a norm of query',
    ],
    [
      'test_vit4',
      (shapes) => {
        for (const name of [...shapes.keys()]) if (/norm\d?\.bias$/.test(name)) shapes.delete(name);
      },
      'RMSNorm, since its norms have no bias',
    ],
    [
      'vit_base_patch16_radio_v3',
      (shapes) => {
        shapes.delete('norm.weight');
        shapes.delete('norm.bias');
      },
      'no LayerNorm after the last block',
    ],
  ])('%s', (_, change, operation) => {
    expect(() => read(change)).toThrow(operation);
    expect(() => read(change)).toThrow('checkpoint: this model is not supported: it has ');
  });

  test('swinv2_tiny_window8_256', () => {
    const change = (shapes: Map<string, number[]>) => shapes.set('layers.0.blocks.0.attn.logit_scale', [2]);
    expect(() => read(change, tinySwinShapes())).toThrow("Swin V2's cosine attention");
  });

  test('lists tensors that no known operation explains', () => {
    const change = (shapes: Map<string, number[]>) => shapes.set('blocks.0.attn.strange', [2]);
    expect(() => read(change)).toThrow('1 unexpected: "blocks.0.attn.strange"');
  });
});

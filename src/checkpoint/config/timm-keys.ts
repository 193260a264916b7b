/** Verdicts on the config.json of timm 1.0.31, and on the flat form of versions before 0.9. */

import type { VerdictTable } from './verdicts.js';

export const TIMM_CONFIG: VerdictTable = {
  title: 'config.json of timm',
  others: 'ignored',
  verdicts: [
    {
      keys: ['architecture'],
      applied:
        'decides heads, activation, epsilon, pooling and block order; a name that is not supported is refused',
    },
    { keys: ['model_args'], applied: 'overrides what the name says; see below' },
    { keys: ['pretrained_cfg'], applied: 'see below' },
    {
      keys: ['global_pool'],
      applied: 'must agree with model_args, else with the name: timm builds the model from those',
    },
    { keys: ['label_names', 'labels'], applied: 'the labels, unless `label_descriptions` describes them' },
    { keys: ['label_descriptions'], applied: 'the labels, for the names in `label_names`' },
    { keys: ['num_classes'], applied: 'must agree with the head: timm drops a head of another size' },
    { keys: ['num_features'], harmless: 'the tensors show it' },
  ],
};

export const PRETRAINED_CFG: VerdictTable = {
  title: "timm's pretrained_cfg, or the flat form",
  others: 'ignored',
  verdicts: [
    {
      keys: ['input_size'],
      applied: '3 channels and a square; checked against the position embeddings of a ViT',
    },
    {
      keys: ['crop_pct', 'interpolation', 'mean', 'std'],
      applied: "used as given; timm's defaults if absent",
    },
    { keys: ['crop_mode'], applied: 'center or squash; border is refused' },
    {
      keys: ['label_names', 'labels', 'label_descriptions'],
      applied: 'used unless the top level of config.json has its own',
    },
    { keys: ['label_offset'], only: [0], because: 'dropping the first classes' },
    { keys: ['num_classes'], applied: 'as at the top level of config.json, which takes precedence' },
    { keys: ['architecture', 'tag'], harmless: 'the top level of config.json names the architecture' },
    {
      keys: ['test_input_size', 'min_input_size', 'test_crop_pct', 'pool_size', 'test_pool_size'],
      harmless: 'timm uses it only on request',
    },
    {
      keys: ['fixed_input_size', 'num_features', 'first_conv', 'classifier'],
      harmless: 'the tensors show it',
    },
    {
      keys: [
        ...['url', 'file', 'state_dict', 'hf_hub_id', 'hf_hub_filename', 'source', 'custom_load', 'license'],
        ...['description', 'origin_url', 'paper_name', 'paper_ids', 'notes'],
      ],
      harmless: 'only says where the weights come from',
    },
  ],
};

export const MODEL_ARGS: VerdictTable = {
  title: "timm's model_args",
  others: 'refused',
  verdicts: [
    { keys: ['num_heads'], applied: 'heads of each block' },
    { keys: ['act_layer'], applied: 'gelu, gelu_tanh or quick_gelu' },
    { keys: ['norm_layer'], applied: 'layernorm, with epsilon 1e-6' },
    { keys: ['global_pool'], applied: 'token or avg; any other pooling is refused' },
    {
      keys: ['img_size'],
      applied: 'one number, or two equal numbers; default: input_size, else the size of the name',
    },
    {
      keys: ['patch_size', 'window_size', 'num_classes'],
      applied:
        'must agree with the tensors, as must the values of the name: timm resamples tensors of another size',
    },
    { keys: ['depth', 'depths', 'qkv_bias'], applied: 'checked against the tensors' },
    { keys: ['in_chans'], only: [3], because: 'another number of channels' },
    {
      keys: ['pool_include_prefix'],
      only: [false],
      because: 'a mean that includes the class token and registers',
    },
    {
      keys: ['pre_norm', 'use_pre_transformer_norm'],
      only: [false],
      because: 'a LayerNorm before the first block (pre-norm)',
    },
    {
      keys: ['final_norm', 'use_post_transformer_norm'],
      only: [true],
      because: 'no LayerNorm after the last block',
    },
    {
      keys: ['use_post_norm'],
      only: [false],
      because: 'a LayerNorm after each branch instead of before it (post-norm)',
    },
    { keys: ['use_rot_pos_emb'], only: [false], because: 'rotary position embeddings (RoPE)' },
    { keys: ['use_abs_pos_emb'], only: [true], because: 'a ViT without position embeddings' },
    { keys: ['swiglu_mlp'], only: [false], because: 'SwiGLU' },
    {
      keys: ['scale_mlp', 'scale_attn_inner'],
      only: [false],
      because: 'a LayerNorm inside attention and MLP',
    },
    { keys: ['attn_type'], only: ['eva'], because: 'another attention' },
    { keys: ['num_kv_heads'], only: [], because: 'fewer heads for key and value' },
    { keys: ['attn_only_layer_scale'], only: [false], because: 'LayerScale on attention only' },
    {
      keys: [
        ...[
          'rope_grid_indexing',
          'rope_grid_offset',
          'rope_jitter_coords',
          'rope_mrope_section',
          'rope_type',
        ],
        ...['rope_rescale_coords', 'rope_rotate_half', 'rope_shift_coords', 'rope_temperature'],
        ...['ref_feat_shape', 'attn_pool_mlp_ratio', 'attn_pool_num_heads', 'swiglu_align_to'],
      ],
      harmless: 'concerns only rotary positions, attention pooling and SwiGLU, which are refused',
    },
    {
      keys: ['qk_norm', 'scale_attn_norm', 'scale_mlp_norm'],
      only: [false],
      because: 'a LayerNorm inside attention and MLP',
    },
    { keys: ['proj_bias'], only: [true], because: 'projections without a bias' },
    { keys: ['pos_embed'], only: ['learn'], because: 'a ViT without position embeddings' },
    { keys: ['attn_layer'], only: ['', 'attn'], because: 'another attention' },
    {
      keys: ['block_fn', 'mlp_layer', 'embed_layer', 'embed_norm_layer'],
      only: [],
      because: 'another block, MLP or patch embedding',
    },
    { keys: ['head_dim'], only: [], because: 'another head width' },
    { keys: ['always_partition'], only: [false], because: 'windows larger than the map' },
    { keys: ['use_naflex'], only: [false], because: 'photos of any aspect ratio (NaFlex)' },
    {
      keys: [
        ...[
          'embed_dim',
          'mlp_ratio',
          'class_token',
          'reg_tokens',
          'no_embed_class',
          'fc_norm',
          'init_values',
        ],
        ...['distilled', 'num_reg_tokens', 'qkv_fused', 'use_fc_norm'],
      ],
      harmless: 'the tensors show it; timm refuses a file that contradicts it',
    },
    {
      keys: ['dynamic_img_size', 'dynamic_img_pad', 'strict_img_size'],
      harmless: 'all photos have the same size after preprocessing',
    },
    {
      keys: [
        ...['drop_rate', 'pos_drop_rate', 'patch_drop_rate', 'proj_drop_rate', 'attn_drop_rate'],
        ...['drop_path_rate', 'weight_init', 'fix_init', 'head_init_scale', 'pretrained', 'device'],
        ...['dtype'],
      ],
      harmless: 'for training only',
    },
  ],
};

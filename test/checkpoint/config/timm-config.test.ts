import { describe, expect, test } from '@jest/globals';
import { isTimmConfig, timmConfig } from '../../../src/checkpoint/config/timm-config.js';

const refuse = (message: string): never => {
  throw new Error(message);
};
const read = (json: object) => timmConfig(json as Record<string, unknown>, refuse);

const CFG = {
  input_size: [3, 32, 32],
  interpolation: 'bilinear',
  crop_pct: 0.8,
  mean: [0.1, 0.2, 0.3],
  std: [0.4, 0.5, 0.6],
  num_classes: 3,
  first_conv: 'patch_embed.proj',
  classifier: 'head',
};
const NEW = {
  architecture: 'vit_tiny_patch16_224',
  num_classes: 3,
  global_pool: 'token',
  pretrained_cfg: CFG,
};

const PREPARED = {
  crop_pct: 0.8,
  interpolation: 'bilinear',
  crop_mode: 'center',
  mean: [0.1, 0.2, 0.3],
  std: [0.4, 0.5, 0.6],
};

test('reads the form that timm writes', () => {
  expect(read({ ...NEW, label_names: ['a', 'b', 'c'] })).toEqual({
    config: {
      ...PREPARED,
      architecture: 'vit',
      num_heads: 3,
      activation: 'exact',
      global_pool: 'token',
      image_size: 32,
      patch_size: 16,
      num_classes: 3,
      labels: ['a', 'b', 'c'],
    },
    arch: 'vit_tiny_patch16_224',
    warnings: [],
  });
});

test('reads the flat form before 0.9 with the same meaning', () => {
  const flat = {
    architecture: 'vit_tiny_patch16_224',
    ...CFG,
    global_pool: 'token',
    labels: ['a', 'b', 'c'],
  };
  expect(read(flat)).toEqual(read({ ...NEW, label_names: ['a', 'b', 'c'] }));
});

test("uses timm's defaults for what pretrained_cfg omits", () => {
  expect(read({ ...NEW, pretrained_cfg: { mean: null, crop_pct: 0 } }).config).toMatchObject({
    ...{ crop_pct: 0.875, interpolation: 'bicubic', crop_mode: 'center' },
    ...{ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  });
});

describe('the architecture name', () => {
  test.each([
    ['vit_base_patch16_gap_224', { num_heads: 16, global_pool: 'avg' }],
    ['vit_base_patch16_siglip_gap_224', { num_heads: 12, global_pool: 'avg' }],
    ['vit_so400m_patch16_siglip_gap_256', { num_heads: 16, activation: 'tanh', global_pool: 'avg' }],
    ['deit_small_patch16_224', { architecture: 'deit', num_heads: 6 }],
    ['vit_base_patch16_224_in21k', { num_heads: 12 }],
    ['swin_tiny_patch4_window7_224', { architecture: 'swin', activation: 'exact' }],
  ])('%s determines the config', (architecture, config) => {
    expect(read({ architecture, pretrained_cfg: CFG }).config).toMatchObject(config);
  });

  test("the caller's name overrides it, with a warning", () => {
    const fork = { architecture: 'my_vit', pretrained_cfg: CFG };
    const { config, arch, warnings } = timmConfig(fork, refuse, 'vit_base_patch16_gap_224');
    expect(config).toMatchObject({ num_heads: 16, global_pool: 'avg' });
    expect(arch).toBe('vit_base_patch16_gap_224');
    expect(warnings).toEqual([
      'config.json names the architecture "my_vit": --arch vit_base_patch16_gap_224 overrides it',
    ]);
    expect(() => timmConfig(fork, refuse, 'resnet50')).toThrow('arch: expected a ViT, DeiT or Swin of timm');
  });

  test.each([
    ['vit_base_patch16_rpn_224', /architecture: .* it has a LayerNorm after each branch/],
    ['eva02_base_patch14_224', /architecture: .* it has rotary position embeddings/],
    ['my_vit', /architecture: expected a ViT, DeiT or Swin of timm/],
  ])('%s is refused', (architecture, message) => {
    expect(() => read({ architecture, pretrained_cfg: CFG })).toThrow(message);
  });
});

describe('model_args override the name', () => {
  const withArgs = (args: object, top: object = { global_pool: undefined }) =>
    read({ ...NEW, ...top, model_args: args });

  test.each([
    [
      { global_pool: 'avg', act_layer: 'gelu_tanh' },
      { global_pool: 'avg', activation: 'tanh' },
    ],
    [{ num_heads: 6 }, { num_heads: 6 }],
    [{ num_heads: [2, 4] }, { num_heads: 2 }],
    [{ act_layer: 'quick_gelu' }, { activation: 'quick' }],
    [{ img_size: 64 }, { image_size: 64 }],
    [{ img_size: [64, 64] }, { image_size: 64 }],
    [
      { depth: 4, qkv_bias: false },
      { depth: 4, qkv_bias: false },
    ],
    [{ norm_layer: 'layernorm' }, { layer_norm_eps: 1e-6 }],
    [
      { patch_size: 8, num_classes: 3 },
      { patch_size: 8, num_classes: 3 },
    ],
    [{ fc_norm: true }, { global_pool: 'token' }],
    [{ drop_path_rate: 0.1, pool_include_prefix: false, in_chans: 3, pre_norm: null }, { num_heads: 3 }],
  ])('%j', (args, config) => {
    expect(withArgs(args).config).toMatchObject(config);
  });

  test('with another width, the model has no timm name', () => {
    expect(withArgs({ embed_dim: 192 }).arch).toBe('vit_tiny_patch16_224');
    expect(withArgs({ embed_dim: 64, num_heads: 2 })).not.toHaveProperty('arch');
  });

  test.each([
    [{ global_pool: 'avgmax' }, 'model_args: global_pool: expected "token" or "avg", found "avgmax"'],
    [{ global_pool: '' }, 'global_pool: expected "token" or "avg", found ""'],
    [{ act_layer: 'relu' }, 'model_args: act_layer: expected one of gelu, gelu_tanh, quick_gelu'],
    [{ act_layer: 'constructor' }, 'act_layer: expected one of'],
    [{ norm_layer: 'rmsnorm' }, 'norm_layer: expected "layernorm"'],
    [{ pool_include_prefix: true }, 'pool_include_prefix: expected false, found true'],
    [{ pre_norm: true }, 'pre_norm: expected false, found true'],
    [{ in_chans: 1 }, 'in_chans: expected 3, found 1'],
    [{ qk_norm: true }, 'qk_norm: expected false'],
    [{ block_fn: 'ResPostBlock' }, 'block_fn: expected null, found "ResPostBlock"'],
    [{ img_size: [64, 32] }, 'img_size: expected one number or two equal numbers'],
    [{ a_new_one: 1 }, 'model_args: a_new_one: expected a known key, found 1'],
  ])('%j is refused', (args, message) => {
    expect(() => withArgs(args)).toThrow(message);
  });

  test('and must agree with the pooling next to them', () => {
    expect(() => withArgs({ global_pool: 'avg' }, { global_pool: 'token' })).toThrow(
      'global_pool: expected "avg", as in model_args, found "token"',
    );
    expect(() => read({ ...NEW, global_pool: 'avg' })).toThrow(
      'global_pool: expected "token", as in timm\'s vit_tiny_patch16_224, found "avg"',
    );
  });

  test('and must agree with the number of classes next to them', () => {
    expect(() => withArgs({ num_classes: 5 })).toThrow('num_classes: expected 5, as in model_args, found 3');
  });

  test('the name determines the rest', () => {
    const { input_size: _, ...cfg } = CFG;
    const swin = { architecture: 'swin_base_patch4_window12_384', pretrained_cfg: cfg };
    const sizes = { image_size: 384, patch_size: 4, window_size: 12 };
    expect(read(swin).config).toMatchObject(sizes);
    const withWindow = (window_size: unknown) => read({ ...swin, model_args: { window_size } }).config;
    expect(withWindow([8, 8])).toMatchObject({ window_size: 8 });
    // one for each stage
    expect(withWindow([12, 6, [12, 12], 6])).toMatchObject({ window_size: [12, 6, 12, 6] });
    expect(read({ ...swin, architecture: 'swin_s3_tiny_224' }).config).toMatchObject({
      window_size: [7, 7, 14, 7],
    });
    expect(() => withWindow([8, 4])).toThrow('window_size: expected one number or two equal numbers');
  });
});

test.each([
  [{ global_pool: 'avgmax' }, 'global_pool: expected "token" or "avg", found "avgmax"'],
  [{ global_pool: 'max' }, 'global_pool: expected "token" or "avg", found "max"'],
  [{ architecture: 'swin_tiny_patch4_window7_224', global_pool: 'max' }, 'global_pool: expected "avg"'],
  [
    { pretrained_cfg: { ...CFG, crop_mode: 'border' } },
    'pretrained_cfg: crop_mode: expected "center" or "squash"',
  ],
  [
    { pretrained_cfg: { ...CFG, input_size: [3, 64, 32] } },
    'input_size: expected [3, S, S] for square images',
  ],
  [
    { pretrained_cfg: { ...CFG, input_size: [1, 32, 32] } },
    'input_size: expected [3, S, S] for square images',
  ],
  [{ pretrained_cfg: { ...CFG, input_size: 32 } }, 'input_size: expected [3, S, S] for square images'],
  [{ pretrained_cfg: { ...CFG, label_offset: 1 } }, 'label_offset: expected 0, found 1'],
  [{ pretrained_cfg: [] }, 'pretrained_cfg: expected an object'],
  [{ model_args: 3 }, 'model_args: expected an object'],
  [{ pretrained_cfg: null, model_args: { depth: 1 } }, 'model_args: expected pretrained_cfg too'],
  [{ label_descriptions: { a: 'b' } }, 'label_descriptions: expected label_names'],
  [
    { label_names: ['a'], label_descriptions: {} },
    'label_descriptions: expected one for each name in label_names',
  ],
  [
    { label_names: { 0: 'a', 2: 'c' } },
    'label_names: expected a name for every class number from 0, found gaps',
  ],
])('%j is refused', (change, message) => {
  expect(() => read({ ...NEW, ...change })).toThrow(message);
});

describe('labels', () => {
  const labels = (change: object) => read({ ...NEW, ...change }).config.labels;

  test('are names by class number, in config.json or in pretrained_cfg', () => {
    expect(labels({ label_names: { 1: 'b', 0: 'a' } })).toEqual(['a', 'b']);
    const label_names = ['n01443537', 'n01440764'];
    const label_descriptions = { n01440764: 'tench', n01443537: 'goldfish' };
    expect(read({ ...NEW, label_names, label_descriptions }).config).toMatchObject({
      labels: ['goldfish', 'tench'],
      wnids: label_names,
    });
    expect(labels({ pretrained_cfg: { ...CFG, label_names: ['a', 'b'] } })).toEqual(['a', 'b']);
  });

  test('are the descriptions of the names, if there are any', () => {
    expect(
      labels({ label_names: ['n2', 'n1'], label_descriptions: { n1: 'goldfish', n2: 'tench' } }),
    ).toEqual(['tench', 'goldfish']);
  });
});

test('warns about keys that neither timm nor fqvit knows', () => {
  expect(read({ ...NEW, my_notes: 1, pretrained_cfg: { ...CFG, my_tag: 2 } }).warnings).toEqual([
    'config.json: unknown keys are ignored: "my_tag", "my_notes"',
  ]);
});

test('recognises a config of timm', () => {
  expect(isTimmConfig({ architecture: 'vit_tiny_patch16_224' })).toBe(true);
  expect(isTimmConfig({ architectures: ['ViTModel'] })).toBe(false);
});

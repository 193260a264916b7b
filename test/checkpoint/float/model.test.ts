import { describe, expect, test } from '@jest/globals';
import { KNOWN_ARCHITECTURES, timmArchitecture } from '../../../src/architecture/timm-architectures.js';
import type { FloatConfig } from '../../../src/checkpoint/float/config.js';
import { type FloatModelOptions, readFloatModel } from '../../../src/checkpoint/float/model.js';
import { readVit } from '../../../src/checkpoint/float/vit.js';
import { canonicalNames } from '../../../src/checkpoint/names/naming-schemes.js';
import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors/safetensors.js';
import { UsageError } from '../../../src/errors.js';
import { describeWithShared, readShared } from '../../support/shared.js';
import { exported } from '../onnx/support.js';
import { refusal, refusedAfterDamage } from '../raw-file.js';
import { TINY, type TinySizes, tinyFile, tinyShapes, zeros } from '../tiny-float.js';
import { bytesOf, dictionary, int, savedNested, text } from '../torch/raw-torch.js';

const config = { num_heads: 2, architecture: 'deit' };

/** A tiny file with shapes changed by `change`. */
function changed(
  change: (shapes: Map<string, number[]>) => void,
  sizes: Partial<TinySizes> = {},
): Uint8Array {
  const shapes = tinyShapes(sizes);
  change(shapes);
  return tinyFile(config, zeros(shapes));
}

/** A tiny file with one float32 value changed in one tensor. */
function withValue(name: string, index: number, value: number): Uint8Array {
  return tinyFile(
    config,
    zeros(tinyShapes(), 'F32', (tensor) => {
      if (tensor.name === name) new DataView(tensor.data.buffer).setFloat32(4 * index, value, true);
    }),
  );
}

function named(...names: string[]): Uint8Array {
  return writeSafetensors(zeros(new Map(names.map((name) => [name, [1]]))), {});
}

/** A file of zeros with these sizes and timm's MLP ratio, without a config. */
function published(dim: number, depth: number, patchSize: number, grid: number): Uint8Array {
  return writeSafetensors(zeros(tinyShapes({ dim, depth, patchSize, grid, mlpDim: 4 * dim })), {});
}

describe('readFloatModel', () => {
  test('reads sizes from the tensors and the rest from the config', () => {
    const labels = ['cat', 'dog', 'cow'];
    const full = {
      architecture: 'vit',
      name: 'vit_micro',
      num_heads: 2,
      image_size: 8,
      patch_size: 4,
      layer_norm_eps: 1e-5,
      crop_pct: 1,
      interpolation: 'bilinear',
      mean: [0.1, 0.2, 0.3],
      std: [0.4, 0.5, 0.6],
      labels,
    };
    const model = readFloatModel(tinyFile(full));
    expect(model.architecture).toEqual({
      family: 'vit',
      name: 'vit_micro',
      imageSize: 8,
      patchSize: 4,
      dim: 16,
      depth: 2,
      heads: 2,
      mlpDim: 32,
      classes: 3,
      layerNormEps: 1e-5,
    });
    expect(model.preprocessing).toEqual({
      imageSize: 8,
      cropPct: 1,
      interpolation: 'bilinear',
      mean: [0.1, 0.2, 0.3],
      std: [0.4, 0.5, 0.6],
    });
    expect(model.labels).toEqual(labels);
    expect(model.warnings).toEqual([]);
  });

  test('returns the tensors of the file with their names, shapes and values, in the order of the forward pass', () => {
    const file = tinyFile(
      config,
      zeros(tinyShapes(), 'F32', ({ name, data }) => {
        new Float32Array(data.buffer).forEach((_, i, values) => {
          values[i] = name.length + i / 8;
        });
      }),
    );
    const { tensors } = readFloatModel(file);
    expect([...tensors.keys()]).toEqual([...tinyShapes().keys()]);
    for (const [name, { shape, data }] of tensors) {
      expect(shape).toEqual(tinyShapes().get(name));
      expect(data).toEqual(Float32Array.from(data, (_, i) => name.length + i / 8));
    }
  });

  test('uses the defaults of a DeiT', () => {
    const { architecture, preprocessing, labels } = readFloatModel(tinyFile(config));
    expect(architecture.name).toBe('deit_custom');
    expect(architecture.layerNormEps).toBe(1e-6);
    expect(preprocessing).toEqual({
      imageSize: 8,
      cropPct: 0.875,
      interpolation: 'bicubic',
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
    });
    expect(labels).toEqual(['class 0', 'class 1', 'class 2']);
  });

  test('uses the defaults of a ViT', () => {
    const { architecture, preprocessing } = readFloatModel(tinyFile({ num_heads: 2, architecture: 'vit' }));
    expect(architecture.name).toBe('vit_custom');
    expect(preprocessing).toEqual({
      imageSize: 8,
      cropPct: 0.9,
      interpolation: 'bicubic',
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
    });
  });

  test('options override the given config, which overrides the config in the file', () => {
    const inFile = { ...config, crop_pct: 0.5, mean: [0.1, 0.1, 0.1], std: [0.2, 0.2, 0.2], num_heads: 1 };
    const { architecture, preprocessing, labels } = readFloatModel(tinyFile(inFile), {
      config: { num_heads: 2, crop_pct: 0.6, mean: [0.3, 0.3, 0.3], labels: ['x', 'y', 'z'] },
      cropPct: 0.7,
      labels: ['a', 'b', 'c'],
      imageSize: 8,
    });
    expect(architecture.heads).toBe(2);
    expect(preprocessing).toMatchObject({ cropPct: 0.7, mean: [0.3, 0.3, 0.3], std: [0.2, 0.2, 0.2] });
    expect(labels).toEqual(['a', 'b', 'c']);
  });

  test('WordNet ids stay with the labels of their source', () => {
    const ids = (letter: string) => [1, 2, 3].map((digit) => `n0000000${digit}`.replace('1', letter));
    const inFile = tinyFile({ ...config, labels: ['x', 'y', 'z'], wnids: ids('4') });
    const wnidsOf = (options: FloatModelOptions) => readFloatModel(inFile, options).wnids;
    expect(wnidsOf({})).toEqual(ids('4'));
    expect(wnidsOf({ config: { crop_pct: 0.6 } })).toEqual(ids('4'));
    expect(wnidsOf({ labels: ['a', 'b', 'c'] })).toBeUndefined();
    expect(wnidsOf({ config: { labels: ['a', 'b', 'c'], wnids: ids('5') } })).toEqual(ids('5'));
    expect(wnidsOf({ labels: ['a', 'b', 'c'], wnids: ids('6') })).toEqual(ids('6'));
    expect(wnidsOf({ wnids: ids('7') })).toEqual(ids('7'));
  });

  test('ignores unknown config keys with a warning', () => {
    const { warnings } = readFloatModel(tinyFile({ ...config, crop: 1, __proto: 2 }), {
      config: { epochs: 3 },
    });
    expect(warnings).toEqual([
      expect.stringContaining('2 unknown keys, which are ignored: "crop", "__proto"'),
      expect.stringContaining('"epochs"'),
    ]);
  });

  test.each(['F16', 'BF16', 'F64'] as const)('%s weights become float32', (dtype) => {
    const one = { F16: [0, 0x3c], BF16: [0x80, 0x3f], F64: [0, 0, 0, 0, 0, 0, 0xf0, 0x3f] }[dtype];
    const file = tinyFile(
      config,
      zeros(tinyShapes(), dtype, ({ name, data }) => {
        if (name === 'norm.weight') data.set(Array(16).fill(one).flat());
      }),
    );
    const { tensors } = readFloatModel(file);
    expect(tensors.get('norm.weight')?.data).toEqual(new Float32Array(16).fill(1));
    expect(tensors.get('norm.bias')?.data).toEqual(new Float32Array(16));
  });
});

describe('properties that the shapes do not show', () => {
  const deitTiny = published(192, 12, 16, 14);

  test('recognises a published size and assumes a DeiT, with a warning', () => {
    const { architecture, preprocessing, warnings } = readFloatModel(deitTiny);
    expect(architecture).toMatchObject({
      family: 'deit',
      name: 'deit_tiny_patch16_224',
      heads: 3,
      imageSize: 224,
    });
    expect(preprocessing.cropPct).toBe(0.875);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('DeiT is assumed; for a ViT, pass --arch');
  });

  test('arch decides what the file does not say', () => {
    const { architecture, preprocessing, warnings } = readFloatModel(deitTiny, {
      arch: 'vit_tiny_patch16_224.augreg_in21k_ft_in1k',
    });
    expect(architecture).toMatchObject({ family: 'vit', name: 'vit_tiny_patch16_224', heads: 3 });
    expect(preprocessing).toMatchObject({ cropPct: 0.9, mean: [0.5, 0.5, 0.5] });
    expect(warnings).toEqual([]);
  });

  test('the config overrides arch, with a warning', () => {
    const { architecture, preprocessing, warnings } = readFloatModel(deitTiny, {
      arch: 'vit_tiny_patch16_224',
      config: { architecture: 'deit', num_heads: 6 },
    });
    // a DeiT-Tiny has 3
    expect(architecture).toMatchObject({ family: 'deit', name: 'deit_custom', heads: 6 });
    expect(preprocessing.mean).toEqual([0.485, 0.456, 0.406]);
    expect(warnings).toEqual([
      expect.stringContaining('the config says deit, which overrides vit_tiny_patch16_224'),
    ]);
  });

  test('arch gives the family and heads of a model that has only its dim, with a warning', () => {
    const small = writeSafetensors(zeros(tinyShapes({ dim: 192, depth: 1 })), {});
    const { architecture, preprocessing, warnings } = readFloatModel(small, { arch: 'vit_tiny_patch16_224' });
    expect(architecture).toMatchObject({
      family: 'vit',
      name: 'vit_custom',
      heads: 3,
      imageSize: 8,
      depth: 1,
    });
    expect(preprocessing).toMatchObject({ imageSize: 8, cropPct: 0.9 });
    expect(warnings).toEqual([
      expect.stringMatching(
        /^vit_tiny_patch16_224 has image 224, .*; the file has image 8, .*: the sizes of the file are used$/,
      ),
    ]);
  });

  test('a distilled DeiT has its own name; the name of the plain model gives a warning', () => {
    const shapes = tinyShapes({ dim: 192, depth: 12, patchSize: 16, grid: 14, mlpDim: 768 });
    shapes.set('dist_token', [1, 1, 192]).set('pos_embed', [1, 198, 192]);
    const oneHead = writeSafetensors(zeros(shapes, 'F16'), {});
    shapes.set('head_dist.weight', [3, 192]).set('head_dist.bias', [3]);
    const distilled = writeSafetensors(zeros(shapes, 'F16'), {});
    const name = 'deit_tiny_distilled_patch16_224';
    const { architecture, preprocessing, warnings } = readFloatModel(distilled, { arch: name });
    expect(architecture).toMatchObject({ family: 'deit', name, heads: 3, prefix: 2, pool: 'two-tokens' });
    expect(preprocessing).toMatchObject({ imageSize: 224, cropPct: 0.875 });
    expect(warnings).toEqual([]);
    expect(readFloatModel(distilled).architecture.name).toBe(name);

    const other = readFloatModel(distilled, { arch: 'deit_tiny_patch16_224' });
    expect(other.architecture).toEqual(architecture);
    expect(other.warnings).toEqual([
      expect.stringMatching(
        / has .*, MLP 768; the file has .*, MLP 768, a second head for distillation: the sizes/,
      ),
    ]);
    const plain = readFloatModel(deitTiny, { arch: name });
    expect(plain.architecture).toMatchObject({ name: 'deit_tiny_patch16_224', heads: 3 });
    expect(plain.warnings).toEqual([expect.stringContaining(`${name} has `)]);
    // Like Hugging Face's DeiTForImageClassification.
    expect(readFloatModel(oneHead).architecture).toMatchObject({ name: 'deit_tiny_patch16_224', prefix: 2 });
  });

  test('does not crop for a ViT of 384 pixels', () => {
    const file = published(192, 12, 16, 24);
    expect(readFloatModel(file, { arch: 'vit_tiny_patch16_384' }).preprocessing.cropPct).toBe(1);
    expect(readFloatModel(file).preprocessing.cropPct).toBe(0.875);
  });

  test.each([
    [192, 3],
    [384, 6],
    [768, 12],
    [1024, 16],
  ])('assumes that a custom model of dim %i has %i heads, with a warning', (dim, heads) => {
    const file = writeSafetensors(zeros(tinyShapes({ dim, depth: 1 })), {
      fqvit: '{"architecture":"deit"}',
    });
    const { architecture, warnings } = readFloatModel(file);
    expect(architecture).toMatchObject({ heads, name: 'deit_custom' });
    expect(warnings).toEqual([
      expect.stringContaining(`${heads} is assumed, as in published models of dim ${dim}`),
    ]);
  });

  describe('a model without a name is read like published models with the same tensors', () => {
    /**
     * A model of the mean of the patches after `norm`, without a class token. Only the shapes are
     * used.
     */
    const unnamed = (sizes: Partial<TinySizes>, config: FloatConfig = {}, norm = 'norm', arch?: string) => {
      const shapes = tinyShapes({ depth: 12, patchSize: 16, ...sizes });
      const { dim, grid } = { ...TINY, ...sizes };
      shapes.delete('cls_token');
      shapes.set('pos_embed', [1, grid * grid, dim]);
      for (const part of ['weight', 'bias']) {
        shapes.delete(`norm.${part}`);
        shapes.set(`${norm}.${part}`, [dim]);
      }
      const data = new Uint8Array();
      const tensors = new Map(
        [...shapes].map(([name, shape]) => [name, { name, dtype: 'F32' as const, shape, data }]),
      );
      const warnings: string[] = [];
      const named = canonicalNames(tensors, { file: 'file' });
      const known = arch === undefined ? undefined : timmArchitecture(arch);
      const { architecture } = readVit({ file: 'file', tensors, named, config, arch: known, warnings });
      return { architecture, warnings };
    };
    const BASE = { dim: 768, mlpDim: 3072, grid: 14 };

    test('requires the number of heads if these models disagree on it', () => {
      expect(() => unnamed(BASE)).toThrow(
        'the number of heads is not in the file and may be 16 (vit_base_patch16_gap_224) or 12 (vit_base_patch16_siglip_gap_224): choose one with --heads or --arch',
      );
      expect(unnamed(BASE, { num_heads: 16 }).architecture).toMatchObject({ heads: 16, pool: 'mean' });
      const { architecture } = unnamed(BASE, {}, 'norm', 'vit_base_patch16_gap_224');
      expect(architecture).toMatchObject({ heads: 16, name: 'vit_base_patch16_gap_224', pool: 'mean' });
    });

    test('requires a name if an unsupported model has the same tensors', () => {
      const message =
        /timm's vit_base_patch16_rpn_224 has the same tensors, but is not supported: it has a LayerNorm after/;
      expect(() => unnamed(BASE, {}, 'fc_norm')).toThrow(message);
      expect(() => unnamed(BASE, { num_heads: 12 }, 'fc_norm')).toThrow(message);
      expect(unnamed(BASE, { num_heads: 12, activation: 'exact' }, 'fc_norm').architecture).toMatchObject({
        heads: 12,
        pool: 'mean-before-norm',
      });
    });

    test('uses the GELU on which these models agree, with a warning', () => {
      const { architecture, warnings } = unnamed({ dim: 1152, mlpDim: 4304, depth: 27, grid: 16 });
      expect(architecture).toMatchObject({ heads: 16, gelu: 'tanh' });
      expect(warnings).toContain(
        'the GELU is not in the file: tanh is assumed, as in vit_so400m_patch16_siglip_gap_256',
      );
    });

    test('requires the number of heads for sizes that no published model has', () => {
      expect(() => unnamed({ dim: 256, mlpDim: 512, grid: 4 })).toThrow(
        'the number of heads is not in the file (dim 256): pass --heads, --arch or a config with num_heads',
      );
    });
  });

  describe('the model name saved by a training script', () => {
    const trained = (arch: string) =>
      savedNested({ state_dict: zeros(tinyShapes({ dim: 192, mlpDim: 64 })) }, { arch: text(arch) });

    test('is read as a timm name', () => {
      const { architecture, preprocessing, warnings } = readFloatModel(trained('vit_tiny_patch16_224'));
      expect(architecture).toMatchObject({ family: 'vit', heads: 3 });
      expect(preprocessing).toMatchObject({ cropPct: 0.9, mean: [0.5, 0.5, 0.5] });
      expect(warnings[0]).toBe(
        'the file\'s "arch" is "vit_tiny_patch16_224": it is read as timm\'s model of that name; choose another with --arch',
      );
    });

    test('is combined with the arguments of the script', () => {
      const name = 'vit_tiny_patch16_224';
      const called = (args: Record<string, Uint8Array>) =>
        savedNested(
          { state_dict: zeros(tinyShapes({ dim: 192, mlpDim: 64, patchSize: 16 })) },
          { arch: text(name), args: dictionary({ model: text(name), gp: bytesOf('N'), ...args }) },
        );
      const kwargs = dictionary({ num_heads: int(6), act_layer: text('quick_gelu') });
      for (const arch of [undefined, name, 'deit_tiny_patch16_224']) {
        const { architecture } = readFloatModel(called({ model_kwargs: kwargs }), { arch });
        expect(architecture).toMatchObject({ heads: 6, gelu: 'quick' });
      }
      const { preprocessing } = readFloatModel(called({ interpolation: text('bilinear') }));
      expect(preprocessing).toMatchObject({ interpolation: 'bilinear', cropPct: 0.9 });
      expect(() => readFloatModel(called({ gp: text('max') }))).toThrow(
        'args: model_kwargs: global_pool: expected "token" or "avg", found "max"',
      );
      expect(readFloatModel(called({ gp: text('max'), model: text('mine') })).architecture.heads).toBe(3);
    });

    test('is refused if the model is not supported', () => {
      expect(() => readFloatModel(trained('vit_base_patch16_rpn_224'))).toThrow(
        'checkpoint: arch: vit_base_patch16_rpn_224 is not supported: it has a LayerNorm after each branch',
      );
    });

    test('is ignored if it is not a timm name or the caller gives one', () => {
      expect(readFloatModel(trained('resnet50')).warnings[0]).toMatch(
        /"resnet50", which is not a timm name: it is ignored/,
      );
      const { warnings } = readFloatModel(trained('resnet50'), { arch: 'vit_tiny_patch16_224' });
      expect(warnings.join()).not.toContain('resnet50');
    });
  });

  test('the table of timm names has heads, sizes and activations', () => {
    const heads = (name: string) => timmArchitecture(name).heads;
    expect(['deit_tiny_patch16_224', 'deit_small_patch16_224', 'deit_base_patch16_384'].map(heads)).toEqual([
      3, 6, 12,
    ]);
    expect(['vit_large_patch16_224', 'vit_base_patch32_224', 'vit_large_patch16_384'].map(heads)).toEqual([
      16, 12, 16,
    ]);
    // not 64 channels per head
    expect(['vit_base_patch16_gap_224', 'vit_giant_patch14_224', 'test_vit'].map(heads)).toEqual([16, 16, 2]);
    expect(timmArchitecture('vit_base_patch32_384')).toMatchObject({
      patchSize: 32,
      imageSize: 384,
      dim: 768,
    });
    expect(timmArchitecture('vit_so400m_patch16_siglip_gap_384').gelu).toBe('tanh');
    const distilled = KNOWN_ARCHITECTURES.filter((a) => a.family !== 'swin' && a.pool === 'two-tokens');
    expect(distilled.map(({ name }) => name)).toEqual([
      'deit_base_distilled_patch16_224',
      'deit_base_distilled_patch16_384',
      'deit_small_distilled_patch16_224',
      'deit_tiny_distilled_patch16_224',
    ]);
  });

  test('a tag determines how photos are prepared; without one, a DeiT has the crop of the paper', () => {
    expect(timmArchitecture('deit_tiny_patch16_224').cropPct).toBe(0.875);
    expect(timmArchitecture('deit_tiny_patch16_224.fb_in1k').cropPct).toBe(0.9);
    expect(timmArchitecture('vit_base_patch16_224_miil')).toMatchObject({
      cropPct: 0.875,
      interpolation: 'bilinear',
      mean: [0, 0, 0],
      std: [1, 1, 1],
    });
    expect(timmArchitecture('vit_base_patch16_224_dino')).toEqual(
      timmArchitecture('vit_base_patch16_224.dino'),
    );
  });

  test.each([
    ['vit_base_patch16_rpn_224', /is not supported: it has a LayerNorm after each branch/],
    ['vit_base_patch16_clip_224', /it has a LayerNorm before the first block \(pre-norm\)/],
    ['vit_base_patch16_dinov3', /rotary position embeddings \(RoPE\)/],
    ['swinv2_tiny_window8_256', /cosine attention/],
    [
      'vit_tiny_patch16_224.mine',
      /expected vit_tiny_patch16_224 with one of its tags in timm [\d.]+, augreg_in21k_ft_in1k, /,
    ],
    ['deit_tiny', /expected a ViT, DeiT or Swin of timm [\d.]+, such as deit_tiny_/],
    ['resnet50', /expected a ViT, DeiT or Swin of timm/],
    ['__proto__', /expected a ViT, DeiT or Swin of timm/],
  ])('refuses %s', (name, message) => {
    expect(() => timmArchitecture(name)).toThrow(message);
  });
});

describe('an invalid float model', () => {
  const good = tinyFile();

  const cases: [
    name: string,
    file: Uint8Array,
    options: FloatModelOptions,
    code: string,
    ...says: string[],
  ][] = [
    // Container
    ['a truncated download', good.subarray(0, -100), {}, 'CHECKPOINT_TRUNCATED', 'tensor "'],
    [
      'a truncated PyTorch ZIP',
      new TextEncoder().encode('PK\x03\x04\0\0\b\b\0\0'),
      {},
      'CHECKPOINT_TRUNCATED',
      'ZIP',
    ],
    [
      'a truncated PyTorch pickle',
      new Uint8Array([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9]),
      {},
      'CHECKPOINT_TRUNCATED',
      'deit.safetensors',
    ],
    [
      'an error page',
      new TextEncoder().encode('<html><body>404</body></html>'),
      {},
      'CHECKPOINT_FORMAT',
      'web page',
    ],
    [
      'a JSON error message',
      new TextEncoder().encode('{"error": "no such repository"}'),
      {},
      'CHECKPOINT_FORMAT',
      'JSON',
    ],
    // Names
    [
      'a file without tensors',
      writeSafetensors([], {}),
      {},
      'CHECKPOINT_SCHEME',
      'expected a known naming scheme',
      "(timm's DeiT and ViT names, ",
      'found no tensors',
    ],
    [
      'names that no scheme has',
      named('a.weight', 'b.weight', 'c.weight', 'd.weight', 'e.weight', 'f.weight'),
      {},
      'CHECKPOINT_SCHEME',
      'expected a known naming scheme',
      "(timm's DeiT and ViT names, Microsoft's Swin names, timm's Swin names, Hugging Face ViT and DeiT names, " +
        "Hugging Face DINOv2 names, Hugging Face Swin names, torchvision's ViT names, torchvision's Swin names",
      'found "a.weight", "b.weight", "c.weight", "d.weight", "e.weight", ...',
    ],
    [
      'incomplete timm names with a prefix',
      named('module.cls_token', 'module.pos_embed'),
      {},
      'CHECKPOINT_SCHEME',
      'expected a known naming scheme',
      '"module.cls_token"',
    ],
    [
      'a part of a Hugging Face ViT',
      named('vit.embeddings.cls_token', 'vit.encoder.layer.0.layernorm_before.weight'),
      {},
      'CHECKPOINT_MISSING',
      '"vit.embeddings.position_embeddings", "vit.embeddings.patch_embeddings.projection.weight"',
    ],
    [
      'a part of a torchvision Swin',
      named('features.0.0.weight', 'features.1.0.attn.qkv.weight'),
      {},
      'CHECKPOINT_MISSING',
      '"features.0.0.bias", "features.0.2.weight"',
    ],
    [
      'a name of another scheme',
      changed((shapes) => shapes.set('layers.0.blocks.0.norm1.weight', [16])),
      {},
      'CHECKPOINT_EXTRA',
      'of a DeiT or ViT of depth 2, found 33; 1 unexpected: "layers.0.blocks.0.norm1.weight"',
    ],
    // Tensors
    [
      'a missing tensor',
      changed((shapes) => shapes.delete('blocks.1.mlp.fc2.bias')),
      {},
      'CHECKPOINT_MISSING',
      'expected the 32 tensors of a DeiT or ViT of depth 2, found 31; 1 missing: "blocks.1.mlp.fc2.bias"',
    ],
    [
      'a missing head',
      changed((shapes) => shapes.delete('head.weight')),
      {},
      'CHECKPOINT_MISSING',
      '1 missing: "head.weight"',
    ],
    [
      'a model without blocks',
      changed(() => {}, { depth: 0 }),
      {},
      'CHECKPOINT_MISSING',
      '12 missing: "blocks.0.norm1.weight"',
    ],
    [
      'a missing block',
      changed(
        (shapes) => {
          for (const name of [...shapes.keys()]) if (name.startsWith('blocks.1.')) shapes.delete(name);
        },
        { depth: 3 },
      ),
      {},
      'CHECKPOINT_MISSING',
      'depth 2',
      '12 missing: "blocks.1.norm1.weight"',
      '12 unexpected: "blocks.2.',
    ],
    [
      'a block number that would need all memory',
      changed((shapes) => shapes.set('blocks.99999999999999999999.norm1.weight', [16])),
      {},
      'CHECKPOINT_EXTRA',
      '1 unexpected: "blocks.99999999999999999999.norm1.weight"',
    ],
    [
      'a block number with a leading zero',
      changed((shapes) => {
        shapes.set('blocks.01.norm1.bias', shapes.get('blocks.1.norm1.bias')!);
        shapes.delete('blocks.1.norm1.bias');
      }),
      {},
      'CHECKPOINT_MISSING',
      '"blocks.1.norm1.bias"',
      '"blocks.01.norm1.bias"',
    ],
    [
      'an unexpected tensor',
      changed((shapes) => shapes.set('blocks.0.attn.extra.weight', [16])),
      {},
      'CHECKPOINT_EXTRA',
      'found 33; 1 unexpected: "blocks.0.attn.extra.weight"',
    ],
    [
      'an incomplete LayerScale',
      changed((shapes) => shapes.set('blocks.0.ls1.gamma', [16])),
      {},
      'CHECKPOINT_MISSING',
      '3 missing: "blocks.0.ls2.gamma", "blocks.1.ls1.gamma", "blocks.1.ls2.gamma"',
    ],
    [
      'an incomplete second head',
      changed((shapes) => shapes.set('dist_token', [1, 1, 16]).set('head_dist.bias', [3])),
      {},
      'CHECKPOINT_MISSING',
      '1 missing: "head_dist.weight"',
    ],
    [
      'a second head without its token',
      changed((shapes) => shapes.set('head_dist.weight', [3, 16]).set('head_dist.bias', [3])),
      {},
      'CHECKPOINT_CONFIG',
      'expected a class token and a distillation token for the two heads',
    ],
    [
      'a distillation token without a position',
      changed((shapes) => shapes.set('dist_token', [1, 1, 16])),
      {},
      'CHECKPOINT_SHAPE',
      'tensor "pos_embed": expected shape [1, 2 + n, dim] with a square number n of patches and 2 tokens before them',
    ],
    [
      'a missing class token that the config reads',
      changed((shapes) => shapes.set('pos_embed', [1, 4, 16]).delete('cls_token')),
      { config: { global_pool: 'token' } },
      'CHECKPOINT_CONFIG',
      'global_pool: expected "avg"',
    ],
    [
      'a tensor called __proto__',
      changed((shapes) => shapes.set('__proto__', [1])),
      {},
      'CHECKPOINT_EXTRA',
      '1 unexpected: "__proto__"',
    ],
    [
      'integer weights',
      tinyFile(config, zeros(tinyShapes(), 'I8')),
      {},
      'CHECKPOINT_DTYPE',
      'tensor "cls_token": expected F32, F16, BF16 or F64, found I8',
    ],
    // Shapes
    ...(
      [
        ['cls_token', [16], '[1, 1, 16]'],
        ['cls_token', [1, 2, 16], '[1, 1, 16]'],
        ['pos_embed', [5], '[1, tokens, dim]'],
        ['pos_embed', [5, 16], '[1, tokens, dim]'],
        ['pos_embed', [1, 5, 8], '[1, 5, 16]'],
        ['patch_embed.proj.weight', [16, 48], '[dim, 3, P, P]'],
        ['patch_embed.proj.weight', [16, 1, 4, 4], '[16, 3, 4, 4]'],
        ['patch_embed.proj.weight', [16, 3, 4, 8], '[16, 3, 4, 4]'],
        ['patch_embed.proj.bias', [15], '[16]'],
        ['blocks.0.norm1.weight', [1, 16], '[16]'],
        ['blocks.1.attn.qkv.weight', [16, 48], '[48, 16]'],
        ['blocks.1.attn.qkv.bias', [47], '[48]'],
        ['blocks.0.attn.proj.weight', [16, 8], '[16, 16]'],
        ['blocks.0.mlp.fc1.weight', [], '[mlp, dim]'],
        ['blocks.1.mlp.fc1.weight', [24, 16], '[32, 16]'],
        ['blocks.0.mlp.fc1.bias', [31], '[32]'],
        ['blocks.0.mlp.fc2.weight', [32, 16], '[16, 32]'],
        ['norm.bias', [17], '[16]'],
        ['head.weight', [], '[classes, dim]'],
        ['head.weight', [3, 8], '[3, 16]'],
        ['head.bias', [4], '[3]'],
      ] as const
    ).map(([name, shape, expected]): (typeof cases)[number] => [
      `${name} of shape [${shape}]`,
      changed((shapes) => shapes.set(name, [...shape])),
      {},
      'CHECKPOINT_SHAPE',
      `tensor "${name}": expected shape ${expected}, found [${shape.join(', ')}]`,
    ]),
    [
      'dim 0',
      changed(() => {}, { dim: 0 }),
      {},
      'CHECKPOINT_SHAPE',
      'tensor "patch_embed.proj.weight"',
      'at least one channel',
    ],
    [
      'patch size 0',
      changed(() => {}, { patchSize: 0 }),
      {},
      'CHECKPOINT_SHAPE',
      'tensor "patch_embed.proj.weight"',
      'at least one pixel',
    ],
    [
      'MLP dim 0',
      changed(() => {}, { mlpDim: 0 }),
      {},
      'CHECKPOINT_SHAPE',
      'tensor "blocks.0.mlp.fc1.weight"',
    ],
    [
      'a head without classes',
      changed(() => {}, { classes: 0 }),
      {},
      'CHECKPOINT_SHAPE',
      'tensor "head.weight"',
      'one class',
    ],
    [
      'a model without tokens',
      changed((shapes) => shapes.set('pos_embed', [1, 0, 16])),
      {},
      'CHECKPOINT_SHAPE',
      'tensor "pos_embed"',
      'found [1, 0, 16]',
    ],
    [
      'a number of patches that is not a square',
      changed((shapes) => shapes.set('pos_embed', [1, 7, 16])),
      {},
      'CHECKPOINT_SHAPE',
      'tensor "pos_embed"',
      'a square number n of patches',
      'found [1, 7, 16]',
    ],
    [
      'dim 20',
      changed(() => {}, { dim: 20 }),
      {},
      'CHECKPOINT_ARCHITECTURE',
      'dim: expected a multiple of 8, found 20',
    ],
    [
      'head dim 4',
      good,
      { config: { num_heads: 4 } },
      'CHECKPOINT_ARCHITECTURE',
      'head dim: expected a multiple of 8, found 4 (dim 16, 4 heads)',
    ],
    [
      'MLP dim 30',
      changed(() => {}, { mlpDim: 30 }),
      {},
      'CHECKPOINT_ARCHITECTURE',
      'MLP dim: expected a multiple of 8, found 30',
    ],
    [
      'a number of heads that does not divide dim',
      good,
      { config: { num_heads: 3 } },
      'CHECKPOINT_ARCHITECTURE',
      'heads: expected a divisor of dim 16, found 3',
    ],
    [
      'an unknown number of heads',
      tinyFile({}),
      {},
      'CHECKPOINT_ARCHITECTURE',
      'number of heads',
      '--arch',
      'num_heads',
      'dim 16',
    ],
    [
      'an arch with another dim',
      good,
      { arch: 'deit_tiny_patch16_224' },
      'CHECKPOINT_ARCHITECTURE',
      'expected the sizes of deit_tiny_patch16_224, image 224, patch 16, dim 192, depth 12, MLP 768',
      'found image 8, patch 4, dim 16, depth 2, MLP 32',
    ],
    [
      'the arch of a Swin',
      good,
      { arch: 'swin_tiny_patch4_window7_224' },
      'CHECKPOINT_ARCHITECTURE',
      '--arch: expected a DeiT or ViT, as the tensor names show, found "swin_tiny_patch4_window7_224"',
    ],
    // Values
    [
      'NaN',
      withValue('blocks.1.mlp.fc1.weight', 37, Number.NaN),
      {},
      'CHECKPOINT_VALUE',
      'tensor "blocks.1.mlp.fc1.weight"',
      'found NaN at index 37',
    ],
    [
      'infinity',
      withValue('head.bias', 2, Number.POSITIVE_INFINITY),
      {},
      'CHECKPOINT_VALUE',
      'tensor "head.bias"',
      'found Infinity at index 2',
    ],
    [
      'minus infinity',
      withValue('cls_token', 0, Number.NEGATIVE_INFINITY),
      {},
      'CHECKPOINT_VALUE',
      'tensor "cls_token"',
      'found -Infinity at index 0',
    ],
    [
      'infinity in F16',
      tinyFile(
        config,
        zeros(tinyShapes(), 'F16', ({ name, data }) => {
          if (name === 'norm.bias') data.set([0x00, 0x7c], 2 * 5);
        }),
      ),
      {},
      'CHECKPOINT_VALUE',
      'tensor "norm.bias"',
      'found Infinity at index 5',
    ],
    // Config
    ...(
      [
        ['a text that is not JSON', '{"num_heads": 2', 'metadata "fqvit": expected JSON'],
        ['an array', '[]', 'metadata "fqvit": expected an object, found []'],
        ['null', 'null', 'metadata "fqvit": expected an object, found null'],
        [
          'a text longer than 2 MiB',
          ' '.repeat(2 ** 21 + 1),
          'metadata "fqvit": expected at most 2097152 characters',
        ],
        ['deeply nested JSON', '['.repeat(2 ** 21), 'metadata "fqvit": expected JSON'],
        [
          'architecture swin',
          { architecture: 'swin' },
          'architecture: expected "deit" or "vit", as the tensor names show, found "swin"',
        ],
        [
          'architecture null',
          { architecture: null },
          'architecture: expected "deit", "vit" or "swin", found null',
        ],
        ['an empty name', { name: '' }, 'name: expected 1 to 100'],
        [
          'a name that is a path',
          { name: '../x' },
          'name: expected 1 to 100 letters, digits, "_", "." or "-", found "../x"',
        ],
        ['num_heads 0', { num_heads: 0 }, 'num_heads: expected a positive integer, found 0'],
        ['num_heads 2.5', { num_heads: 2.5 }, 'num_heads: expected a positive integer, found 2.5'],
        ['num_heads as a string', { num_heads: '2' }, 'num_heads: expected a positive integer, found "2"'],
        ['layer_norm_eps 0', { layer_norm_eps: 0 }, 'layer_norm_eps: expected a number above 0'],
        ['crop_pct 0', { crop_pct: 0 }, 'crop_pct: expected a number from 0.01 to 1, found 0'],
        ['crop_pct 1.1', { crop_pct: 1.1 }, 'crop_pct: expected a number from 0.01 to 1, found 1.1'],
        [
          'interpolation hamming',
          { interpolation: 'hamming' },
          'interpolation: expected "nearest", "lanczos", "bilinear" or "bicubic"',
        ],
        [
          'a mean of two numbers',
          { mean: [0.5, 0.5] },
          'mean: expected three numbers from 0 to 1, found [0.5, 0.5]',
        ],
        [
          'a mean in the range of bytes',
          { mean: [124, 116, 104] },
          'mean: expected three numbers from 0 to 1, found [124, 116, 104]',
        ],
        ['a mean of strings', { mean: ['0', '0', '0'] }, 'mean: expected three numbers from 0 to 1'],
        ['a std with a zero', { std: [0.5, 0, 0.5] }, 'std: expected three numbers above 0 and at most 1'],
        [
          'a std that is a number',
          { std: 0.5 },
          'std: expected three numbers above 0 and at most 1, found 0.5',
        ],
        ['labels in an object', { labels: {} }, 'labels: expected an array of strings, found an object'],
        [
          'labels that are numbers',
          { labels: [1, 2, 3] },
          'labels: expected an array of strings, found [1, 2, 3]',
        ],
        ['the patch_size of another model', { patch_size: 8 }, 'patch_size: expected 4'],
        [
          'another number of classes',
          { num_classes: 4 },
          'num_classes: expected 3, as the tensors show, found 4',
        ],
        [
          'an image_size that is not a multiple of the patch size',
          { image_size: 10 },
          'expected a multiple of the patch size 4, found 10',
        ],
        [
          'the image_size of another model',
          { image_size: 12 },
          'image_size: expected 8, for which pos_embed was trained',
        ],
      ] as const
    ).map(([name, value, says]): (typeof cases)[number] => [
      `a config: ${name}`,
      tinyFile(typeof value === 'string' ? value : { ...config, ...value }),
      {},
      'CHECKPOINT_CONFIG',
      says,
    ]),
    [
      "the caller's config",
      good,
      { config: { crop_pct: 2 } },
      'CHECKPOINT_CONFIG',
      'config: crop_pct: expected a number from 0.01',
    ],
    [
      "the caller's image size",
      good,
      { imageSize: 12 },
      'CHECKPOINT_CONFIG',
      'image_size: expected 8',
      'found 12',
    ],
    ['too few labels', good, { labels: ['a', 'b'] }, 'CHECKPOINT_LABELS', 'expected 3 labels', 'found 2'],
    [
      'the labels of a TensorFlow head',
      good,
      { labels: ['background', 'a', 'b', 'c'] },
      'CHECKPOINT_LABELS',
      'expected 3 labels',
      'found 4: remove the first, "background": TensorFlow models have this class, this head does not',
    ],
    [
      'too few WordNet ids',
      good,
      { labels: ['a', 'b', 'c'], wnids: ['n01440764'] },
      'CHECKPOINT_LABELS',
      'expected 3 wnids',
      'found 1',
    ],
    [
      'too many labels in the file',
      tinyFile({ ...config, labels: ['a', 'b', 'c', 'd'] }),
      {},
      'CHECKPOINT_LABELS',
      'found 4',
    ],
  ];

  test.each(cases)('refuses %s', (_name, file, options, code, ...says) => {
    const error = refusal(() => readFloatModel(file, { file: 'deit.safetensors', ...options }));
    expect([error.code, error.message]).toEqual([code, expect.any(String)]);
    expect(error.message.startsWith('deit.safetensors: ')).toBe(true);
    for (const part of says) expect(error.message).toContain(part);
    expect(error.message.length).toBeLessThan(600);
  });

  test.each<[name: string, options: FloatModelOptions, says: string]>([
    ['arch', { arch: 'resnet50' }, 'expected a ViT, DeiT or Swin of timm'],
    ['imageSize', { imageSize: -1 }, 'option image_size: expected an integer from 1 to 2048, found -1'],
    ['cropPct', { cropPct: 87.5 }, 'option crop_pct: expected a number from 0.01 to 1, found 87.5'],
    ['cropPct NaN', { cropPct: Number.NaN }, 'option crop_pct: expected a number from 0.01 to 1, found NaN'],
    ['mean', { mean: [0, 0, 2] }, 'option mean: expected three numbers from 0 to 1, found [0, 0, 2]'],
    ['std', { std: [0, 1, 1] }, 'option std: expected three numbers above 0 and at most 1'],
    [
      'heads that the config contradicts',
      { heads: 1 },
      'option num_heads: expected 2, as the file and its config say, found 1',
    ],
    ['labels', { labels: [1] as unknown as string[] }, 'option labels: expected an array of strings'],
  ])('an invalid option %s is a usage error', (_name, options, says) => {
    const call = () => readFloatModel(good, options);
    expect(call).toThrow(UsageError);
    expect(call).toThrow(says);
  });

  test('a config must agree with what an ONNX graph computes', () => {
    const onnx = exported('vit-transformers-11');
    const read = (config: object, heads?: number) => readFloatModel(onnx, { config, heads });
    const same = { num_heads: 2, layer_norm_eps: 1e-12, activation: 'exact', global_pool: 'token' };
    expect(read(same, 2).architecture).toEqual(read({}).architecture);
    for (const [other, found] of Object.entries({
      num_heads: 4,
      layer_norm_eps: 1e-6,
      activation: 'tanh',
      global_pool: 'avg',
    })) {
      const error = refusal(() => read({ ...same, [other]: found }));
      expect(error.code).toBe('CHECKPOINT_CONFIG');
      expect(error.message).toContain(`config: ${other}: expected `);
      expect(error.message).toContain('as the graph computes');
    }
    expect(() => read({}, 1)).toThrow('option num_heads: expected 2');
  });

  test('a config with many unknown keys gives one short warning', () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`key${i}`, i]));
    const { warnings } = readFloatModel(tinyFile({ ...config, ...many }));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]!.length).toBeLessThan(200);
  });

  test('reads or refuses a corrupted file quickly, and throws nothing else', () => {
    const refusals = refusedAfterDamage(good, (file) => readFloatModel(file), {
      place: (at, headerEnd) => at % (at % 4 ? headerEnd : good.length),
      numRuns: 1000,
    });
    expect(refusals).toBeGreaterThan(500);
  });

  test('refuses a tensor with any dimension off by one', () => {
    const shapes = [...tinyShapes()];
    for (const [name, shape] of shapes) {
      for (const axis of shape.keys()) {
        for (const delta of [-1, 1]) {
          // four positions are valid: those of the patches alone
          if (name === 'pos_embed' && axis === 1 && delta === -1) continue;
          const file = changed((all) =>
            all.set(
              name,
              shape.map((n, i) => (i === axis ? n + delta : n)),
            ),
          );
          expect([name, axis, refusal(() => readFloatModel(file)).code]).toEqual([
            name,
            axis,
            'CHECKPOINT_SHAPE',
          ]);
        }
      }
    }
  });

  test('refuses a file without any one of the tensors', () => {
    for (const name of tinyShapes().keys()) {
      // without a class token, there would be five patches, which is not a square
      if (name === 'cls_token') continue;
      const error = refusal(() => readFloatModel(changed((shapes) => shapes.delete(name))));
      expect(error.code).toBe('CHECKPOINT_MISSING');
      expect(error.message).toContain(`1 missing: "${name}"`);
    }
  });
});

const DEIT_TINY = 'models/deit_tiny_patch16_224.safetensors';
describeWithShared('deit_tiny_patch16_224.safetensors', 2, [DEIT_TINY], () => {
  const read = () => readShared(DEIT_TINY);

  test('has 152 tensors and 5,717,416 parameters, read in under a second', () => {
    const bytes = read();
    const start = performance.now();
    const { architecture, tensors, labels, warnings } = readFloatModel(bytes, {
      arch: 'deit_tiny_patch16_224',
    });
    expect(performance.now() - start).toBeLessThan(1000);
    expect(tensors.size).toBe(152);
    expect([...tensors.values()].reduce((sum, { data }) => sum + data.length, 0)).toBe(5_717_416);
    expect(architecture).toEqual({
      family: 'deit',
      name: 'deit_tiny_patch16_224',
      imageSize: 224,
      patchSize: 16,
      dim: 192,
      depth: 12,
      heads: 3,
      mlpDim: 768,
      classes: 1000,
      layerNormEps: 1e-6,
    });
    expect([labels.length, labels[999]]).toEqual([1000, 'class 999']);
    expect(warnings).toEqual([]);
    // Its LayerNorm parameters are multiples of 2^-6; those of a misread tensor would not be.
    expect(tensors.get('norm.weight')!.data.every((value) => Number.isInteger(value * 64))).toBe(true);
    expect(tensors.get('norm.weight')!.data.some((value) => value !== 0)).toBe(true);
  });

  test('gives the same bytes when written again', () => {
    const bytes = read();
    const { tensors, metadata } = readSafetensors(bytes);
    const again = writeSafetensors(tensors.values() as Iterable<Tensor>, metadata);
    expect(Buffer.compare(again, bytes)).toBe(0);
  });
});

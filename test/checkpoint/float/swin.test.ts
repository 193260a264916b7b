import { describe, expect, test } from '@jest/globals';
import { KNOWN_ARCHITECTURES, timmArchitecture } from '../../../src/architecture/timm-architectures.js';
import { type FloatModelOptions, readFloatModel } from '../../../src/checkpoint/float/model.js';
import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors/safetensors.js';
import { describeWithShared, readShared } from '../../support/shared.js';
import { tinySwinModel } from '../../support/tiny-model.js';
import { refusal, refusedAfterDamage } from '../raw-file.js';
import { zeros } from '../tiny-float.js';
import { type TinySwinSizes, tinySwinBuffers, tinySwinShapes } from '../tiny-swin.js';

/** Three stages with maps of 16×16, 8×8 and 4×4 tokens. */
const THREE = { imageSize: 32, depths: [1, 1, 2], heads: [1, 2, 4] };

/** A file of zeros without a config, with names and shapes changed by `change`. */
function changed(
  change: (shapes: Map<string, number[]>) => void,
  sizes: Partial<TinySwinSizes> = {},
): Uint8Array {
  const shapes = tinySwinShapes(sizes);
  change(shapes);
  return writeSafetensors(zeros(shapes), {});
}

function plain(sizes: Partial<TinySwinSizes> = {}, buffers: Tensor[] = []): Uint8Array {
  return writeSafetensors([...zeros(tinySwinShapes(sizes)), ...buffers], {});
}

/** timm's name of a tensor: a merge has the number of the next stage. */
function timmName(name: string): string {
  return name
    .replace(/^head\./, 'head.fc.')
    .replace(/^layers\.(\d+)\.downsample/, (_, stage) => `layers.${Number(stage) + 1}.downsample`);
}

/** The same tensors under other names. */
function renamed(file: Uint8Array, rename: (name: string) => string): Uint8Array {
  const { tensors, metadata } = readSafetensors(file);
  return writeSafetensors(
    [...tensors.values()].map((tensor) => ({ ...tensor, name: rename(tensor.name) })),
    metadata,
  );
}

describe('readFloatModel of a Swin', () => {
  test('reads sizes from the tensors and the rest from the config', () => {
    const config = {
      architecture: 'swin',
      name: 'swin_own',
      num_heads: 2,
      image_size: 32,
      patch_size: 2,
      layer_norm_eps: 1e-6,
      crop_pct: 1,
      interpolation: 'bilinear',
      mean: [0.1, 0.2, 0.3],
      std: [0.4, 0.5, 0.6],
      labels: ['a', 'b', 'c', 'd'],
    };
    const sizes = { imageSize: 32, depths: [2, 3], dim: 32, mlpDim: 72, classes: 4 };
    const model = readFloatModel(tinySwinModel(config, sizes));
    expect(model.architecture).toEqual({
      family: 'swin',
      name: 'swin_own',
      imageSize: 32,
      patchSize: 2,
      dim: 32,
      depths: [2, 3],
      heads: [2, 4],
      mlpDim: 72,
      window: 4,
      classes: 4,
      layerNormEps: 1e-6,
    });
    expect(model.preprocessing).toEqual({
      imageSize: 32,
      cropPct: 1,
      interpolation: 'bilinear',
      mean: [0.1, 0.2, 0.3],
      std: [0.4, 0.5, 0.6],
    });
    expect(model.labels).toEqual(['a', 'b', 'c', 'd']);
    expect(model.warnings).toEqual([]);
  });

  test('uses the defaults of a Swin', () => {
    const { architecture, preprocessing, labels } = readFloatModel(plain());
    expect(architecture).toMatchObject({ name: 'swin_custom', layerNormEps: 1e-5 });
    expect(preprocessing).toEqual({
      imageSize: 16,
      cropPct: 0.9,
      interpolation: 'bicubic',
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
    });
    expect(labels).toEqual(['class 0', 'class 1', 'class 2']);
  });

  test.each([
    [[1], [2]],
    [
      [2, 2],
      [1, 4],
    ],
    [
      [1, 2, 3, 1],
      [2, 2, 2, 16],
    ],
  ])('reads depths %j and heads %j', (depths, heads) => {
    const imageSize = 8 * 2 ** (depths.length - 1);
    const { architecture, tensors } = readFloatModel(plain({ imageSize, depths, heads }));
    expect(architecture).toMatchObject({ depths, heads, imageSize, window: 4 });
    expect([...tensors.keys()]).toEqual([...tinySwinShapes({ imageSize, depths, heads }).keys()]);
  });

  test("ignores the buffers in Microsoft's file and sorts tensors by the forward pass", () => {
    const weights = tinySwinModel(null, THREE);
    const tensors = [...readSafetensors(weights).tensors.values(), ...tinySwinBuffers(THREE)].reverse();
    const model = readFloatModel(writeSafetensors(tensors, {}));
    expect([...model.tensors.keys()]).toEqual([...tinySwinShapes(THREE).keys()]);
    expect(model.tensors).toEqual(readFloatModel(weights).tensors);
  });

  test.each<[name: string, rename: (name: string) => string]>([
    ['timm', timmName],
    ['older timm', (name) => (name.startsWith('head') ? timmName(name) : name)],
    ["timm's merges with Microsoft's head", (name) => (name.startsWith('head') ? name : timmName(name))],
  ])('gives the tensors canonical names: %s', (_name, rename) => {
    const file = tinySwinModel(undefined, THREE);
    const canonical = readFloatModel(file);
    const { tensors, ...rest } = readFloatModel(renamed(file, rename));
    expect({ tensors, ...rest }).toEqual(canonical);
    expect([...tensors.keys()]).toEqual([...canonical.tensors.keys()]);
  });

  test('converts F16 weights to float32', () => {
    const tensors = zeros(tinySwinShapes(), 'F16', ({ name, data }) => {
      if (name.endsWith('_table')) data.set([0, 0x3c]);
    });
    const table = readFloatModel(writeSafetensors(tensors, {})).tensors.get(
      'layers.1.blocks.1.attn.relative_position_bias_table',
    );
    expect([table?.shape, table?.data.subarray(0, 2)]).toEqual([[49, 4], new Float32Array([1, 0])]);
  });
});

describe('the image size of a Swin', () => {
  const read = (file: Uint8Array, options?: FloatModelOptions) => {
    const { architecture, warnings } = readFloatModel(file, options);
    return [architecture.imageSize, warnings] as const;
  };
  const published = plain({
    ...{ imageSize: 224, patchSize: 4, dim: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24] },
    ...{ window: 7, mlpDim: 384 },
  });

  test('comes from the options, else from the config, and may be any size that fits', () => {
    const file = tinySwinModel({ image_size: 32 });
    expect(read(file)).toEqual([32, []]);
    expect(read(file, { imageSize: 48 })).toEqual([48, []]);
    expect(read(file, { config: { image_size: 64 } })).toEqual([64, []]);
    expect(read(plain({}, tinySwinBuffers()), { imageSize: 32 })).toEqual([32, []]);
  });

  test('follows from the smaller bias table of a stage that is smaller than the window', () => {
    const sizes = { imageSize: 24, depths: [1, 1, 1], heads: [1, 2, 4], window: 6 };
    const { architecture, warnings } = readFloatModel(plain(sizes));
    expect(architecture).toMatchObject({ imageSize: 24, window: 6 });
    expect(warnings).toEqual([]);
    expect(read(plain(sizes), { imageSize: 24 })).toEqual([24, []]);
    // Masks in the same file cannot override this.
    expect(read(plain(sizes, tinySwinBuffers({ imageSize: 48 })))).toEqual([24, []]);
  });

  test('limits a window that is larger than every map to the first map', () => {
    const { architecture } = readFloatModel(plain({ imageSize: 16, window: 12 }));
    expect(architecture).toMatchObject({ imageSize: 16, window: 8 });
  });

  test.each([16, 32, 80])('follows from attention masks: %i', (imageSize) => {
    expect(read(plain({}, tinySwinBuffers({ imageSize })))).toEqual([imageSize, []]);
  });

  test('does not follow from invalid masks', () => {
    const mask = (name: string, shape: number[]) => zeros(new Map([[name, shape]]));
    for (const strange of [
      mask('layers.0.blocks.1.attn_mask', [5, 16, 16]),
      mask('layers.0.blocks.1.attn_mask', [0, 16, 16]),
      mask('layers.0.blocks.1.attn_mask', [2 ** 40, 0, 0]),
      mask('layers.0.blocks.1.attn_mask', [16]),
      mask('layers.999999999.blocks.1.attn_mask', [4, 16, 16]),
    ]) {
      expect(read(plain({}, strange))).toEqual([16, [expect.stringContaining('16 is assumed')]]);
    }
  });

  test('comes from arch if the bias tables do not show it', () => {
    const wide = { dim: 96, heads: [3, 6], mlpDim: 384 };
    const arch = 'swin_tiny_patch4_window7_224';
    const difference = expect.stringMatching(
      /^swin_tiny.* has image 224, patch 4, window 7, dim 96, depths \[2, 2, 6, 2\], heads \[3, 6, 12, 24\], MLP 384; the file has image .*: the sizes of the file are used$/,
    );
    expect(read(plain({ ...wide, window: 7, imageSize: 112 }), { arch })).toEqual([224, [difference]]);
    expect(read(plain(wide, tinySwinBuffers({ imageSize: 80 })), { arch })).toEqual([224, [difference]]);
    // A smaller window in the last stage fixes the size of its map.
    const fixed = plain({ ...wide, imageSize: 8 });
    expect(read(fixed, { arch })).toEqual([8, [difference]]);
  });

  test('is assumed otherwise, with a warning', () => {
    expect(read(plain())).toEqual([
      16,
      [expect.stringMatching(/not in the file: 16 is assumed.*--image-size/)],
    ]);
    expect(read(plain(THREE))).toEqual([32, [expect.stringContaining('32 is assumed')]]);
  });

  test('recognises a published Swin with and without arch', () => {
    const arch = 'swin_tiny_patch4_window7_224.ms_in1k';
    const named = readFloatModel(published, { arch });
    expect(named.architecture).toMatchObject({ name: 'swin_tiny_patch4_window7_224', imageSize: 224 });
    expect([named.preprocessing.cropPct, named.warnings]).toEqual([0.9, []]);
    const recognised = readFloatModel(published);
    expect(recognised.architecture).toEqual(named.architecture);
    expect(recognised.warnings).toEqual([]);
    const larger = readFloatModel(published, { arch, imageSize: 448 });
    expect(larger.architecture).toMatchObject({ name: 'swin_custom', imageSize: 448 });
    expect(larger.warnings).toEqual([]);
  });

  test('the table of timm names has the Swins', () => {
    const swins = KNOWN_ARCHITECTURES.filter((known) => known.family === 'swin');
    expect(swins.map(({ name, cropPct }) => [name, cropPct])).toEqual([
      ['swin_base_patch4_window7_224', 0.9],
      ['swin_base_patch4_window12_384', 1],
      ['swin_large_patch4_window7_224', 0.9],
      ['swin_large_patch4_window12_384', 1],
      ['swin_s3_base_224', 0.9],
      ['swin_s3_small_224', 0.9],
      ['swin_s3_tiny_224', 0.9],
      ['swin_small_patch4_window7_224', 0.9],
      ['swin_tiny_patch4_window7_224', 0.9],
    ]);
    expect(timmArchitecture('swin_large_patch4_window12_384')).toMatchObject({
      family: 'swin',
      imageSize: 384,
      window: 12,
      dim: 192,
      depths: [2, 2, 18, 2],
      mlpDim: 768,
    });
    expect(timmArchitecture('swin_s3_tiny_224')).toMatchObject({ window: 7, windows: [7, 7, 14, 7] });
  });
});

describe('an invalid float Swin', () => {
  const good = plain();
  const table = (stage: number, block = 0) =>
    `layers.${stage}.blocks.${block}.attn.relative_position_bias_table`;

  const cases: [
    name: string,
    file: Uint8Array,
    options: FloatModelOptions,
    code: string,
    ...says: string[],
  ][] = [
    // Names
    [
      'a missing tensor',
      changed((shapes) => shapes.delete('layers.1.blocks.1.mlp.fc2.bias')),
      {},
      'CHECKPOINT_MISSING',
      'expected the 63 tensors of a Swin of depths [2, 2], found 62; 1 missing: "layers.1.blocks.1.mlp.fc2.bias"',
    ],
    [
      "a missing tensor in timm's file",
      renamed(
        changed((shapes) => shapes.delete('layers.0.downsample.norm.bias')),
        timmName,
      ),
      {},
      'CHECKPOINT_MISSING',
      '1 missing: "layers.1.downsample.norm.bias"',
    ],
    [
      "a missing head in timm's file",
      renamed(
        changed((shapes) => shapes.delete('head.bias')),
        timmName,
      ),
      {},
      'CHECKPOINT_MISSING',
      '1 missing: "head.fc.bias"',
    ],
    [
      'a missing merge',
      changed((shapes) => {
        for (const name of [...shapes.keys()]) if (name.includes('downsample')) shapes.delete(name);
      }),
      {},
      'CHECKPOINT_MISSING',
      '3 missing: "layers.0.downsample.norm.weight"',
    ],
    [
      'a missing stage',
      changed((shapes) => {
        for (const name of [...shapes.keys()]) if (name.startsWith('layers.1.')) shapes.delete(name);
      }, THREE),
      {},
      'CHECKPOINT_MISSING',
      'depths [1, 1], found',
      '"layers.1.blocks.0.norm1.weight"',
      'unexpected: "layers.2.',
    ],
    [
      'a merge in both places',
      changed((shapes) => shapes.set('layers.1.downsample.norm.weight', [64])),
      {},
      'CHECKPOINT_EXTRA',
      '1 unexpected: "layers.1.downsample.norm.weight"',
    ],
    [
      'two heads',
      changed((shapes) => shapes.set('head.fc.weight', [3, 32]).set('head.fc.bias', [3])),
      {},
      'CHECKPOINT_SCHEME',
      'expected one tensor for head.bias, found "head.bias" and "head.fc.bias"',
    ],
    [
      'absolute position embeddings',
      changed((shapes) => shapes.set('absolute_pos_embed', [1, 64, 16])),
      {},
      'CHECKPOINT_EXTRA',
      'absolute position embeddings of a Swin, as tensor "absolute_pos_embed" shows',
    ],
    ...['layers.999999999.blocks.0.norm1.weight', 'layers.1.blocks.99999999999999999999.norm1.weight'].map(
      (name): (typeof cases)[number] => [
        name,
        changed((shapes) => shapes.set(name, [32])),
        {},
        'CHECKPOINT_EXTRA',
        `1 unexpected: "${name}"`,
      ],
    ),
    [
      'thousands of blocks',
      changed((shapes) => {
        for (let j = 0; j < 5000; j++) shapes.set(`layers.1.blocks.${j}.norm1.bias`, [1]);
      }),
      {},
      'CHECKPOINT_ARCHITECTURE',
      'at most 256 blocks, found 2 of up to 5000',
    ],
    ['too many patches', plain(), { imageSize: 2048 }, 'CHECKPOINT_ARCHITECTURE', 'at most 65536 patches'],
    [
      'thousands of stages',
      changed((shapes) => {
        for (let i = 0; i < 5000; i++) shapes.set(`layers.${i}.blocks.0.norm1.bias`, [1]);
      }),
      {},
      'CHECKPOINT_ARCHITECTURE',
      'expected at most 8 stages of at most 256 blocks, found 5000 of up to 2',
    ],
    // Shapes
    ...(
      [
        ['patch_embed.proj.weight', [16, 12], '[dim, 3, P, P]'],
        ['patch_embed.proj.weight', [16, 3, 2, 4], '[16, 3, 2, 2]'],
        ['patch_embed.norm.bias', [17], '[16]'],
        [table(0), [49], '[(2w-1)^2, heads]'],
        [table(0), [48, 2], '[(2w-1)^2, heads] of a window of w×w tokens'],
        [table(0), [36, 2], '[(2w-1)^2, heads] of a window of w×w tokens'],
        [table(0, 1), [49, 4], '[49, 2]'],
        [table(1, 1), [9, 4], '[49, 4]'],
        ['layers.0.downsample.norm.weight', [32], '[64]'],
        ['layers.0.downsample.reduction.weight', [64, 32], '[32, 64]'],
        ['layers.1.blocks.0.attn.qkv.weight', [48, 16], '[96, 32]'],
        ['layers.1.blocks.0.mlp.fc1.weight', [32, 32], '[64, 32]'],
        ['norm.weight', [16], '[32]'],
        ['head.weight', [3, 16], '[3, 32]'],
      ] as const
    ).map(([name, shape, expected]): (typeof cases)[number] => [
      `${name} of shape [${shape}]`,
      changed((shapes) => shapes.set(name, [...shape])),
      {},
      'CHECKPOINT_SHAPE',
      `tensor "${name}": expected shape ${expected}, found [${shape.join(', ')}]`,
    ]),
    [
      "a wrong shape in timm's file, under timm's name",
      renamed(
        changed((shapes) => shapes.set('layers.0.downsample.norm.weight', [32])),
        timmName,
      ),
      {},
      'CHECKPOINT_SHAPE',
      'tensor "layers.1.downsample.norm.weight": expected shape [64], found [32]',
    ],
    ...(
      [
        [{ dim: 0 }, 'patch_embed.proj.weight', 'channel'],
        [{ patchSize: 0, imageSize: 0 }, 'patch_embed.proj.weight', 'pixel'],
        [{ mlpDim: 0 }, 'layers.0.blocks.0.mlp.fc1.weight', 'row'],
        [{ classes: 0 }, 'head.weight', 'class'],
        [{ heads: [2, 0] }, table(1), 'head'],
      ] as const
    ).map(([sizes, name, least]): (typeof cases)[number] => [
      `a model without any ${least}`,
      changed((shapes) => {
        if (least === 'pixel')
          for (const n of [0, 1]) for (const m of [0, 1]) shapes.set(table(n, m), [49, 2]);
      }, sizes),
      {},
      'CHECKPOINT_SHAPE',
      `tensor "${name}"`,
      `at least one ${least}`,
    ]),
    [
      'integer weights',
      writeSafetensors(zeros(tinySwinShapes(), 'I8'), {}),
      {},
      'CHECKPOINT_DTYPE',
      'tensor "patch_embed.proj.weight": expected F32, F16, BF16 or F64, found I8',
    ],
    [
      'NaN',
      writeSafetensors(
        zeros(tinySwinShapes(), 'F32', ({ name, data }) => {
          if (name === table(1)) new DataView(data.buffer).setFloat32(4 * 5, Number.NaN, true);
        }),
        {},
      ),
      {},
      'CHECKPOINT_VALUE',
      `tensor "${table(1)}": expected finite numbers, found NaN at index 5`,
    ],
    // Windows and image
    [
      'a larger window in a later stage',
      changed((shapes) => shapes.set(table(1), [225, 4]).set(table(1, 1), [225, 4])),
      {},
      'CHECKPOINT_ARCHITECTURE',
      `image 16, patch 2, window 4: tensor "${table(1)}": expected 49 rows`,
      'windows of 4×4 tokens, found 225',
    ],
    [
      'a smaller window before a larger one',
      changed((shapes) => shapes.set(table(1), [9, 2]), THREE),
      {},
      'CHECKPOINT_ARCHITECTURE',
      `image 8, patch 2, window 4: tensor "layers.2.blocks.0.attn.relative_position_bias_table"`,
      'expected 1 rows',
      'found 49',
    ],
    [
      'an image for which the tables are too small',
      plain({ window: 8 }),
      { imageSize: 32 },
      'CHECKPOINT_ARCHITECTURE',
      `image 32, patch 2, window 8: tensor "${table(1)}": expected 225 rows`,
      'found 49',
    ],
    [
      'an image for which the tables are too large',
      good,
      { imageSize: 8 },
      'CHECKPOINT_ARCHITECTURE',
      `image 8, patch 2, window 4: tensor "${table(1)}": expected 9 rows`,
      'found 49',
    ],
    [
      'an image that does not divide into windows',
      good,
      { imageSize: 40 },
      'CHECKPOINT_ARCHITECTURE',
      'image 40, patch 2, window 4: stage 1 has a map of 10×10 tokens, which does not divide into windows of 4×4',
    ],
    [
      'an image that cannot be merged',
      plain({ window: 1, imageSize: 4 }),
      { config: { image_size: 6 } },
      'CHECKPOINT_ARCHITECTURE',
      'stage 0 has a map of 3×3 tokens, which cannot be merged',
    ],
    [
      'an image with part of a patch',
      good,
      { imageSize: 33 },
      'CHECKPOINT_CONFIG',
      'image_size: expected a multiple of the patch size 2, found 33',
    ],
    // Channels
    [
      'dim 20',
      plain({ dim: 20 }),
      {},
      'CHECKPOINT_ARCHITECTURE',
      'stage 0: dim: expected a multiple of 8, found 20 (dim 20, 2 heads)',
    ],
    [
      'head dim 4 in the last stage',
      plain({ heads: [2, 8] }),
      {},
      'CHECKPOINT_ARCHITECTURE',
      'stage 1: head dim: expected a multiple of 8, found 4 (dim 32, 8 heads)',
    ],
    [
      'a number of heads that does not divide dim',
      plain({ heads: [2, 3] }),
      {},
      'CHECKPOINT_ARCHITECTURE',
      'stage 1: heads: expected a divisor of dim 32, found 3',
    ],
    [
      'MLP dim 36',
      plain({ mlpDim: 36 }),
      {},
      'CHECKPOINT_ARCHITECTURE',
      'stage 0: MLP dim: expected a multiple of 8, found 36',
    ],
    // Config and arch
    [
      'the config of a DeiT',
      tinySwinModel({ architecture: 'deit' }),
      {},
      'CHECKPOINT_CONFIG',
      'architecture: expected "swin", as the tensor names show, found "deit"',
    ],
    [
      'the heads of another model',
      good,
      { config: { num_heads: 3 } },
      'CHECKPOINT_CONFIG',
      'num_heads: expected 2, as in the first stage, found 3',
    ],
    [
      'the windows of another model',
      good,
      { config: { window_size: 3 } },
      'CHECKPOINT_CONFIG',
      'window_size: expected 4, for which the bias tables were trained, found 3; resampling them is not supported',
    ],
    [
      'a window for each stage of another model',
      good,
      { config: { window_size: [4, 2] } },
      'CHECKPOINT_CONFIG',
      'window_size: expected [4, 4], for which the bias tables were trained, found [4, 2]',
    ],
    [
      'windows for more stages',
      good,
      { config: { window_size: [4, 4, 4] } },
      'CHECKPOINT_CONFIG',
      'window_size: expected [4, 4], for which the bias tables were trained, found [4, 4, 4]',
    ],
    [
      'the patch size of another model',
      good,
      { config: { patch_size: 4 } },
      'CHECKPOINT_CONFIG',
      'patch_size: expected 2',
    ],
    [
      'the arch of a ViT',
      good,
      { arch: 'vit_tiny_patch16_224' },
      'CHECKPOINT_ARCHITECTURE',
      '--arch: expected a Swin, as the tensor names show, found "vit_tiny_patch16_224"',
    ],
    [
      'an arch with another dim',
      good,
      { arch: 'swin_base_patch4_window12_384' },
      'CHECKPOINT_ARCHITECTURE',
      'expected the sizes of swin_base_patch4_window12_384, image 384, patch 4, window 12, dim 128, depths [2, 2, 18, 2]',
      'found image 384, patch 2, window 4, dim 16, depths [2, 2], heads [2, 4], MLP 32',
    ],
    ['too few labels', good, { labels: ['a'] }, 'CHECKPOINT_LABELS', 'one per row of head.weight, found 1'],
    [
      "too few labels for timm's file",
      renamed(good, timmName),
      { labels: ['a'] },
      'CHECKPOINT_LABELS',
      'one per row of head.fc.weight, found 1',
    ],
  ];

  test.each(cases)('refuses %s', (_name, file, options, code, ...says) => {
    const error = refusal(() => readFloatModel(file, { file: 'swin.safetensors', ...options }));
    expect([error.code, error.message]).toEqual([code, expect.any(String)]);
    expect(error.message.startsWith('swin.safetensors: ')).toBe(true);
    for (const part of says) expect(error.message).toContain(part);
    expect(error.message.length).toBeLessThan(600);
  });

  test.each([
    ['Microsoft', (name: string) => name],
    ['timm', timmName],
  ])('refuses a file without any one of the tensors: %s names', (_names, rename) => {
    for (const name of tinySwinShapes(THREE).keys()) {
      const file = renamed(
        changed((shapes) => shapes.delete(name), THREE),
        rename,
      );
      const error = refusal(() => readFloatModel(file));
      expect([error.code, error.message]).toEqual([
        'CHECKPOINT_MISSING',
        expect.stringContaining(`1 missing: "${rename(name)}"`),
      ]);
    }
  });

  test('refuses a tensor with any dimension off by one', () => {
    for (const [name, shape] of tinySwinShapes()) {
      for (const axis of shape.keys()) {
        for (const delta of [-1, 1]) {
          const other = shape.map((n, i) => (i === axis ? n + delta : n));
          const file = changed((shapes) => shapes.set(name, other));
          const { code } = refusal(() => readFloatModel(file));
          expect([name, axis, code]).toEqual([name, axis, 'CHECKPOINT_SHAPE']);
        }
      }
    }
  });

  test('reads or refuses a corrupted file quickly, and throws nothing else', () => {
    const sound = plain({}, tinySwinBuffers());
    const refusals = refusedAfterDamage(sound, (file) => readFloatModel(file), {
      place: (at, headerEnd) => at % headerEnd,
      numRuns: 500,
    });
    expect(refusals).toBeGreaterThan(250);
  });
});

describeWithShared('swin_micro.safetensors', 2, ['models/swin_micro.safetensors'], () => {
  const read = (options?: FloatModelOptions) =>
    readFloatModel(readShared('models/swin_micro.safetensors'), options);

  test('is recognised without options', () => {
    const { architecture, preprocessing, tensors, warnings } = read();
    expect(architecture).toEqual({
      family: 'swin',
      name: 'swin_custom',
      imageSize: 56,
      patchSize: 2,
      dim: 32,
      depths: [2, 2, 2],
      heads: [1, 2, 4],
      mlpDim: 128,
      window: 7,
      classes: 10,
      layerNormEps: 1e-5,
    });
    expect(preprocessing).toMatchObject({ imageSize: 56, cropPct: 0.9 });
    expect(tensors.size).toBe(92);
    expect(warnings).toEqual([expect.stringContaining('56 is assumed')]);
  });

  test('is read without a warning if the image size is given', () => {
    expect(read({ imageSize: 56 }).warnings).toEqual([]);
  });
});

import { describe, expect, test } from '@jest/globals';
import { huggingFaceConfig } from '../../src/checkpoint/hugging-face-config.js';
import { describeWithShared, readSharedJson } from '../support/shared.js';

const refuse = (message: string): never => {
  throw new Error(message);
};
const read = (config: object, preprocessor?: object) =>
  huggingFaceConfig(config as Record<string, unknown>, preprocessor as Record<string, unknown>, refuse);

/** JSON that has no text and no number. */
const HOSTILE = { toString: 1, valueOf: 1 };
const deep = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));

const VIT = {
  model_type: 'vit',
  image_size: 224,
  patch_size: 16,
  num_attention_heads: 12,
  layer_norm_eps: 1e-12,
};
/** What google/vit-base-patch16-224 says. */
const SQUASHED = {
  do_normalize: true,
  do_resize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
  size: 224,
};

describe('the model', () => {
  test('a ViT', () => {
    const { config, warnings } = read({ ...VIT, id2label: { 1: 'dog', 0: 'cat' } }, SQUASHED);
    expect(config).toEqual({
      architecture: 'vit',
      num_heads: 12,
      image_size: 224,
      patch_size: 16,
      layer_norm_eps: 1e-12,
      activation: 'exact',
      labels: ['cat', 'dog'],
      crop_pct: 1,
      crop_mode: 'squash',
      interpolation: 'bilinear',
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
    });
    expect(warnings).toEqual([]);
  });

  test.each([
    ['gelu_new', 'tanh'],
    ['gelu_pytorch_tanh', 'tanh'],
    ['quick_gelu', 'quick'],
  ])('hidden_act %s', (hidden_act, activation) => {
    expect(read({ ...VIT, hidden_act }, SQUASHED).config.activation).toBe(activation);
  });

  test.each([
    [
      { model_type: 'resnet' },
      'model_type: expected one of vit, vit_mae, dinov2, dinov2_with_registers, deit, swin, found "resnet"',
    ],
    [{ hidden_act: 'relu' }, 'hidden_act: expected one of gelu, '],
    [{ image_size: [224, 192] }, 'image_size: expected a number or two that are equal, found [224, 192]'],
  ])('%j is refused', (change, message) => {
    expect(() => read({ ...VIT, ...change }, SQUASHED)).toThrow(message);
  });

  test('labels that are placeholders, or have gaps', () => {
    expect(
      read({ ...VIT, id2label: { 0: 'LABEL_0', 1: 'LABEL_1' } }, SQUASHED).config.labels,
    ).toBeUndefined();
    const gaps = read({ ...VIT, id2label: { 0: 'a', 2: 'c' } }, SQUASHED);
    expect(gaps.config.labels).toBeUndefined();
    expect(gaps.warnings).toEqual([expect.stringContaining('found gaps')]);
  });

  test('no preprocessor_config.json', () => {
    const { config, warnings } = read(VIT);
    expect(config).not.toHaveProperty('mean');
    expect(warnings).toEqual([expect.stringContaining('there is no preprocessor_config.json')]);
  });
});

describe('how photos are prepared', () => {
  const prepared = (preprocessor: object, config: object = VIT) => {
    const { crop_pct, crop_mode, interpolation, mean, std } = read(config, preprocessor).config;
    return { crop_pct, crop_mode, interpolation, mean, std };
  };

  test.each([
    ['an old number', { size: 224 }, 1, 'squash'],
    ['height and width', { size: { height: 224, width: 224 } }, 1, 'squash'],
    [
      'DeiT as it was',
      { feature_extractor_type: 'DeiTFeatureExtractor', size: 256, crop_size: 224, do_center_crop: true },
      0.875,
      'squash',
    ],
    [
      'a short side',
      { size: { shortest_edge: 256 }, crop_size: { height: 224, width: 224 }, do_center_crop: true },
      0.875,
      undefined,
    ],
    [
      'a crop that the type does by itself',
      { image_processor_type: 'BitImageProcessor', size: { shortest_edge: 256 }, crop_size: 224 },
      0.875,
      undefined,
    ],
    [
      'a crop that is switched off',
      { size: { shortest_edge: 224 }, crop_size: 192, do_center_crop: false },
      1,
      undefined,
    ],
    ["ConvNeXt's part", { size: { shortest_edge: 224 }, crop_pct: 0.875 }, 0.875, undefined],
  ])('%s', (_, preprocessor, crop, mode) => {
    expect(prepared(preprocessor)).toMatchObject({ crop_pct: crop });
    expect(prepared(preprocessor).crop_mode).toBe(mode);
  });

  test('the short side is as long as the config says, whatever the division does', () => {
    for (let resized = 224; resized < 700; resized++) {
      const { crop_pct } = prepared({
        size: { shortest_edge: resized },
        crop_size: 224,
        do_center_crop: true,
      });
      expect(Math.floor(224 / (crop_pct as number))).toBe(resized);
    }
  });

  test('another size than the model has: the same part of the photo, and a word', () => {
    const dino = { image_processor_type: 'BitImageProcessor', size: { shortest_edge: 256 }, crop_size: 224 };
    const { config, warnings } = read(
      { ...VIT, model_type: 'dinov2', image_size: 518, patch_size: 14 },
      dino,
    );
    expect(Math.floor(518 / (config.crop_pct as number))).toBe(592);
    expect(warnings).toEqual([expect.stringContaining('photos of 224 pixels for a model of 518')]);
  });

  test.each([
    [0, 'nearest'],
    [1, 'lanczos'],
    [2, 'bilinear'],
    [3, 'bicubic'],
  ])('resample %d', (resample, interpolation) => {
    expect(prepared({ ...SQUASHED, resample }).interpolation).toBe(interpolation);
  });

  test('mean and deviation in the units that the processor leaves', () => {
    const of255 = prepared({
      ...SQUASHED,
      do_rescale: false,
      image_mean: [127.5, 127.5, 127.5],
      image_std: [51, 51, 51],
    });
    expect(of255).toMatchObject({ mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] });
    const halved = prepared({ ...SQUASHED, rescale_factor: 1 / 127.5 });
    expect(halved).toMatchObject({ mean: [0.25, 0.25, 0.25], std: [0.25, 0.25, 0.25] });
    expect(prepared({ ...SQUASHED, do_normalize: false })).toMatchObject({ mean: [0, 0, 0], std: [1, 1, 1] });
  });

  test.each([
    [{ resample: 4 }, 'resample: expected 0, 1, 2 or 3, found 4'],
    [
      { size: { longest_edge: 224 } },
      'size: expected a number, { height, width } of a square or { shortest_edge }',
    ],
    [{ size: { height: 224, width: 192 } }, 'size: expected'],
    [{ size: '224' }, 'size: expected'],
    [{ size: 192, crop_size: 224, do_center_crop: true }, 'crop_size: expected at most 192'],
    [{ rescale_factor: 0 }, 'rescale_factor: expected a positive number'],
    [{ rescale_factor: HOSTILE }, 'rescale_factor: expected a positive number, found an object'],
    [{ resample: HOSTILE }, 'resample: expected 0, 1, 2 or 3, found an object'],
    [{ size: HOSTILE }, 'size: expected a number'],
    [{ size: deep(200_000) }, 'size: expected a number'],
  ])('refused: %#', (change, message) => {
    expect(() => prepared({ ...SQUASHED, ...change })).toThrow(message);
  });

  test('values that cannot be made texts or numbers are passed on to be refused, or pass for the usual', () => {
    const strange = { image_processor_type: HOSTILE, image_mean: [HOSTILE, 0, 0], rescale_factor: 1 };
    expect(prepared({ ...SQUASHED, ...strange })).toMatchObject({ mean: [HOSTILE, 0, 0] });
  });

  test.each(['constructor', '__proto__', 'toString'])('a name that every object has: %s', (name) => {
    expect(() => read({ ...VIT, model_type: name }, SQUASHED)).toThrow('model_type: expected one of');
    expect(() => read({ ...VIT, hidden_act: name }, SQUASHED)).toThrow('hidden_act: expected one of');
  });

  test('do_resize false is not heeded, with a word', () => {
    expect(read(VIT, { ...SQUASHED, do_resize: false }).warnings).toEqual([
      expect.stringContaining('do_resize'),
    ]);
  });
});

describeWithShared("microsoft's Swin-T as its users get it", 1, () => {
  test('config and preprocessor', () => {
    const folder = 'data/hub/microsoft--swin-tiny-patch4-window7-224';
    const { config, warnings } = read(
      readSharedJson(`${folder}/config.json`),
      readSharedJson(`${folder}/preprocessor_config.json`),
    );
    expect(warnings).toEqual([]);
    expect((config.labels as string[]).length).toBe(1000);
    expect(config).toMatchObject({
      ...{ architecture: 'swin', num_heads: 3, image_size: 224, patch_size: 4, layer_norm_eps: 1e-5 },
      ...{ crop_pct: 1, crop_mode: 'squash', interpolation: 'bicubic', activation: 'exact' },
      ...{ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    });
  });
});

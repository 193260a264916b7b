import { describe, expect, test } from '@jest/globals';
import { transformersConfig } from '../../../src/checkpoint/config/transformers-config.js';
import { describeWithShared, readSharedJson } from '../../support/shared.js';

const refuse = (message: string): never => {
  throw new Error(message);
};
const read = (config: object, preprocessor?: object) =>
  transformersConfig(config as Record<string, unknown>, preprocessor as Record<string, unknown>, refuse);

/** A JSON value that cannot be converted to a string or a number. */
const HOSTILE = { toString: 1, valueOf: 1 };
const deep = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));

const VIT = {
  model_type: 'vit',
  image_size: 224,
  patch_size: 16,
  num_attention_heads: 12,
  layer_norm_eps: 1e-12,
};
/** The preprocessor of google/vit-base-patch16-224. */
const SQUASHED = {
  do_normalize: true,
  do_resize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
  size: 224,
};

describe('the model', () => {
  test('reads a ViT', () => {
    const { config, warnings } = read({ ...VIT, id2label: { 1: 'dog', 0: 'cat' } }, SQUASHED);
    expect(config).toEqual({
      architecture: 'vit',
      num_heads: 12,
      image_size: 224,
      patch_size: 16,
      layer_norm_eps: 1e-12,
      activation: 'exact',
      global_pool: 'token',
      labels: ['cat', 'dog'],
      crop_pct: 1,
      crop_mode: 'squash',
      interpolation: 'bilinear',
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
    });
    expect(warnings).toEqual([]);
  });

  test('reads the mean of the patches only for I-JEPA', () => {
    const pool = (model_type: string) =>
      read({ ...VIT, model_type, layer_norm_eps: null }).config.global_pool;
    expect(['deit', 'vit_msn', 'ijepa', 'swin'].map(pool)).toEqual(['token', 'token', 'avg', undefined]);
  });

  test.each([
    ['gelu_new', 'tanh'],
    ['gelu_pytorch_tanh', 'tanh'],
    ['quick_gelu', 'quick'],
  ])('reads hidden_act %s as the GELU %s', (hidden_act, activation) => {
    expect(read({ ...VIT, hidden_act }, SQUASHED).config.activation).toBe(activation);
  });

  test.each([
    [
      { model_type: 'resnet' },
      'model_type: expected one of vit, deit, swin, dinov2, dinov2_with_registers, vit_mae, vit_msn, ijepa, found "resnet"',
    ],
    [{ hidden_act: 'relu' }, 'hidden_act: expected one of gelu, '],
    [{ image_size: [224, 192] }, 'image_size: expected one number or two equal numbers, found [224, 192]'],
  ])('%j is refused', (change, message) => {
    expect(() => read({ ...VIT, ...change }, SQUASHED)).toThrow(message);
  });

  test('uses the image processor in config.json if the other file names none', () => {
    const vit = { ...VIT, image_processor_type: 'BitImageProcessor' };
    const sized = { size: { shortest_edge: 256 }, crop_size: 224 };
    expect(read(vit, sized).config).toMatchObject({ crop_pct: 0.875, interpolation: 'bicubic' });
    expect(() => read(vit, { ...sized, image_processor_type: 'ViTImageProcessor' })).toThrow(
      'size: expected',
    );
  });

  test('ignores labels that are placeholders or have gaps', () => {
    expect(() => read({ ...VIT, id2label: 'names.txt' }, SQUASHED)).toThrow('id2label: expected an object');
    expect(
      read({ ...VIT, id2label: { 0: 'LABEL_0', 1: 'LABEL_1' } }, SQUASHED).config.labels,
    ).toBeUndefined();
    const gaps = read({ ...VIT, id2label: { 0: 'a', 2: 'c' } }, SQUASHED);
    expect(gaps.config.labels).toBeUndefined();
    expect(gaps.warnings).toEqual([expect.stringContaining('found gaps')]);
  });

  test('warns if there is no preprocessor_config.json', () => {
    const { config, warnings } = read(VIT);
    expect(config).not.toHaveProperty('mean');
    expect(warnings).toEqual([expect.stringContaining('there is no preprocessor_config.json')]);
  });
});

describe('the preprocessing', () => {
  const prepared = (preprocessor: object, config: object = VIT) => {
    const { crop_pct, crop_mode, interpolation, mean, std } = read(config, preprocessor).config;
    return { crop_pct, crop_mode, interpolation, mean, std };
  };

  test.each([
    ['a number, as in old files', { size: 224 }, 1, 'squash'],
    ['a height and width', { size: { height: 224, width: 224 } }, 1, 'squash'],
    [
      'an old DeiT feature extractor',
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
      'the default crop of an image processor',
      { image_processor_type: 'BitImageProcessor', size: { shortest_edge: 256 }, crop_size: 224 },
      0.875,
      undefined,
    ],
    [
      'a crop that is switched off',
      { size: { height: 224, width: 224 }, crop_size: 192, do_center_crop: false },
      1,
      'squash',
    ],
    [
      "CLIP's number, which is the short side",
      { image_processor_type: 'CLIPImageProcessor', size: 256, crop_size: 224 },
      0.875,
      undefined,
    ],
    [
      "ConvNeXt's crop_pct",
      { feature_extractor_type: 'ConvNextFeatureExtractor', size: 224, crop_pct: 0.875, resample: 3 },
      0.875,
      undefined,
    ],
    [
      "ConvNeXt's square from 384 pixels up",
      { image_processor_type: 'ConvNextImageProcessorFast', size: { shortest_edge: 384 }, resample: 3 },
      1,
      'squash',
    ],
    ["SigLIP's default size, a square", { image_processor_type: 'SiglipImageProcessor' }, 1, 'squash'],
    [
      'the defaults of the DeiT image processor',
      { image_processor_type: 'DeiTImageProcessor' },
      0.875,
      'squash',
    ],
  ])('reads %s', (_, preprocessor, crop, mode) => {
    expect(prepared(preprocessor)).toMatchObject({ crop_pct: crop });
    expect(prepared(preprocessor).crop_mode).toBe(mode);
  });

  test('gives the exact short side of the config, despite rounding', () => {
    for (let resized = 224; resized < 700; resized++) {
      const { crop_pct } = prepared({
        size: { shortest_edge: resized },
        crop_size: 224,
        do_center_crop: true,
      });
      expect(Math.floor(224 / (crop_pct as number))).toBe(resized);
    }
  });

  test('keeps the part of the photo if the model has another size, with a warning', () => {
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
  ])('reads resample %d as %s', (resample, interpolation) => {
    expect(prepared({ ...SQUASHED, resample }).interpolation).toBe(interpolation);
  });

  test('converts mean and deviation from the units after rescaling', () => {
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
    [{ size: 192, crop_size: 224, do_center_crop: true }, 'crop_size: expected a square of at most 192'],
    [{ rescale_factor: 0 }, 'rescale_factor: expected a positive number'],
    [{ rescale_factor: HOSTILE }, 'rescale_factor: expected a positive number, found an object'],
    [{ resample: HOSTILE }, 'resample: expected 0, 1, 2 or 3, found an object'],
    [{ size: HOSTILE }, 'size: expected a number'],
    [{ size: deep(200_000) }, 'size: expected a number'],
  ])('refuses a strange value: %#', (change, message) => {
    expect(() => prepared({ ...SQUASHED, ...change })).toThrow(message);
  });

  test('refuses or passes on values that cannot be converted to strings or numbers', () => {
    const strange = { image_mean: [HOSTILE, 0, 0], rescale_factor: 1 };
    expect(prepared({ ...SQUASHED, ...strange })).toMatchObject({ mean: [HOSTILE, 0, 0] });
    expect(() => prepared({ ...SQUASHED, image_processor_type: HOSTILE })).toThrow(
      'image_processor_type: expected one of ViTImageProcessor, ',
    );
  });

  test.each([
    [
      { do_flip_channel_order: true },
      'do_flip_channel_order: expected false, found true: fqvit does not support BGR channel order',
    ],
    [{ rescale_offset: true }, 'rescale_offset: expected false, found true'],
    [{ do_pad: true }, 'do_pad: expected false, found true'],
    [{ do_grayscale: true }, 'do_grayscale: expected false, found true'],
    [{ do_something_new: true }, 'do_something_new: expected a known key, found true'],
    [{ do_something_new: 1 }, 'do_something_new: expected a known key, found 1'],
    [{ image_processor_type: 'ImageGPTImageProcessor' }, 'image_processor_type: expected one of'],
    [
      { size: { shortest_edge: 224 } },
      'size: expected { height, width } of a square, or a crop after the resize',
    ],
    [{ size: { shortest_edge: 224, longest_edge: 500 } }, 'size: expected a number'],
    [{ do_center_crop: true }, 'crop_size: expected a number, { height, width } of a square'],
    [{ size: [224, 192] }, 'size: expected a number'],
    [{ crop_pct: 0.9 }, 'crop_pct: expected none except for a ConvNextImageProcessor, found 0.9'],
    [{ do_rescale: null }, 'do_rescale: expected true or false, found null'],
    [{ do_normalize: 'yes' }, 'do_normalize: expected true or false, found "yes"'],
    [{ image_processor_type: 'BeitImageProcessor', size: 224 }, 'do_center_crop: expected true or false'],
    [{ image_processor_type: 'ConvNextImageProcessor', size: 224 }, 'resample: expected 0, 1, 2 or 3'],
    [
      { do_resize: false, do_center_crop: true, size: 224, crop_size: 224 },
      'do_resize: expected true, since do_center_crop is true',
    ],
    [
      { do_resize: false, do_center_crop: true, size: 256, crop_size: 224 },
      'do_resize: expected true, since do_center_crop is true',
    ],
  ])('%j is refused', (change, message) => {
    expect(() => prepared({ ...SQUASHED, ...change })).toThrow(message);
  });

  test.each([
    {
      do_center_crop: null,
      do_pad: null,
      pad_size: null,
      crop_size: null,
      device: null,
      data_format: 'channels_first',
    },
    { do_something_new: false, do_something_else: null },
    { do_convert_rgb: true, do_reduce_labels: true },
  ])('%j changes nothing', (keys) => {
    expect(prepared({ ...SQUASHED, ...keys })).toEqual(prepared(SQUASHED));
  });

  test('uses the mean and deviation of the image processor class', () => {
    expect(prepared({ image_processor_type: 'CLIPImageProcessor' })).toMatchObject({
      interpolation: 'bicubic',
      mean: [0.48145466, 0.4578275, 0.40821073],
    });
  });

  test('uses the defaults of the model type without a class', () => {
    expect(prepared({}, { ...VIT, model_type: 'deit' })).toMatchObject({
      crop_pct: 0.875,
      crop_mode: 'squash',
    });
    expect(prepared({}, VIT)).toMatchObject({ crop_pct: 1, crop_mode: 'squash' });
  });

  test('rounds half of an odd margin down, if the margin can be odd', () => {
    const rounding = (file: object) => read(VIT, file).config.crop_rounding;
    expect(rounding(SQUASHED)).toBeUndefined();
    expect(rounding({ image_processor_type: 'CLIPImageProcessor' })).toBe('down');
  });

  test.each(['constructor', '__proto__', 'toString'])('refuses a name that every object has: %s', (name) => {
    expect(() => read({ ...VIT, model_type: name }, SQUASHED)).toThrow('model_type: expected one of');
    expect(() => read({ ...VIT, hidden_act: name }, SQUASHED)).toThrow('hidden_act: expected one of');
  });

  test('ignores do_resize false, with a warning', () => {
    expect(read(VIT, { ...SQUASHED, do_resize: false }).warnings).toEqual([
      expect.stringContaining('do_resize'),
    ]);
  });
});

const SWIN_T = ['config', 'preprocessor_config'].map(
  (name) => `data/hub/microsoft--swin-tiny-patch4-window7-224/${name}.json`,
) as [string, string];
describeWithShared("microsoft's Swin-T as on the Hugging Face hub", 1, SWIN_T, () => {
  test('is read without warnings', () => {
    const [model, preprocessor] = SWIN_T.map((file) => readSharedJson<object>(file)) as [object, object];
    const { config, warnings } = read(model, preprocessor);
    expect(warnings).toEqual([]);
    expect((config.labels as string[]).length).toBe(1000);
    expect(config).toMatchObject({
      ...{ architecture: 'swin', num_heads: 3, image_size: 224, patch_size: 4, layer_norm_eps: 1e-5 },
      ...{ crop_pct: 1, crop_mode: 'squash', interpolation: 'bicubic', activation: 'exact' },
      ...{ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    });
  });
});

/**
 * What a model on the Hugging Face hub says beside its weights: `config.json` and `preprocessor_config.json` of transformers, in all
 * the forms that they have had.
 */

import type { FloatConfig } from './float-config.js';
import { INTERPOLATIONS } from './interpolation.js';
import { shown } from './shown.js';

type Json = Readonly<Record<string, unknown>>;

/** Functions of transformers' `ACT2FN` that are GELUs. */
const ACTIVATIONS: Readonly<Record<string, NonNullable<FloatConfig['activation']>>> = {
  gelu: 'exact',
  gelu_python: 'exact',
  gelu_new: 'tanh',
  gelu_fast: 'tanh',
  gelu_pytorch_tanh: 'tanh',
  quick_gelu: 'quick',
};

const FAMILIES: Readonly<Record<string, NonNullable<FloatConfig['architecture']>>> = {
  vit: 'vit',
  vit_mae: 'vit',
  dinov2: 'vit',
  dinov2_with_registers: 'vit',
  deit: 'deit',
  swin: 'swin',
};

/** Whether a config.json is one of transformers. */
export function isHuggingFaceConfig(config: Json): boolean {
  return typeof config.model_type === 'string';
}

export interface HuggingFaceConfig {
  /** Keys of `FloatConfig`, to be validated as any other config. */
  readonly config: Readonly<Record<keyof FloatConfig, unknown>>;
  /** A sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Translates both files.
 *
 * @param preprocessor of `preprocessor_config.json`; undefined where there is none
 * @param refuse throws; it is given which key, what was expected and what was found
 */
export function huggingFaceConfig(
  config: Json,
  preprocessor: Json | undefined,
  refuse: (message: string) => never,
): HuggingFaceConfig {
  const warnings: string[] = [];
  const { model_type: type, hidden_act: activation = 'gelu' } = config;
  const family = own(FAMILIES, type);
  if (family === undefined) {
    refuse(`model_type: expected one of ${Object.keys(FAMILIES).join(', ')}, found ${shown(type)}`);
  }
  const gelu = own(ACTIVATIONS, activation);
  if (gelu === undefined) {
    refuse(`hidden_act: expected one of ${Object.keys(ACTIVATIONS).join(', ')}, found ${shown(activation)}`);
  }
  const heads = family === 'swin' ? config.num_heads : config.num_attention_heads;
  const imageSize = side(config.image_size, 'image_size', refuse);
  const translated = {
    architecture: family,
    num_heads: Array.isArray(heads) ? heads[0] : heads,
    image_size: imageSize,
    patch_size: side(config.patch_size, 'patch_size', refuse),
    layer_norm_eps: config.layer_norm_eps,
    activation: gelu,
    labels: labels(config.id2label, warnings),
  };
  if (preprocessor === undefined) {
    warnings.push(`there is no preprocessor_config.json: photos are prepared as is usual for a ${family}`);
  }
  const prepared = preprocessor ? preprocessing(preprocessor, imageSize, warnings, refuse) : {};
  return { config: { ...translated, ...prepared } as HuggingFaceConfig['config'], warnings };
}

/** What a table has under a name of the file, which may be anything. */
function own<T>(table: Readonly<Record<string, T>>, name: unknown): T | undefined {
  return typeof name === 'string' && Object.hasOwn(table, name) ? table[name] : undefined;
}

/** `id2label` in the order of its numbers; undefined where they have gaps, or are the placeholders LABEL_0, LABEL_1, … */
function labels(value: unknown, warnings: string[]): readonly unknown[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const list = new Map(Object.entries(value));
  const found = Array.from({ length: list.size }, (_, index) => list.get(String(index)));
  if (found.some((label) => typeof label !== 'string')) {
    warnings.push('id2label: expected a name for each number from 0, found gaps: it is ignored');
    return undefined;
  }
  return found.every((label, index) => label === `LABEL_${index}`) ? undefined : found;
}

/** A number, or two that are equal. */
function side(value: unknown, key: string, refuse: (message: string) => never): unknown {
  if (!Array.isArray(value)) return value;
  return value.length === 2 && value[0] === value[1]
    ? value[0]
    : refuse(`${key}: expected a number or two that are equal, found ${shown(value)}`);
}

/** What the processors of transformers do where their file leaves it open. */
function defaults(type: string) {
  if (/^(DeiT|Bit|CLIP)/.test(type)) return { crop: true, resample: 3 };
  return { crop: false, resample: 2 };
}

function preprocessing(
  json: Json,
  imageSize: unknown,
  warnings: string[],
  refuse: (message: string) => never,
): Partial<Record<keyof FloatConfig, unknown>> {
  const type = json.image_processor_type ?? json.feature_extractor_type;
  const usual = defaults(typeof type === 'string' ? type : 'ViT');
  if (json.do_resize === false) {
    warnings.push('preprocessor_config.json: do_resize is false; photos are resized all the same');
  }
  const resample = json.resample ?? usual.resample;
  const interpolation = typeof resample === 'number' ? INTERPOLATIONS[resample] : undefined;
  if (interpolation === undefined) {
    refuse(`preprocessor_config.json: resample: expected 0, 1, 2 or 3, found ${shown(resample)}`);
  }
  return {
    ...resizing(json, imageSize, json.do_center_crop ?? usual.crop, warnings, refuse),
    interpolation,
    ...normalisation(json, refuse),
  };
}

/**
 * `size` is a number (the side of a square), { height, width } (that square), or { shortest_edge }; then a centre crop to `crop_size`, or
 * ConvNeXt's `crop_pct`. The model sees the same part of the photo, at its own size where the crop has another.
 */
function resizing(
  json: Json,
  imageSize: unknown,
  crops: unknown,
  warnings: string[],
  refuse: (message: string) => never,
): Partial<Record<keyof FloatConfig, unknown>> {
  const { squash, resized } = target(json.size ?? imageSize, refuse);
  const seen = crops === true ? target(json.crop_size ?? imageSize ?? resized, refuse).resized : resized;
  const part = typeof json.crop_pct === 'number' ? json.crop_pct : seen / resized;
  if (part > 1) {
    refuse(
      `preprocessor_config.json: crop_size: expected at most ${resized}, the size before the crop, found ${seen}`,
    );
  }
  if (typeof imageSize !== 'number') return { crop_pct: part, ...(squash ? { crop_mode: 'squash' } : {}) };
  if (seen !== imageSize) {
    warnings.push(
      `preprocessor_config.json prepares photos of ${seen} pixels for a model of ${imageSize}: it gets ${imageSize}, of the same part of the photo`,
    );
  }
  return { crop_pct: exactCrop(imageSize, part), ...(squash ? { crop_mode: 'squash' } : {}) };
}

/** A part of which `floor(size / part)` is the nearest integer to the real quotient: 224 / 248 must give 248. */
function exactCrop(size: number, part: number): number {
  const resized = Math.round(size / part);
  const exact = size / resized;
  return Math.floor(size / exact) === resized ? exact : size / (resized + 0.25);
}

function target(size: unknown, refuse: (message: string) => never): { squash: boolean; resized: number } {
  const { height, width, shortest_edge: shortest } = Object(size) as Json;
  const square = typeof size === 'number' ? size : height === width ? height : undefined;
  const resized = square ?? shortest;
  if (typeof resized === 'number' && Number.isSafeInteger(resized) && resized > 0) {
    return { squash: square !== undefined, resized };
  }
  return refuse(
    'preprocessor_config.json: size: expected a number, { height, width } of a square or { shortest_edge }, ' +
      `found ${found(size)}`,
  );
}

/** A size as it may stand in a message: of an object its keys too. */
function found(size: unknown): string {
  if (typeof size !== 'object' || size === null || Array.isArray(size)) return shown(size);
  const entries = Object.entries(size).slice(0, 4);
  return `{ ${entries.map(([key, value]) => `${shown(key)}: ${shown(value)}`).join(', ')} }`;
}

/** Mean and deviation of pixels in 0..1, whatever the processor divides them by first. */
function normalisation(json: Json, refuse: (message: string) => never): { mean: unknown; std: unknown } {
  const {
    do_normalize: normalizes = true,
    do_rescale: rescales = true,
    rescale_factor: factor = 1 / 255,
  } = json;
  const unit = rescales === false ? 255 : 255 * (typeof factor === 'number' ? factor : Number.NaN);
  if (!(unit > 0))
    refuse(`preprocessor_config.json: rescale_factor: expected a positive number, found ${shown(factor)}`);
  const mean = normalizes === false ? [0, 0, 0] : (json.image_mean ?? [0.5, 0.5, 0.5]);
  const std = normalizes === false ? [1, 1, 1] : (json.image_std ?? [0.5, 0.5, 0.5]);
  const scaled = (value: unknown) => (typeof value === 'number' ? value / unit : value);
  const inUnits = (values: unknown) => (Array.isArray(values) ? values.map(scaled) : values);
  return unit === 1 ? { mean, std } : { mean: inUnits(mean), std: inUnits(std) };
}

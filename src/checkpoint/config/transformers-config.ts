/**
 * Reads the `config.json` and `preprocessor_config.json` of transformers, in all their forms.
 * `transformers-keys.ts` has the verdict on each key.
 */

import { INTERPOLATIONS } from '../../image/resize/interpolation.js';
import { formatValue } from '../../text/format-value.js';
import type { JsonObject } from '../../text/json-object.js';
import type { Refuse } from '../../text/refuse.js';
import type { FloatConfig } from '../float/config.js';
import {
  MODEL_TYPES,
  type ModelType,
  PREPROCESSOR_CONFIG,
  PROCESSORS,
  type Processor,
  TRANSFORMERS_CONFIG,
  UNSUPPORTED,
} from './transformers-keys.js';
import { side, told } from './values.js';
import { ignoredKeys, judge } from './verdicts.js';

/** The functions in transformers' `ACT2FN` that are GELUs. */
const ACTIVATIONS: Readonly<Record<string, NonNullable<FloatConfig['activation']>>> = {
  gelu: 'exact',
  gelu_python: 'exact',
  gelu_new: 'tanh',
  gelu_fast: 'tanh',
  gelu_pytorch_tanh: 'tanh',
  quick_gelu: 'quick',
};

/** The meaning of the logits for each `problem_type`. */
const OUTPUTS: Readonly<Record<string, NonNullable<FloatConfig['output']>>> = {
  single_label_classification: 'softmax',
  multi_label_classification: 'sigmoid',
  regression: 'value',
};

/** Whether a config.json comes from transformers. */
export function isTransformersConfig(config: JsonObject): boolean {
  return 'model_type' in config;
}

export interface TranslatedConfig {
  /** Keys of `FloatConfig`, not yet validated. */
  readonly config: Readonly<Partial<Record<keyof FloatConfig, unknown>>>;
  /** One sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Translates both files.
 *
 * @param preprocessor `preprocessor_config.json`; undefined if there is none
 * @param refuse throws an error; its argument names the key, what was expected and what was found
 * @param refusePreprocessor the same for `preprocessor_config.json`
 */
export function transformersConfig(
  config: JsonObject,
  preprocessor: JsonObject | undefined,
  refuse: Refuse,
  refusePreprocessor: Refuse = (message) => refuse(`preprocessor_config.json: ${message}`),
): TranslatedConfig {
  const type = modelType(config, refuse);
  const warnings = ignoredKeys(judge(config, TRANSFORMERS_CONFIG, refuse), 'config.json');
  const isSwin = type.family === 'swin';
  const heads = isSwin ? config.num_heads : (config.num_attention_heads ?? type.heads);
  const imageSize = side(config.image_size ?? type.imageSize, 'image_size', refuse);
  const eps = config.layer_norm_eps ?? type.layerNormEps;
  if (isSwin && eps !== type.layerNormEps) {
    refuse(
      `layer_norm_eps: expected ${type.layerNormEps}, found ${formatValue(eps)}: transformers applies it to only some LayerNorms of a Swin, which is not supported`,
    );
  }
  const prepared = preprocessor
    ? preprocessing(withClass(preprocessor, config), type, imageSize, warnings, refusePreprocessor)
    : {};
  if (preprocessor === undefined) {
    warnings.push(
      `there is no preprocessor_config.json: photos are prepared as usual for a ${type.family}; change this with --crop, --mean and --std`,
    );
  }
  const translated = {
    architecture: type.family,
    num_heads: Array.isArray(heads) ? heads[0] : heads,
    depth: config.depths ?? (isSwin ? undefined : config.num_hidden_layers),
    qkv_bias: config.qkv_bias,
    image_size: imageSize,
    patch_size: side(config.patch_size, 'patch_size', refuse),
    layer_norm_eps: eps,
    global_pool: type.pool,
    activation: named(ACTIVATIONS, config.hidden_act ?? 'gelu', 'hidden_act', refuse),
    output:
      config.problem_type == null ? undefined : named(OUTPUTS, config.problem_type, 'problem_type', refuse),
    labels: labels(config.id2label, warnings, refuse),
    ...prepared,
  };
  return { config: told(translated), warnings };
}

/** Looks up a name from the file, which may be any value. */
function named<T>(table: Readonly<Record<string, T>>, name: unknown, key: string, refuse: Refuse): T {
  return (
    own(table, name) ??
    refuse(`${key}: expected one of ${Object.keys(table).join(', ')}, found ${formatValue(name)}`)
  );
}

function own<T>(table: Readonly<Record<string, T>>, name: unknown): T | undefined {
  return typeof name === 'string' && Object.hasOwn(table, name) ? table[name] : undefined;
}

/** Checks the model type and its classes: some classes of a type compute something different. */
function modelType({ model_type: name, architectures }: JsonObject, refuse: Refuse): ModelType {
  const unsupported = own(UNSUPPORTED, name);
  if (unsupported !== undefined)
    refuse(`model_type: ${formatValue(name)} is not supported: it has ${unsupported}`);
  const type = named(MODEL_TYPES, name, 'model_type', refuse);
  for (const found of architectures == null ? [] : [architectures].flat()) {
    // the TensorFlow and Flax classes have the same weights
    const wanted = typeof found === 'string' ? found.replace(/^(TF|Flax)/, '') : found;
    const reason = own(UNSUPPORTED, wanted);
    if (reason !== undefined)
      refuse(`architectures: ${formatValue(found)} is not supported: it has ${reason}`);
    if (type.classes.includes(wanted as string)) continue;
    refuse(`architectures: expected one of ${type.classes.join(', ')}, found ${formatValue(found)}`);
  }
  return type;
}

/** `id2label` in numeric order; undefined if there are gaps or only placeholders (LABEL_0, …). */
function labels(value: unknown, warnings: string[], refuse: Refuse): readonly unknown[] | undefined {
  if (value == null) return undefined;
  if (typeof value !== 'object') return refuse(`id2label: expected an object, found ${formatValue(value)}`);
  const list = new Map(Object.entries(value));
  const found = Array.from({ length: list.size }, (_, index) => list.get(String(index)));
  if (found.some((label) => typeof label !== 'string')) {
    warnings.push('id2label: expected a name for every class number from 0, found gaps: it is ignored');
    return undefined;
  }
  return found.every((label, index) => label === `LABEL_${index}`) ? undefined : found;
}

/** The image processor named in config.json is used if preprocessor_config.json names none. */
function withClass(preprocessor: JsonObject, { image_processor_type: name }: JsonObject): JsonObject {
  const { image_processor_type: own, feature_extractor_type: older } = preprocessor;
  return name == null || own != null || older != null
    ? preprocessor
    : { ...preprocessor, image_processor_type: name };
}

/** The image processor class: the file's, or else that of the model type. */
function processorOf(json: JsonObject, type: ModelType, refuse: Refuse): { name: string; usual: Processor } {
  const key = json.image_processor_type == null ? 'feature_extractor_type' : 'image_processor_type';
  const found = json[key];
  const name =
    found == null
      ? type.processor
      : typeof found === 'string'
        ? /^(\w+?)(ImageProcessor(Fast|Pil)?|FeatureExtractor)$/.exec(found)?.[1]
        : undefined;
  const usual = own<Processor>(PROCESSORS, name);
  if (name !== undefined && usual) return { name, usual };
  const names = Object.keys(PROCESSORS).map((one) => `${one}ImageProcessor`);
  return refuse(`${key}: expected one of ${names.join(', ')}, found ${formatValue(found)}`);
}

function preprocessing(
  json: JsonObject,
  type: ModelType,
  imageSize: unknown,
  warnings: string[],
  refuse: Refuse,
): Partial<Record<keyof FloatConfig, unknown>> {
  const { name, usual } = processorOf(json, type, refuse);
  warnings.push(...ignoredKeys(judge(json, PREPROCESSOR_CONFIG, refuse), 'preprocessor_config.json'));
  const resample = json.resample ?? usual.resample;
  const interpolation = typeof resample === 'number' ? INTERPOLATIONS[resample] : undefined;
  if (interpolation === undefined) refuse(`resample: expected 0, 1, 2 or 3, found ${formatValue(resample)}`);
  const seen = name === 'ConvNext' ? convNext(json, usual, refuse) : resizing(json, usual, refuse);
  if (!flag(json, 'do_resize', true, refuse)) {
    if (flag(json, 'do_center_crop', usual.crop, refuse)) {
      refuse('do_resize: expected true, since do_center_crop is true, found false');
    }
    warnings.push('preprocessor_config.json: do_resize is false; photos are resized anyway');
  }
  return {
    ...fitted(seen, type, imageSize, warnings),
    interpolation,
    ...normalisation(json, usual, refuse),
  };
}

/** A boolean. Null is accepted only where every version of transformers reads it as false. */
function flag(json: JsonObject, key: string, usual: boolean | undefined, refuse: Refuse): boolean {
  const value = json[key] === null && usual === false ? false : (json[key] ?? usual);
  if (typeof value !== 'boolean' || (json[key] === null && usual !== false)) {
    return refuse(`${key}: expected true or false, found ${formatValue(json[key])}`);
  }
  return value;
}

/** The resize and the centre crop. */
interface Seen {
  /** Whether both sides become `resized`, not only the short side. */
  readonly squash: boolean;
  /** Side in pixels after the resize. */
  readonly resized: number;
  /** Side of the crop in pixels. */
  readonly size: number;
}

/** Resize and centre crop of all image processors except ConvNext's. */
function resizing(json: JsonObject, usual: Processor, refuse: Refuse): Seen {
  if (json.crop_pct != null)
    refuse(
      `crop_pct: expected none except for a ConvNextImageProcessor, found ${formatValue(json.crop_pct)}`,
    );
  const isSquare = flag(json, 'default_to_square', usual.square, refuse);
  const { squash, length: resized } = lengthOf(json.size ?? usual.size, 'size', isSquare, refuse);
  if (!flag(json, 'do_center_crop', usual.crop, refuse)) {
    if (squash) return { squash, resized, size: resized };
    return refuse(
      'size: expected { height, width } of a square, or a crop after the resize, found { shortest_edge } and no crop',
    );
  }
  const { squash: isSquareCrop, length: size } = lengthOf(
    json.crop_size ?? usual.cropSize,
    'crop_size',
    true,
    refuse,
  );
  if (isSquareCrop && size <= resized) return { squash, resized, size };
  return refuse(
    `crop_size: expected a square of at most ${resized}, the size after the resize, found ${formatValue(size)}`,
  );
}

/**
 * ConvNext's resize and crop. Below 384 pixels, the short side becomes `size / crop_pct` and the
 * crop is `size`; from 384 up, both sides become `size`.
 */
function convNext(json: JsonObject, usual: Processor, refuse: Refuse): Seen {
  if (flag(json, 'do_center_crop', false, refuse))
    refuse('do_center_crop: expected false for a ConvNextImageProcessor, found true');
  const isSquare = flag(json, 'default_to_square', usual.square, refuse);
  const { squash, length: size } = lengthOf(json.size ?? usual.size, 'size', isSquare, refuse);
  if (squash) refuse('size: expected { shortest_edge } for a ConvNextImageProcessor, found a square');
  if (size >= 384) return { squash: true, resized: size, size };
  const { crop_pct: part = 224 / 256 } = json;
  if (typeof part !== 'number' || !(part > 0 && part <= 1)) {
    refuse(`crop_pct: expected a number above 0 and at most 1, found ${formatValue(part)}`);
  }
  return { squash: false, resized: Math.trunc(size / (part as number)), size };
}

/** Reads { height, width } of a square, { shortest_edge }, or a number, which can mean either. */
function lengthOf(
  value: unknown,
  key: string,
  isSquare: boolean,
  refuse: Refuse,
): { squash: boolean; length: number } {
  const {
    height,
    width,
    shortest_edge: shortest,
    ...others
  } = typeof value === 'object' ? (Object(value) as JsonObject) : {};
  const pair = Array.isArray(value) && value.length === 2 ? value : [height, width];
  const isNumber = typeof value === 'number';
  const square = isNumber ? (isSquare ? value : undefined) : pair[0] === pair[1] ? pair[0] : undefined;
  const length = square ?? (isNumber ? value : height == null && width == null ? shortest : undefined);
  const hasOthers = !Array.isArray(value) && Object.values(others).some((other) => other != null);
  if (
    typeof length === 'number' &&
    Number.isSafeInteger(length) &&
    length > 0 &&
    !hasOthers &&
    !(square && shortest != null)
  ) {
    return { squash: square !== undefined, length };
  }
  return refuse(
    `${key}: expected a number, { height, width } of a square or { shortest_edge }, found ${found(value)}`,
  );
}

/** Formats a size for a message; objects are shown with their keys. */
function found(size: unknown): string {
  if (typeof size !== 'object' || size === null || Array.isArray(size)) return formatValue(size);
  const entries = Object.entries(size).slice(0, 4);
  return `{ ${entries.map(([key, value]) => `${formatValue(key)}: ${formatValue(value)}`).join(', ')} }`;
}

/** A ViT gets the same part of the photo at its own size; a Swin gets the size of the crop. */
function fitted(
  { squash, resized, size }: Seen,
  { family }: ModelType,
  imageSize: unknown,
  warnings: string[],
): Partial<Record<keyof FloatConfig, unknown>> {
  const isFree = family === 'swin';
  const own = isFree || typeof imageSize !== 'number' ? size : imageSize;
  if (size !== imageSize) {
    const taken = isFree
      ? `${size} pixels, as in transformers`
      : `the same part of the photo with ${formatValue(imageSize)} pixels`;
    warnings.push(
      `preprocessor_config.json prepares photos of ${size} pixels for a model of ${formatValue(imageSize)}: the model gets ${taken}`,
    );
  }
  const part = exactCrop(own, size / resized);
  const isEven = squash && (Math.floor(own / part) - own) % 2 === 0;
  return {
    ...(isFree ? { image_size: own } : {}),
    crop_pct: part,
    ...(squash ? { crop_mode: 'squash' } : {}),
    ...(isEven ? {} : { crop_rounding: 'down' }),
  };
}

/**
 * Adjusts a crop so that `floor(size / part)` rounds to nearest: 224 / (224 / 248) must give 248.
 */
function exactCrop(size: number, part: number): number {
  const resized = Math.round(size / part);
  const exact = size / resized;
  return Math.floor(size / exact) === resized ? exact : size / (resized + 0.25);
}

/** Mean and standard deviation, converted to pixels in 0..1 from those after the rescale factor. */
function normalisation(json: JsonObject, usual: Processor, refuse: Refuse): { mean: unknown; std: unknown } {
  const factor = flag(json, 'do_rescale', true, refuse) ? (json.rescale_factor ?? 1 / 255) : 1;
  const unit = typeof factor === 'number' ? 255 * factor : Number.NaN;
  if (!(unit > 0)) refuse(`rescale_factor: expected a positive number, found ${formatValue(factor)}`);
  const normalizes = flag(json, 'do_normalize', true, refuse);
  const mean = normalizes ? (json.image_mean ?? usual.mean) : 0;
  const std = normalizes ? (json.image_std ?? usual.std) : 1;
  const inUnits = (values: unknown) => {
    const three = typeof values === 'number' ? [values, values, values] : values;
    return Array.isArray(three) && unit !== 1
      ? three.map((value) => (typeof value === 'number' ? value / unit : value))
      : three;
  };
  return { mean: inUnits(mean), std: inUnits(std) };
}

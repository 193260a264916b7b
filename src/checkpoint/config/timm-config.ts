/**
 * Reads timm's `config.json`, in the form that `save_for_hf` writes and in the flat form before
 * 0.9. `timm-keys.ts` has the verdict on each key.
 */

import { type KnownArchitecture, timmArchitecture } from '../../architecture/timm-architectures.js';
import { isWnid } from '../../labels/wnids.js';
import { formatValue } from '../../text/format-value.js';
import type { JsonObject } from '../../text/json-object.js';
import type { Refuse } from '../../text/refuse.js';
import type { FloatConfig } from '../float/config.js';
import { MODEL_ARGS, PRETRAINED_CFG, TIMM_CONFIG } from './timm-keys.js';
import type { TranslatedConfig } from './transformers-config.js';
import { side, told } from './values.js';
import { ignoredKeys, judge } from './verdicts.js';

/** The defaults of timm's `PretrainedCfg`. */
const DEFAULTS = {
  crop_pct: 0.875,
  interpolation: 'bicubic',
  crop_mode: 'center',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
} as const;

/** timm's names of the activations that are GELUs. */
const ACTIVATIONS: Readonly<Record<string, NonNullable<FloatConfig['activation']>>> = {
  gelu: 'exact',
  gelu_tanh: 'tanh',
  quick_gelu: 'quick',
};

/** The epsilon of `norm_layer: "layernorm"` in model_args. */
const NAMED_LAYER_NORM_EPS = 1e-6;

/** Whether a config.json comes from timm. */
export function isTimmConfig(config: JsonObject): boolean {
  return typeof config.architecture === 'string';
}

/**
 * Like `transformersConfig`. The result has the timm name, `arch`, if the width agrees with it.
 *
 * @param arch the caller's timm name, which overrides the file's
 */
export function timmConfig(
  json: JsonObject,
  refuse: Refuse,
  arch?: string,
): TranslatedConfig & { arch?: string } {
  const named = json.architecture as string;
  const known =
    arch === undefined
      ? timmArchitecture(named, (message) => refuse(`architecture: ${message}`))
      : timmArchitecture(arch);
  const isFlat = json.pretrained_cfg == null;
  const cfg = isFlat ? json : object(json.pretrained_cfg, 'pretrained_cfg', refuse);
  if (isFlat && json.model_args != null) refuse('model_args: expected pretrained_cfg too, found none');
  const args = object(json.model_args ?? {}, 'model_args', refuse);
  const inArgs = (message: string) => refuse(`model_args: ${message}`);
  const inCfg = (message: string) => refuse(isFlat ? message : `pretrained_cfg: ${message}`);
  const ignored = judge(isFlat ? omit(json, TIMM_CONFIG) : cfg, PRETRAINED_CFG, inCfg);
  if (!isFlat) ignored.push(...judge(json, TIMM_CONFIG, refuse));
  judge(args, MODEL_ARGS, inArgs);
  const config = {
    ...architecture(known, args, json.global_pool, inArgs, refuse),
    ...preprocessing(cfg, inCfg),
    image_size: imageSize(args.img_size, cfg.input_size, inArgs, inCfg) ?? known.imageSize,
    num_classes: classes(args.num_classes, json.num_classes ?? cfg.num_classes, refuse),
    ...labels(json, cfg, refuse),
  };
  const hasItsWidth = args.embed_dim == null || args.embed_dim === known.dim;
  return {
    config: told(config),
    warnings: [
      ...ignoredKeys(ignored, 'config.json'),
      ...(named.split('.')[0] === known.name || arch === undefined
        ? []
        : [`config.json names the architecture ${formatValue(named)}: --arch ${arch} overrides it`]),
    ],
    ...(hasItsWidth ? { arch: known.name } : {}),
  };
}

/**
 * Returns what the arguments of timm's training script change compared with its named model.
 *
 * @param args the arguments that `train.py` saves in its checkpoints, with the name in `model`
 */
export function timmTraining(
  args: JsonObject,
  refuse: Refuse,
): Readonly<Partial<Record<keyof FloatConfig, unknown>>> {
  const known = timmArchitecture(args.model as string, (message) => refuse(`model: ${message}`));
  const inModel = (message: string) => refuse(`model_kwargs: ${message}`);
  const ofModel = object(args.model_kwargs ?? {}, 'model_kwargs', refuse);
  judge(ofModel, MODEL_ARGS, inModel);
  const pool = args.gp ?? ofModel.global_pool;
  const asNamed: JsonObject = architecture(known, {}, undefined, inModel, refuse);
  const asBuilt = architecture(known, { ...ofModel, global_pool: pool }, undefined, inModel, refuse);
  const size = args.input_size == null ? args.img_size : undefined;
  return told({
    ...Object.fromEntries(Object.entries(asBuilt).filter(([key, value]) => value !== asNamed[key])),
    image_size: imageSize(size, args.input_size, refuse, refuse),
    ...Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, args[key] || undefined])),
  });
}

function architecture(
  known: KnownArchitecture,
  args: JsonObject,
  topPool: unknown,
  inArgs: Refuse,
  refuse: Refuse,
): Readonly<Record<string, unknown>> {
  const isSwin = known.family === 'swin';
  const pool = pooling(args.global_pool, isSwin, inArgs);
  const named = isSwin || known.pool?.startsWith('mean') ? 'avg' : 'token';
  // timm writes the top-level key, but does not build the model from it
  const ofModel = pooling(topPool, isSwin, refuse) ?? pool ?? named;
  if (ofModel !== (pool ?? named)) {
    const source = pool === undefined ? `in timm's ${known.name}` : 'in model_args';
    refuse(
      `global_pool: expected ${formatValue(pool ?? named)}, as ${source}, found ${formatValue(ofModel)}`,
    );
  }
  // if nothing names the pooling, fc_norm in the tensors shows a mean
  const isTold = pool !== undefined || topPool != null || named === 'avg' || args.fc_norm === true;
  // the tensors of a Swin show its number of heads
  const heads = args.num_heads ?? (isSwin ? undefined : known.heads);
  return {
    architecture: known.family,
    num_heads: Array.isArray(heads) ? heads[0] : heads,
    depth: args.depths ?? args.depth ?? undefined,
    qkv_bias: args.qkv_bias ?? undefined,
    // for another size, timm would resample the tensors
    patch_size: side(args.patch_size ?? known.patchSize, 'patch_size', inArgs),
    window_size: isSwin ? windows(args.window_size ?? known.windows ?? known.window, inArgs) : undefined,
    activation: args.act_layer == null ? (known.gelu ?? 'exact') : activation(args.act_layer, inArgs),
    layer_norm_eps: args.norm_layer == null ? known.layerNormEps : namedNorm(args.norm_layer, inArgs),
    global_pool: isSwin || !isTold ? undefined : ofModel,
  };
}

/** timm reads a list of two numbers as a height and a width, and others as one window per stage. */
function windows(value: unknown, refuse: Refuse): unknown {
  const isList = Array.isArray(value) && (value.length !== 2 || value.some(Array.isArray));
  return isList ? value.map((one) => side(one, 'window_size', refuse)) : side(value, 'window_size', refuse);
}

/** @returns undefined if the value is absent */
function pooling(value: unknown, isSwin: boolean, refuse: Refuse): unknown {
  if (value == null) return undefined;
  const choices = isSwin ? ['avg'] : ['token', 'avg'];
  if (choices.includes(value as string)) return value;
  return refuse(
    `global_pool: expected ${choices.map(formatValue).join(' or ')}, found ${formatValue(value)}`,
  );
}

function activation(value: unknown, refuse: Refuse): unknown {
  if (typeof value === 'string' && Object.hasOwn(ACTIVATIONS, value)) return ACTIVATIONS[value];
  return refuse(
    `act_layer: expected one of ${Object.keys(ACTIVATIONS).join(', ')}, found ${formatValue(value)}`,
  );
}

function namedNorm(value: unknown, refuse: Refuse): number {
  return value === 'layernorm'
    ? NAMED_LAYER_NORM_EPS
    : refuse(`norm_layer: expected "layernorm", found ${formatValue(value)}`);
}

function preprocessing(cfg: JsonObject, refuse: Refuse): Readonly<Record<string, unknown>> {
  // timm treats false, 0 and empty values as absent
  const prepared = Object.fromEntries(
    Object.entries(DEFAULTS).map(([key, usual]) => [key, cfg[key] || usual]),
  );
  const mode = prepared.crop_mode;
  if (mode === 'center' || mode === 'squash') return prepared;
  return refuse(`crop_mode: expected "center" or "squash", found ${formatValue(mode)}`);
}

/** The side in pixels, from model_args or else from `input_size` [3, S, S]. */
function imageSize(ofModel: unknown, inputSize: unknown, inArgs: Refuse, inCfg: Refuse): unknown {
  if (inputSize != null) {
    const [channels, height, width] = Array.isArray(inputSize) && inputSize.length === 3 ? inputSize : [];
    if (channels !== 3 || height !== width) {
      inCfg(`input_size: expected [3, S, S] for square images, found ${formatValue(inputSize)}`);
    }
    if (ofModel == null) return height;
  }
  return ofModel == null ? undefined : side(ofModel, 'img_size', inArgs);
}

/** The two must agree, because timm drops a head with another number of classes. */
function classes(ofModel: unknown, ofWeights: unknown, refuse: Refuse): unknown {
  if (ofModel == null || ofWeights == null || ofModel === ofWeights) return ofModel ?? ofWeights ?? undefined;
  return refuse(
    `num_classes: expected ${formatValue(ofModel)}, as in model_args, found ${formatValue(ofWeights)}`,
  );
}

/** The descriptions of `label_names`, or else the names. Described WordNet ids become `wnids`. */
function labels(json: JsonObject, cfg: JsonObject, refuse: Refuse): { labels?: unknown; wnids?: unknown } {
  const names = json.label_names ?? json.labels ?? cfg.label_names ?? cfg.labels;
  const descriptions = json.label_descriptions ?? cfg.label_descriptions;
  if (names == null) {
    if (descriptions == null) return {};
    return refuse('label_descriptions: expected label_names too, found none');
  }
  const list = Array.isArray(names) ? names : numbered(object(names, 'label_names', refuse), refuse);
  if (descriptions == null) return { labels: list };
  const described = object(descriptions, 'label_descriptions', refuse);
  const texts = list.map((name) => {
    if (typeof name === 'string' && Object.hasOwn(described, name)) return described[name];
    return refuse(
      `label_descriptions: expected one for each name in label_names, found none for ${formatValue(name)}`,
    );
  });
  return { labels: texts, ...(list.every(isWnid) ? { wnids: list } : {}) };
}

/** The names in an object whose keys are class numbers. */
function numbered(names: JsonObject, refuse: Refuse): unknown[] {
  const list = Array.from({ length: Object.keys(names).length }, (_, index) => names[String(index)]);
  if (list.every((name) => name !== undefined)) return list;
  return refuse('label_names: expected a name for every class number from 0, found gaps');
}

function object(value: unknown, key: string, refuse: Refuse): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  return refuse(`${key}: expected an object, found ${formatValue(value)}`);
}

/** Reduces a flat config to the keys of pretrained_cfg. */
function omit(json: JsonObject, { verdicts }: typeof TIMM_CONFIG): JsonObject {
  const keys = new Set(verdicts.flatMap((verdict) => verdict.keys));
  return Object.fromEntries(Object.entries(json).filter(([key]) => !keys.has(key)));
}

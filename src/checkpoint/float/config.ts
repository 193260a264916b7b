/**
 * The config of a float model: a JSON object with what its tensors do not show. A checkpoint may
 * store it in the metadata string `fqvit`, and a caller may pass it. All of its keys are optional.
 */

import type { Family } from '../../architecture/architecture.js';
import { OUTPUTS, type Output } from '../../architecture/output.js';
import { INTERPOLATIONS, type Interpolation } from '../../image/resize/interpolation.js';
import type { Rgb } from '../../image/types.js';
import { isWnid } from '../../labels/wnids.js';
import { GELUS, type Gelu } from '../../layers/gelu/layer.js';
import { LEAST_CROP, LIMITS } from '../../layers/limits.js';
import { formatValue } from '../../text/format-value.js';

/** A validated config, under the keys of its JSON form. */
export interface FloatConfig {
  /** The family, which decides the default preprocessing. */
  architecture?: Family;
  /** A name for the architecture. */
  name?: string;
  /** Heads per block; for a Swin, per block of the first stage. */
  num_heads?: number;
  /** Side length in pixels. */
  image_size?: number;
  /** Side length of a patch in pixels. Only checked. */
  patch_size?: number;
  /** Window side of a Swin, in tokens, or one for each stage. Only checked. */
  window_size?: number | readonly number[];
  /** 0 if there is no head. Only checked. */
  num_classes?: number;
  /** What LayerNorm adds to the variance. */
  layer_norm_eps?: number;
  /** Number of blocks; for a Swin, one number per stage. Only checked: the tensors show it. */
  depth?: number | readonly number[];
  /** Whether query, key and value have biases. Only checked. */
  qkv_bias?: boolean;
  /** What the head of a ViT reads; `avg` is the mean of the patches. */
  global_pool?: 'token' | 'avg';
  /** Which GELU. */
  activation?: Gelu;
  /** Side of the centre crop as a part of the resized short side, in (0, 1]. */
  crop_pct?: number;
  /** The resize before the crop: of the short side only (`center`), or to a square (`squash`). */
  crop_mode?: 'center' | 'squash';
  /** How half of an odd margin is rounded: to even (torchvision, timm) or down (transformers). */
  crop_rounding?: 'even' | 'down';
  /** The filter of the resize. */
  interpolation?: Interpolation;
  /** For pixels in 0..1. */
  mean?: Rgb;
  /** For pixels in 0..1. */
  std?: Rgb;
  /** Names of the classes, by index. */
  labels?: readonly string[];
  /** WordNet ids of the classes. */
  wnids?: readonly string[];
  /** What the logits mean. */
  output?: Output;
}

/** The check of a value, and the text for "expected …" in messages. */
type ConfigRule = readonly [check: (value: unknown) => boolean, expected: string];

const positiveInteger: ConfigRule = [
  (value) => Number.isSafeInteger(value) && within(value, 1, 2 ** 20),
  'a positive integer',
];

const oneForEachStage: ConfigRule = [
  (value) => [value].flat().length <= 2 ** 10 && [value].flat().every((one) => positiveInteger[0](one)),
  'a positive integer, or one for each stage',
];

const RULES: Readonly<Record<keyof FloatConfig, ConfigRule>> = {
  architecture: [
    (value) => value === 'deit' || value === 'vit' || value === 'swin',
    '"deit", "vit" or "swin"',
  ],
  name: [
    (value) => typeof value === 'string' && /^[\w.-]{1,100}$/.test(value),
    '1 to 100 letters, digits, "_", "." or "-"',
  ],
  num_heads: positiveInteger,
  image_size: [
    (value) => Number.isSafeInteger(value) && within(value, 1, LIMITS.imageSize),
    `an integer from 1 to ${LIMITS.imageSize}`,
  ],
  patch_size: positiveInteger,
  window_size: oneForEachStage,
  num_classes: [
    (value) => Number.isSafeInteger(value) && within(value, 0, 2 ** 20),
    'a non-negative integer',
  ],
  layer_norm_eps: [(value) => value !== 0 && within(value, 0, 1), 'a number above 0 and at most 1'],
  depth: oneForEachStage,
  qkv_bias: [(value) => typeof value === 'boolean', 'true or false'],
  global_pool: [(value) => value === 'token' || value === 'avg', '"token" or "avg"'],
  activation: [(value) => GELUS.includes(value as Gelu), '"exact", "tanh" or "quick"'],
  crop_pct: [(value) => within(value, LEAST_CROP, 1), `a number from ${LEAST_CROP} to 1`],
  interpolation: [
    (value) => INTERPOLATIONS.includes(value as Interpolation),
    '"nearest", "lanczos", "bilinear" or "bicubic"',
  ],
  crop_mode: [(value) => value === 'center' || value === 'squash', '"center" or "squash"'],
  crop_rounding: [(value) => value === 'even' || value === 'down', '"even" or "down"'],
  mean: [(value) => isTriple(value) && value.every((v) => within(v, 0, 1)), 'three numbers from 0 to 1'],
  std: [
    (value) => isTriple(value) && value.every((v) => v !== 0 && within(v, 0, 1)),
    'three numbers above 0 and at most 1',
  ],
  labels: [
    (value) => Array.isArray(value) && value.every((v) => typeof v === 'string'),
    'an array of strings',
  ],
  wnids: [(value) => Array.isArray(value) && value.every(isWnid), 'an array of WordNet ids like n01440764'],
  output: [(value) => OUTPUTS.includes(value as Output), '"softmax", "sigmoid" or "value"'],
};

const KEYS = Object.keys(RULES) as (keyof FloatConfig)[];

/**
 * Enough for the labels of ImageNet-21k. Bounds what a hostile file can make `JSON.parse` build.
 */
export const MAX_CONFIG_CHARACTERS = 2 ** 21;

/**
 * Validates a config.
 *
 * @param value the config as `JSON.parse` returns it; `undefined` counts as absent
 * @param refuse throws an error; its argument names the key, what was expected and what was found
 * @returns the known keys that are present, and the names of unknown keys
 */
export function validateConfig(
  value: unknown,
  refuse: (message: string) => never,
): { config: FloatConfig; unknown: string[] } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(`expected an object, found ${formatValue(value)}`);
  }
  const config: Partial<Record<keyof FloatConfig, unknown>> = {};
  for (const key of KEYS) {
    const member = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    if (member === undefined) continue;
    const [check, expected] = RULES[key];
    if (!check(member)) refuse(`${key}: expected ${expected}, found ${formatValue(member)}`);
    config[key] = member;
  }
  const unknown = Object.keys(value).filter((key) => !Object.hasOwn(RULES, key));
  return { config: config as FloatConfig, unknown };
}

/** Parses a config from JSON text and validates it. */
export function parseConfig(
  text: string,
  refuse: (message: string) => never,
): ReturnType<typeof validateConfig> {
  if (text.length > MAX_CONFIG_CHARACTERS) {
    refuse(`expected at most ${MAX_CONFIG_CHARACTERS} characters, found ${text.length}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse(`expected JSON, found ${formatValue(text)}`);
  }
  return validateConfig(value, refuse);
}

function within(value: unknown, low: number, high: number): boolean {
  return typeof value === 'number' && value >= low && value <= high;
}

function isTriple(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length === 3;
}

/**
 * config.json of timm and transformers, and preprocessor_config.json, with the weights that they
 * belong to.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isTimmConfig, timmConfig } from '../../../src/checkpoint/config/timm-config.js';
import {
  isTransformersConfig,
  transformersConfig,
} from '../../../src/checkpoint/config/transformers-config.js';
import { readFloatModel } from '../../../src/checkpoint/float/model.js';
import { CheckpointError } from '../../../src/errors.js';
import type { Dice } from '../dice.js';
import { encoded, type Json, mutatedJson, oddValue } from '../mutate.js';
import { expectThat, FILE, type Target } from '../target.js';
import { FLOAT_CODES } from './float.js';

const FOLDER = new URL('../../conformance/fixtures/', import.meta.url);

/** An input, as JSON. */
interface Pair {
  /** The folder whose weights are read. */
  readonly base: string;
  readonly config: Json;
  readonly preprocessor?: Json;
}

const read = (path: string) => readFileSync(new URL(path, FOLDER));
const json = (path: string): Json => JSON.parse(read(path).toString());

const BASES = readdirSync(FOLDER)
  .filter((base) => existsSync(new URL(`${base}/config.json`, FOLDER)))
  .map((base): Pair => {
    const path = `${base}/preprocessor_config.json`;
    const preprocessor = existsSync(new URL(path, FOLDER)) ? { preprocessor: json(path) } : {};
    return { base, config: json(`${base}/config.json`), ...preprocessor };
  });

const WEIGHTS = new Map(BASES.map(({ base }) => [base, new Uint8Array(read(`${base}/model.safetensors`))]));

/** The keys that the libraries know, by file. */
const [KEYS] = JSON.parse(
  readFileSync(new URL('../../checkpoint/config/library-keys.json', import.meta.url), 'utf8'),
) as [Record<'config' | 'preprocessor' | 'pretrained_cfg' | 'model_args', string[]>];

/** Values that one key or another takes. */
const VALUES = [
  ...[
    'gelu',
    'gelu_new',
    'gelu_tanh',
    'relu',
    'token',
    'avg',
    'map',
    'max',
    'center',
    'squash',
    'border',
    'bicubic',
    'nearest',
  ],
  ...[
    'ViTImageProcessor',
    'BitImageProcessor',
    'ViTModel',
    'regression',
    'multi_label_classification',
    true,
    false,
    null,
    0,
    1,
    2,
  ],
  ...[
    0.5,
    0.875,
    1e-6,
    8,
    16,
    [8, 8],
    [0.5, 0.5, 0.5],
    { height: 8, width: 8 },
    { shortest_edge: 9 },
    ['a', 'b', 'c', 'd'],
  ],
] as const;

/** Sets a key that the libraries know. */
function withKey(dice: Dice, pair: Pair): Pair {
  const value = () => (dice.chance(0.7) ? dice.pick(VALUES) : oddValue(dice));
  const { config, preprocessor } = pair;
  const isTimm = typeof config?.architecture === 'string';
  if (!isTimm && dice.chance(0.5))
    return { ...pair, preprocessor: { ...preprocessor, [dice.pick(KEYS.preprocessor)]: value() } };
  if (!isTimm) return { ...pair, config: { ...config, [dice.pick(KEYS.config)]: value() } };
  const part = dice.pick(['pretrained_cfg', 'model_args'] as const);
  return { ...pair, config: { ...config, [part]: { ...config[part], [dice.pick(KEYS[part])]: value() } } };
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);

export const configs: Target = {
  name: 'configs',
  about: 'config.json of timm and transformers, preprocessor_config.json',
  inputs: 600,
  codes: FLOAT_CODES,
  place: /^(fuzz\.bin|config\.json|preprocessor_config\.json|architecture|option \w+): /,
  make(dice) {
    let pair = dice.pick(BASES);
    for (let i = dice.below(4); i > 0; i--) {
      if (dice.chance(0.5)) pair = withKey(dice, pair);
      else if (dice.chance(0.3) && pair.preprocessor)
        pair = { ...pair, preprocessor: mutatedJson(dice, pair.preprocessor, 1) };
      else pair = { ...pair, config: mutatedJson(dice, pair.config, 1) };
    }
    if (dice.chance(0.02)) pair = { ...pair, base: dice.pick(BASES).base };
    if (dice.chance(0.02)) pair = { base: pair.base, config: pair.config };
    return encoded(JSON.stringify(pair));
  },
  async check(input) {
    let pair: Pair;
    try {
      pair = JSON.parse(Buffer.from(input).toString());
    } catch {
      return 'no JSON';
    }
    const weights = WEIGHTS.get(pair?.base);
    const { config, preprocessor } = pair ?? {};
    if (!isObject(config) || (preprocessor !== undefined && !isObject(preprocessor)) || !weights)
      return 'no object';
    if (!isTransformersConfig(config) && !isTimmConfig(config)) return 'another library';
    const refuser =
      (file: string) =>
      (message: string): never => {
        throw new CheckpointError('CHECKPOINT_CONFIG', `${file}: ${message}`);
      };
    const translate = () =>
      isTransformersConfig(config)
        ? transformersConfig(
            config,
            preprocessor,
            refuser('config.json'),
            refuser('preprocessor_config.json'),
          )
        : timmConfig(config, refuser('config.json'));
    const translated = translate();
    expectThat(JSON.stringify(translate()) === JSON.stringify(translated), 'another config the second time');
    const { warnings, ...options } = translated;
    expectThat(
      warnings.every((warning) => /^[^\p{Cc}]{1,2000}$/u.test(warning)),
      'a warning of more than a line',
    );
    const { labels, architecture, preprocessing } = readFloatModel(weights, { file: FILE, ...options });
    expectThat(labels.length === architecture.classes, 'labels that do not fit');
    const { mean, std, cropPct, imageSize } = preprocessing;
    const numbers = [...mean, ...std, cropPct, imageSize];
    expectThat(
      numbers.length === 8 && numbers.every((n) => typeof n === 'number' && Number.isFinite(n) && n >= 0),
      `preprocessing that is none: ${JSON.stringify(preprocessing)}`,
    );
    return undefined;
  },
};

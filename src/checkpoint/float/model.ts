/**
 * Reads float DeiT, ViT and Swin checkpoints. The tensors show most sizes. The rest comes from the
 * config, else from a timm name, else from defaults, with a warning if the default is a guess.
 */

import type { Family } from '../../architecture/architecture.js';
import { workFault } from '../../architecture/limits.js';
import { type Output, outputsOf } from '../../architecture/output.js';
import {
  isTimmName,
  type KnownArchitecture,
  tagsDiffer,
  timmArchitecture,
} from '../../architecture/timm-architectures.js';
import { CheckpointError, UsageError } from '../../errors.js';
import type { Rgb } from '../../image/types.js';
import { formatValue } from '../../text/format-value.js';
import { quote } from '../../text/quote.js';
import { timmTraining } from '../config/timm-config.js';
import { type ModelPreprocessing, saysInteger } from '../integer/description.js';
import { canonicalNames } from '../names/naming-schemes.js';
import type { Tensor } from '../safetensors/safetensors.js';
import { asFloat32 } from '../safetensors/typed-views.js';
import { type FloatConfig, parseConfig, validateConfig } from './config.js';
import { type FloatContainer, type FloatFile, readFloatContainer } from './container.js';
import { type FloatArchitecture, refuseConfig } from './family.js';
import { foldWeights } from './fold-weights.js';
import { readSwin } from './swin.js';
import type { FloatTensor } from './tensor.js';
import { readVit } from './vit.js';

export type { FloatArchitecture } from './family.js';

/** How an image becomes pixels: the same for the float model and the integer model made from it. */
export type FloatPreprocessing = ModelPreprocessing;

/** A float checkpoint, complete and checked. */
export interface FloatModel {
  /** Family and sizes. */
  readonly architecture: FloatArchitecture;
  /** How an image becomes pixels. */
  readonly preprocessing: FloatPreprocessing;
  /** One label per class. */
  readonly labels: readonly string[];
  /** WordNet ids of the classes, if the labels came with them. */
  readonly wnids?: readonly string[];
  /** If the file holds several models: which one this is, as in `FloatModelOptions.weights`. */
  readonly weights?: string;
  /** What the logits mean; ignore it for a backbone, which has none. */
  readonly output: Output;
  /** What was guessed or ignored, one sentence each. */
  readonly warnings: readonly string[];
  /** By timm's names, or Microsoft's for a Swin, in the order of the forward pass. */
  readonly tensors: ReadonlyMap<string, FloatTensor>;
}

/** What the caller knows about a float checkpoint; it overrides what the file says. */
export interface FloatModelOptions {
  /** The file name for messages. Default: `checkpoint`. */
  file?: string | undefined;
  /**
   * A timm name, such as `deit_tiny_patch16_224`, or with a pretrained tag
   * `vit_base_patch16_224.dino`. It supplies what neither the tensors nor a config show.
   */
  arch?: string | undefined;
  /**
   * Which model to read if the file holds several: the prefix of its tensor names
   * (`state_dict_ema`, `student.backbone`), a part of the prefix that only this model has, or `.`
   * for no prefix. Default: the first in timm's order `state_dict_ema`, `model_ema`, `state_dict`,
   * `model`; with any other prefixes the choice is required.
   */
  weights?: string | undefined;
  /** The keys of {@link FloatConfig}, as parsed from JSON. Overrides the config in the file. */
  config?: unknown;
  /** The external data files of an ONNX model, by the relative paths that the model uses. */
  externalFiles?: ReadonlyMap<string, Uint8Array> | undefined;
  /** Heads per block (for a Swin, in its first stage), if neither the file nor `arch` says. */
  heads?: number | undefined;
  /** This and the options below override both configs. Side length in pixels. */
  imageSize?: number | undefined;
  /** Side of the centre crop as a part of the resized short side, in (0, 1]. */
  cropPct?: number | undefined;
  /** Mean of pixels in 0..1. */
  mean?: Rgb | undefined;
  /** Standard deviation of pixels in 0..1. */
  std?: Rgb | undefined;
  /** Names of the classes, by index. */
  labels?: readonly string[] | undefined;
  /** WordNet ids, one per label: `evaluate` needs them for ImageNet's folders. */
  wnids?: readonly string[] | undefined;
  /** What the logits mean. Default: `softmax`, or `sigmoid` for a head with one output. */
  output?: Output | undefined;
}

const IMAGENET_PIXELS = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** ImageNet's mean and deviation for DeiT and Swin; ViT maps pixels to -1..1. */
const FAMILY_PIXELS: Readonly<Record<Family, { mean: Rgb; std: Rgb }>> = {
  deit: IMAGENET_PIXELS,
  swin: IMAGENET_PIXELS,
  vit: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
};

/**
 * Reads a float DeiT, ViT or Swin from a safetensors file, a PyTorch checkpoint or an ONNX model.
 * No code in the file is executed. Tensors may have the names of timm, Microsoft, facebook, Hugging
 * Face or torchvision, with any prefix. F16, BF16 and F64 become float32.
 *
 * @example
 * ```ts
 * import { readFile } from 'node:fs/promises';
 * import { readFloatModel } from 'fqvit/quantize';
 *
 * const file = 'deit_tiny.safetensors';
 * const model = readFloatModel(await readFile(file), { file, arch: 'deit_tiny_patch16_224' });
 * console.log(model.architecture, model.warnings);
 * ```
 *
 * @param bytes the whole file, or all parts of a sharded checkpoint; the tensors may be views on it
 * @returns the model; the shape of every tensor is checked and every value is finite
 * @throws CheckpointError
 *   as `readSafetensors` for a damaged container;
 *   `MODEL_KIND` the file is already an integer checkpoint;
 *   `CHECKPOINT_SCHEME` no known library uses these names, or two tensors have the same meaning;
 *   `CHECKPOINT_WEIGHTS` the file holds several models and `weights` must choose one;
 *   `CHECKPOINT_ADAPTER` the file holds the weights of an adapter (LoRA);
 *   `CHECKPOINT_MISSING`, `CHECKPOINT_EXTRA`, `CHECKPOINT_SHAPE`, `CHECKPOINT_DTYPE` a tensor is
 *   missing, unexpected or of the wrong shape or type;
 *   `CHECKPOINT_VALUE` a weight is NaN or infinite;
 *   `CHECKPOINT_CONFIG` the config is malformed or does not fit the tensors;
 *   `CHECKPOINT_ARCHITECTURE` sizes are unsupported or do not fit together, the number of heads is
 *   unknown, or the family or dim differs from that of `arch`;
 *   `CHECKPOINT_LABELS` the number of labels differs from the number of classes
 * @throws UsageError `MODEL_OPTION` for an unknown `arch`, `weights` that name no model in the
 *   file, or an option out of range
 */
export function readFloatModel(bytes: FloatFile, options: FloatModelOptions = {}): FloatModel {
  const file = options.file ?? 'checkpoint';
  const arch = knownArchitecture(options.arch);
  return floatModelOf(readFloatContainer(bytes, { ...options, file }), options, arch);
}

/** Like `readFloatModel`, for a container that has already been read. */
export function floatModelOf(
  container: FloatContainer,
  options: FloatModelOptions,
  given = knownArchitecture(options.arch),
): FloatModel {
  const file = options.file ?? 'checkpoint';
  const { fqvit } = container;
  if (fqvit !== undefined && saysInteger(fqvit)) {
    throw new CheckpointError(
      'MODEL_KIND',
      `${file}: expected a float checkpoint, found an integer checkpoint: load it directly`,
    );
  }
  const warnings: string[] = [];
  const config = mergedConfig(container, options, file, warnings);
  const isTold = given !== undefined || config.architecture !== undefined;
  const arch = isTold ? given : archOfFile(container, file, warnings);
  const { weights } = options;
  const named = canonicalNames(container.tensors, { file, weights, nested: container.nested });
  warnings.push(...named.warnings);
  const read = named.family === 'swin' ? readSwin : readVit;
  const source = { file, tensors: named.own, named, config, arch, warnings };
  const { architecture, tensors, prepared } = read(source);
  const { family, imageSize, patchSize, classes } = architecture;
  const fault = workFault(architecture);
  if (fault !== undefined) throw new CheckpointError('CHECKPOINT_ARCHITECTURE', `${file}: ${fault}`);
  if (config.num_classes !== undefined && config.num_classes !== classes) {
    refuseConfig(`num_classes: expected ${classes}, as the tensors show, found ${config.num_classes}`, file);
  }
  const isSquash = config.crop_mode === undefined ? prepared.squash : config.crop_mode === 'squash';
  const preprocessing: FloatPreprocessing = {
    imageSize,
    cropPct: config.crop_pct ?? prepared.cropPct,
    interpolation: config.interpolation ?? prepared.interpolation ?? 'bicubic',
    ...(isSquash ? { squash: true } : {}),
    ...(config.crop_rounding === 'down' ? { cropRounding: 'down' } : {}),
    mean: config.mean ?? prepared.mean ?? FAMILY_PIXELS[family].mean,
    std: config.std ?? prepared.std ?? FAMILY_PIXELS[family].std,
  };
  if (arch && config.mean === undefined && tagsDiffer(options.arch ?? arch.name)) {
    warnings.push(
      `the pretrained tags of ${arch.name} prepare photos differently: the first is used; choose another with --arch NAME.TAG`,
    );
  }
  const labels = config.labels ?? Array.from({ length: classes }, (_, index) => `class ${index}`);
  const headless = classes === 0 ? ['', ...named.warnings].join('; ') : '';
  for (const [what, list] of [
    ['labels', labels],
    ['wnids', config.wnids ?? labels],
  ] as const) {
    if (list.length === classes) continue;
    const isShifted = list.length === classes + 1 && /^background$/i.test(list[0]!);
    const hint = isShifted
      ? `: remove the first, ${quote(list[0]!)}: TensorFlow models have this class, this head does not`
      : '';
    const rows =
      classes === 0 ? 'for a model without a head' : `one per row of ${tensors.get('head.weight')!.name}`;
    throw new CheckpointError(
      'CHECKPOINT_LABELS',
      `${file}: expected ${classes} ${what}, ${rows}, found ${list.length}${hint}${headless}`,
    );
  }
  const finite = new Map([...tensors].map(([name, tensor]) => [name, finiteTensor(tensor, file)]));
  return {
    architecture,
    preprocessing,
    labels,
    ...(config.wnids ? { wnids: config.wnids } : {}),
    ...(named.weights === undefined ? {} : { weights: named.weights }),
    output: outputOf(config, classes, file, warnings),
    warnings,
    tensors: foldWeights(finite, (imageSize / patchSize) ** 2),
  };
}

function knownArchitecture(arch: string | undefined): KnownArchitecture | undefined {
  if (arch === undefined) return undefined;
  if (typeof arch === 'string') return timmArchitecture(arch);
  throw new UsageError('MODEL_OPTION', `arch: expected a timm name, found ${formatValue(arch)}`);
}

/** The timm name in `arch`, where timm's training script saves it; other scripts reuse the key. */
function archOfFile(
  { arch }: FloatContainer,
  file: string,
  warnings: string[],
): KnownArchitecture | undefined {
  if (arch === undefined) return undefined;
  if (!isTimmName(arch)) {
    warnings.push(`the file's "arch" is ${formatValue(arch)}, which is not a timm name: it is ignored`);
    return undefined;
  }
  warnings.push(
    `the file's "arch" is ${formatValue(arch)}: it is read as timm's model of that name; choose another with --arch`,
  );
  return timmArchitecture(arch, (message) => {
    throw new CheckpointError('CHECKPOINT_ARCHITECTURE', `${file}: arch: ${message}`);
  });
}

/** The arguments of timm's training script, as a config. */
function trainingConfig(
  { arch, args }: FloatContainer,
  refuse: (message: string) => never,
): ReturnType<typeof validateConfig> | undefined {
  const isTimm = arch !== undefined && args?.model === arch && isTimmName(arch);
  return isTimm ? validateConfig(timmTraining(args, refuse), refuse) : undefined;
}

/** Keys that the ONNX graph itself determines: a config must agree with it. */
const COMPUTED = ['num_heads', 'layer_norm_eps', 'activation', 'global_pool'] as const;

function expectSame(
  key: (typeof COMPUTED)[number],
  known: unknown,
  other: unknown,
  because: string,
  refuse: (message: string) => never,
): void {
  const isSame =
    typeof known === 'number' ? Math.fround(known) === Math.fround(Number(other)) : known === other;
  if (known === undefined || other === undefined || isSame) return;
  refuse(`${key}: expected ${formatValue(known)}, as ${because}, found ${formatValue(other)}`);
}

function refuseOption(message: string): never {
  throw new UsageError('MODEL_OPTION', `option ${message}`);
}

/**
 * Merges the sources of config: options override the caller's config, which overrides the file's.
 * Nothing may contradict what an ONNX graph computes.
 *
 * @throws CheckpointError `CHECKPOINT_CONFIG`
 * @throws UsageError `MODEL_OPTION` for an invalid option, or `heads` that contradict a config
 */
function mergedConfig(
  inFile: FloatContainer,
  options: FloatModelOptions,
  file: string,
  warnings: string[],
): FloatConfig {
  const refuser = (place: string) => (message: string) => {
    throw new CheckpointError('CHECKPOINT_CONFIG', `${file}: ${place}: ${message}`);
  };
  const sources = [
    inFile.fqvit === undefined ? undefined : parseConfig(inFile.fqvit, refuser('metadata "fqvit"')),
    inFile.config === undefined ? undefined : validateConfig(inFile.config, refuser('graph')),
    trainingConfig(inFile, refuser('args')),
    options.config === undefined ? undefined : validateConfig(options.config, refuser('config')),
  ];
  for (const source of sources) {
    if (!source || source.unknown.length === 0) continue;
    const names = source.unknown.slice(0, 5).map(quote).join(', ');
    warnings.push(`the config has ${source.unknown.length} unknown keys, which are ignored: ${names}`);
  }
  const { imageSize, cropPct, mean, std, labels, wnids, heads, output } = options;
  const given = validateConfig(
    { image_size: imageSize, crop_pct: cropPct, mean, std, labels, wnids, num_heads: heads, output },
    refuseOption,
  );
  const configs = [...sources.map((source) => source?.config), given.config];
  const [, graph, , ofCaller] = configs;
  for (const key of COMPUTED)
    expectSame(key, graph?.[key], ofCaller?.[key], 'the graph computes', refuser('config'));
  for (const config of configs.slice(0, -1)) {
    expectSame('num_heads', config?.num_heads, heads, 'the file and its config say', refuseOption);
  }
  const { wnids: _, ...merged }: FloatConfig = Object.assign({}, ...configs);
  // WordNet ids are only valid for the labels of the same source.
  const named = configs.reverse().find((config) => config?.labels ?? config?.wnids);
  return { ...merged, ...(named?.wnids ? { wnids: named.wnids } : {}) };
}

/** What the logits mean. The config of a backbone is ignored, since it has no logits. */
function outputOf({ output }: FloatConfig, classes: number, file: string, warnings: string[]): Output {
  const possible = outputsOf(classes);
  if (classes === 0 || output === undefined) {
    if (classes === 1) warnings.push(ONE_OUTPUT);
    return possible[0]!;
  }
  if (possible.includes(output)) return output;
  const head = classes === 1 ? 'one logit' : `${classes} logits`;
  throw new CheckpointError(
    'CHECKPOINT_CONFIG',
    `${file}: output (--logits): expected ${possible.join(' or ')} for a head of ${head}, found ${output}`,
  );
}

const ONE_OUTPUT =
  'the head has one output and nothing says what it means: it is read as the logit of a class (sigmoid); for a number, pass --logits value';

function finiteTensor(tensor: Tensor, file: string): FloatTensor {
  const data = asFloat32(tensor, { file });
  for (let index = 0; index < data.length; index++) {
    const value = data[index]!;
    // Infinity - Infinity and NaN - NaN are NaN.
    if (value - value === 0) continue;
    throw new CheckpointError(
      'CHECKPOINT_VALUE',
      `${file}: tensor ${quote(tensor.name)}: expected finite numbers, found ${value} at index ${index}`,
    );
  }
  return { shape: tensor.shape, data };
}

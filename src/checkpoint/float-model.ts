/**
 * Float DeiT and ViT checkpoints in timm's names: what a quantiser starts from. The tensors tell image size, patch,
 * dim, depth, MLP and classes; what they cannot tell comes from the file's config, then from a timm name, then from
 * defaults, with a warning where that is a guess.
 */

import { CheckpointError, UsageError } from '../errors.js';
import { type FloatConfig, parseConfig, type Rgb, validateConfig } from './float-config.js';
import { type Architecture, type ModelPreprocessing, saysInteger } from './integer-description.js';
import { readSafetensors, type Tensor } from './safetensors.js';
import { quoted } from './safetensors-header.js';
import {
  FAMILY_CROP,
  type Family,
  findArchitecture,
  headsOfWidth,
  KNOWN_ARCHITECTURES,
  type KnownArchitecture,
} from './timm-architectures.js';
import { type TimmSizes, timmDepth, timmNames, timmShape } from './timm-names.js';
import { asFloat32 } from './typed-views.js';

/** The shape of a float DeiT or ViT. */
export interface FloatArchitecture extends Architecture {
  readonly layerNormEps: number;
}

/** How an image becomes pixels: the integer model keeps it as it is. */
export type FloatPreprocessing = ModelPreprocessing;

/** A row-major float tensor; `data` may be a view on the file: do not write to it. */
export interface FloatTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A float checkpoint, complete and checked. */
export interface FloatModel {
  readonly architecture: FloatArchitecture;
  readonly preprocessing: FloatPreprocessing;
  /** As many as classes. */
  readonly labels: readonly string[];
  /** What was guessed or ignored, a sentence each. */
  readonly warnings: readonly string[];
  /** By timm's names, in the order of the forward pass. */
  readonly tensors: ReadonlyMap<string, FloatTensor>;
}

/** What a caller knows better than the file. */
export interface FloatModelOptions {
  /** How messages name the file; `checkpoint` if left out. */
  file?: string | undefined;
  /** A timm name, for example `deit_tiny_patch16_224`: what neither the tensors nor a config tell comes from it. */
  arch?: string | undefined;
  /** The keys of {@link FloatConfig}, as parsed from JSON; goes before the config in the file. */
  config?: unknown;
  /** These go before either config. */
  imageSize?: number | undefined;
  cropPct?: number | undefined;
  mean?: Rgb | undefined;
  std?: Rgb | undefined;
  labels?: readonly string[] | undefined;
}

/** LayerNorm's epsilon in DeiT and ViT (PyTorch's own default, 1e-5, is not theirs). */
const LAYER_NORM_EPS = 1e-6;

/** Mean and deviation of the training set (DeiT), or of nothing but the range (ViT). */
const FAMILY_PIXELS: Readonly<Record<Family, { mean: Rgb; std: Rgb }>> = {
  deit: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  vit: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
};

/** The integer kernels step through dim, a head and the MLP by eight elements. */
const CHANNEL_STEP = 8;

/**
 * Reads a float DeiT or ViT from a safetensors file in timm's names; F16, BF16 and F64 become float32.
 *
 * ```ts
 * const model = readFloatModel(await readFile(path), { file: path, arch: 'deit_tiny_patch16_224' });
 * ```
 *
 * @param bytes the whole file; the tensors may be views on it
 * @returns the model, every tensor with its shape checked and every value finite
 * @throws CheckpointError
 *   those of `readSafetensors` for a damaged container;
 *   `MODEL_KIND` it is an integer checkpoint already;
 *   `CHECKPOINT_SCHEME` names of another library, of two, or unknown ones;
 *   `CHECKPOINT_MISSING`, `CHECKPOINT_EXTRA`, `CHECKPOINT_SHAPE`, `CHECKPOINT_DTYPE` for a tensor;
 *   `CHECKPOINT_VALUE` a weight that is NaN or infinite;
 *   `CHECKPOINT_CONFIG` a config that is malformed or does not fit the tensors;
 *   `CHECKPOINT_ARCHITECTURE` sizes that are not supported, unknown heads, or another dim than `arch` has;
 *   `CHECKPOINT_LABELS` labels that are not as many as the classes
 * @throws UsageError `MODEL_OPTION` an unknown `arch` or an option outside its range
 */
export function readFloatModel(bytes: Uint8Array, options: FloatModelOptions = {}): FloatModel {
  const file = options.file ?? 'checkpoint';
  const arch = knownArchitecture(options.arch);
  const container = readSafetensors(bytes, { file });
  const { fqvit } = container.metadata;
  if (fqvit !== undefined && saysInteger(fqvit)) {
    throw new CheckpointError(
      'MODEL_KIND',
      `${file}: expected a float checkpoint, found one that is already an integer checkpoint: load it as it is`,
    );
  }
  const depth = timmDepth([...container.tensors.keys()], file);
  const sizes = checkedSizes(container.tensors, depth, file);
  const warnings: string[] = [];
  const config = mergedConfig(fqvit, options, file, warnings);
  const { architecture, cropPct } = describeArchitecture({ ...sizes, depth }, config, arch, file, warnings);
  const { family, imageSize, classes } = architecture;
  const preprocessing: FloatPreprocessing = {
    imageSize,
    cropPct: config.crop_pct ?? cropPct,
    interpolation: config.interpolation ?? 'bicubic',
    mean: config.mean ?? FAMILY_PIXELS[family].mean,
    std: config.std ?? FAMILY_PIXELS[family].std,
  };
  const labels = config.labels ?? Array.from({ length: classes }, (_, index) => `class ${index}`);
  if (labels.length !== classes) {
    throw new CheckpointError(
      'CHECKPOINT_LABELS',
      `${file}: expected ${classes} labels, as many as head.weight has rows, found ${labels.length}`,
    );
  }
  const tensors = new Map<string, FloatTensor>();
  for (const name of timmNames(depth)) tensors.set(name, finiteTensor(container.tensors.get(name)!, file));
  return { architecture, preprocessing, labels, warnings, tensors };
}

function knownArchitecture(arch: string | undefined): KnownArchitecture | undefined {
  if (arch === undefined) return undefined;
  const known = findArchitecture(arch);
  if (known) return known;
  const names = KNOWN_ARCHITECTURES.map(({ name }) => name).sort();
  throw new UsageError('MODEL_OPTION', `arch: expected one of ${names.join(', ')}, found ${quoted(arch)}`);
}

/** Reads the sizes off the tensors that show them, then holds every tensor against them. */
function checkedSizes(tensors: ReadonlyMap<string, Tensor>, depth: number, file: string): TimmSizes {
  const shapeOf = (name: string) => tensors.get(name)!.shape;
  const refuse = (name: string, expected: string): never => {
    throw new CheckpointError(
      'CHECKPOINT_SHAPE',
      `${file}: tensor ${quoted(name)}: expected shape ${expected}, found [${shapeOf(name).join(', ')}]`,
    );
  };
  const side = (name: string, axis: number, form: readonly string[]): number => {
    const shape = shapeOf(name);
    return shape.length === form.length ? shape[axis]! : refuse(name, `[${form.join(', ')}]`);
  };
  const dim = side('cls_token', 2, ['1', '1', 'dim']);
  const patchSize = side('patch_embed.proj.weight', 2, ['dim', '3', 'P', 'P']);
  const tokens = side('pos_embed', 1, ['1', '1 + patches', 'dim']);
  const mlpDim = side('blocks.0.mlp.fc1.weight', 0, ['mlp', 'dim']);
  const classes = side('head.weight', 0, ['classes', 'dim']);
  const sizes = { dim, patchSize, patches: tokens - 1, mlpDim, classes };
  for (const name of timmNames(depth)) {
    const shape = shapeOf(name);
    const expected = timmShape(name, sizes);
    if (shape.length !== expected.length || shape.some((n, axis) => n !== expected[axis])) {
      refuse(name, `[${expected.join(', ')}]`);
    }
  }
  if (dim === 0) refuse('cls_token', '[1, 1, dim] with at least one channel');
  if (patchSize === 0) refuse('patch_embed.proj.weight', '[dim, 3, P, P] with patches of at least one pixel');
  if (mlpDim === 0) refuse('blocks.0.mlp.fc1.weight', '[mlp, dim] with at least one row');
  if (classes === 0) refuse('head.weight', '[classes, dim] with at least one class');
  if (tokens < 2 || !Number.isInteger(Math.sqrt(tokens - 1))) {
    refuse('pos_embed', '[1, 1 + n, dim] with a square number n of patches and one class token');
  }
  return sizes;
}

/** The options go before the config that the caller gives, and this before the one in the file. */
function mergedConfig(
  inFile: string | undefined,
  options: FloatModelOptions,
  file: string,
  warnings: string[],
): FloatConfig {
  const refuser = (place: string) => (message: string) => {
    throw new CheckpointError('CHECKPOINT_CONFIG', `${file}: ${place}: ${message}`);
  };
  const sources = [
    inFile === undefined ? undefined : parseConfig(inFile, refuser('metadata "fqvit"')),
    options.config === undefined ? undefined : validateConfig(options.config, refuser('config')),
  ];
  for (const source of sources) {
    if (!source || source.unknown.length === 0) continue;
    const names = source.unknown.slice(0, 5).map(quoted).join(', ');
    warnings.push(`the config has ${source.unknown.length} unknown keys, which were ignored: ${names}`);
  }
  const { imageSize, cropPct, mean, std, labels } = options;
  const given = validateConfig({ image_size: imageSize, crop_pct: cropPct, mean, std, labels }, (message) => {
    throw new UsageError('MODEL_OPTION', `option ${message}`);
  });
  return { ...sources[0]?.config, ...sources[1]?.config, ...given.config };
}

/** Joins what the tensors, the config and the timm name say, and refuses where they disagree. */
function describeArchitecture(
  sizes: TimmSizes & { readonly depth: number },
  config: FloatConfig,
  arch: KnownArchitecture | undefined,
  file: string,
  warnings: string[],
): { architecture: FloatArchitecture; cropPct: number } {
  const { dim, depth, patchSize, patches, mlpDim, classes } = sizes;
  const imageSize = patchSize * Math.sqrt(patches);
  const shape = { imageSize, patchSize, dim, depth, mlpDim };
  checkArch(shape, arch, file, warnings);
  checkConfigSizes(shape, config, file);

  const family = config.architecture ?? arch?.family ?? 'deit';
  if (config.architecture === undefined && !arch) {
    warnings.push(
      'neither the file nor --arch says whether this is a DeiT or a ViT, which differ in preprocessing: ' +
        'DeiT is assumed; for a ViT pass --arch, for example vit_tiny_patch16_224',
    );
  } else if (arch && arch.family !== family) {
    warnings.push(`--arch ${arch.name} was overruled: the config says ${family}`);
  }
  const known = KNOWN_ARCHITECTURES.find(
    (candidate) => candidate.family === family && fits(candidate, shape),
  );
  const heads = config.num_heads ?? arch?.heads ?? known?.heads ?? guessedHeads(dim, file, warnings);
  if (dim % heads !== 0) {
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: expected a number of heads that divides dim ${dim}, found ${heads}`,
    );
  }
  for (const [what, size] of [
    ['dim', dim],
    ['head dim', dim / heads],
    ['MLP dim', mlpDim],
  ] as const) {
    if (size % CHANNEL_STEP === 0) continue;
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: ${what}: expected a multiple of ${CHANNEL_STEP}, found ${size} (dim ${dim}, ${heads} heads)`,
    );
  }
  const name = config.name ?? known?.name ?? `${family}_custom`;
  const layerNormEps = config.layer_norm_eps ?? LAYER_NORM_EPS;
  return {
    architecture: { family, name, imageSize, patchSize, dim, depth, heads, mlpDim, classes, layerNormEps },
    cropPct: known?.cropPct ?? FAMILY_CROP[family],
  };
}

type Shape = Pick<FloatArchitecture, 'imageSize' | 'patchSize' | 'dim' | 'depth' | 'mlpDim'>;

const NAMED_SIZES = ['imageSize', 'patchSize', 'dim', 'depth'] as const;

function fits(known: KnownArchitecture, shape: Shape): boolean {
  return NAMED_SIZES.every((size) => known[size] === shape[size]) && shape.mlpDim === 4 * known.dim;
}

/** Of the name only family and heads are used: it must have the same dim, and other differences are a warning. */
function checkArch(
  shape: Shape,
  arch: KnownArchitecture | undefined,
  file: string,
  warnings: string[],
): void {
  if (!arch || fits(arch, shape)) return;
  const list = ({ imageSize, patchSize, dim, depth }: Omit<Shape, 'mlpDim'>, mlpDim: number) =>
    `image ${imageSize}, patch ${patchSize}, dim ${dim}, depth ${depth}, MLP ${mlpDim}`;
  const difference = `--arch ${arch.name}: expected ${list(arch, 4 * arch.dim)}, found ${list(shape, shape.mlpDim)}`;
  if (arch.dim !== shape.dim) throw new CheckpointError('CHECKPOINT_ARCHITECTURE', `${file}: ${difference}`);
  warnings.push(`${difference}: the sizes of the file are used`);
}

function checkConfigSizes({ imageSize, patchSize }: Shape, config: FloatConfig, file: string): void {
  const refuse = (message: string): never => {
    throw new CheckpointError('CHECKPOINT_CONFIG', `${file}: ${message}`);
  };
  const { image_size = imageSize, patch_size = patchSize } = config;
  if (patch_size !== patchSize) {
    refuse(`patch_size: expected ${patchSize}, as patch_embed.proj.weight has, found ${patch_size}`);
  }
  if (image_size % patchSize !== 0) {
    refuse(`image_size: expected a multiple of the patch size ${patchSize}, found ${image_size}`);
  }
  if (image_size !== imageSize) {
    refuse(
      `image_size: expected ${imageSize}, for which pos_embed was trained, found ${image_size}; ` +
        'resampling position embeddings is not supported',
    );
  }
}

function guessedHeads(dim: number, file: string, warnings: string[]): number {
  const heads = headsOfWidth(dim);
  if (heads === undefined) {
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: the number of heads is not known: expected num_heads in the config, or a dim that --arch can name ` +
        `(192, 384, 768, 1024), found neither (dim ${dim})`,
    );
  }
  warnings.push(
    `the number of heads is not in the file: ${heads} is assumed, as in published models of dim ${dim}`,
  );
  return heads;
}

function finiteTensor(tensor: Tensor, file: string): FloatTensor {
  const data = asFloat32(tensor, { file });
  for (let index = 0; index < data.length; index++) {
    const value = data[index]!;
    // Infinity - Infinity and NaN - NaN are NaN.
    if (value - value === 0) continue;
    throw new CheckpointError(
      'CHECKPOINT_VALUE',
      `${file}: tensor ${quoted(tensor.name)}: expected finite numbers, found ${value} at index ${index}`,
    );
  }
  return { shape: tensor.shape, data };
}

import type { VitPool } from '../../architecture/architecture.js';
import {
  FAMILY_CROP,
  headsOfWidth,
  KNOWN_ARCHITECTURES,
  type KnownArchitecture,
  type LookAlike,
  listSizes,
  lookAlikes,
} from '../../architecture/timm-architectures.js';
import { CheckpointError } from '../../errors.js';
import type { Gelu } from '../../layers/gelu/layer.js';
import { takeTensors } from '../names/naming-schemes.js';
import { type VitParts, type VitSizes, vitNames, vitParts, vitShape } from '../names/vit-names.js';
import type { Tensor } from '../safetensors/safetensors.js';
import {
  checkChannels,
  checkNamed,
  checkParts,
  checkPatches,
  checkShapes,
  type FloatReading,
  type FloatSource,
  geluOf,
  refuseConfig,
  refuseFamily,
  refuseShape,
  sizeOf,
} from './family.js';

/** The epsilon of LayerNorm in DeiT and ViT; it differs from PyTorch's default, 1e-5. */
const LAYER_NORM_EPS = 1e-6;

/**
 * Reads a DeiT or ViT. The tensors show all sizes except the number of heads. Heads, family,
 * activation and epsilon come from the config, else from the timm name. Without either, heads and
 * activation come from the published models with the same tensors.
 */
export function readVit(source: FloatSource): FloatReading {
  const { config, arch, file, warnings } = source;
  if (config.architecture === 'swin') refuseFamily('architecture', '"deit" or "vit"', 'swin', file);
  if (arch?.family === 'swin') refuseFamily('--arch', 'a DeiT or ViT', arch.name, file);
  const parts = vitParts([...source.named.tensors.keys()]);
  const { depth } = parts;
  checkParts(source, depth, parts.attention);
  const tensors = takeTensors(source.named, vitNames(parts), `a DeiT or ViT of depth ${depth}`, file);
  const { dim, patchSize, mlpDim, classes, registers, positions } = checkedSizes(tensors, file);
  const tokens = parts.tokens.length + Math.max(0, registers - 1);
  checkPatches(patchSize, config, file);
  const embedded = embeddedTokens(
    tensors.get('pos_embed')!,
    [0, tokens - registers, tokens],
    patchSize,
    source,
  );
  const imageSize = patchSize * Math.sqrt(positions - embedded);
  const pool = poolOf(source, parts);
  const family = config.architecture ?? arch?.family ?? 'deit';
  const ends = { ...(tokens === 1 ? {} : { prefix: tokens }), ...(pool === 'token' ? {} : { pool }) };
  const shape = { imageSize, patchSize, dim, depth, mlpDim, ...ends };
  checkNamed(source, { family, ...shape });
  if (config.image_size !== undefined && config.image_size !== imageSize) {
    refuseConfig(
      `image_size: expected ${imageSize}, for which pos_embed was trained, found ${config.image_size}; ` +
        'resampling position embeddings is not supported',
      file,
    );
  }
  if (config.architecture === undefined && !arch) {
    warnings.push(
      'neither the file nor --arch says whether this is a DeiT or a ViT, which prepare photos differently: DeiT is assumed; ' +
        'for a ViT, pass --arch (for example vit_tiny_patch16_224) or --crop, --mean and --std',
    );
  } else if (arch && arch.family !== family) {
    warnings.push(`the config says ${family}, which overrides ${arch.name}`);
  }
  const alike = arch ? [] : lookAlikes(shape);
  if (config.num_heads === undefined || config.activation === undefined) refuseSameTensors(alike, file);
  const heads = config.num_heads ?? arch?.heads ?? headsOf(alike, dim, source);
  const activation = config.activation ?? arch?.gelu ?? activationOf(alike, source);
  checkChannels({ dim, heads, mlpDim }, file);
  const variant = { ...ends, ...geluOf(activation) };
  const named = namedLike(arch, { family, ...shape, heads, ...variant });
  return {
    architecture: {
      family,
      name: config.name ?? named?.name ?? `${family}_custom`,
      imageSize,
      patchSize,
      dim,
      depth,
      heads,
      mlpDim,
      classes,
      ...variant,
      layerNormEps: config.layer_norm_eps ?? arch?.layerNormEps ?? LAYER_NORM_EPS,
    },
    tensors,
    prepared: (arch?.family === family && arch) || { cropPct: named?.cropPct ?? FAMILY_CROP[family] },
  };
}

type VitSizesOf = Parameters<typeof listSizes>[0] & { heads: number; gelu?: Gelu };

/** The named architecture if the sizes match, else a published architecture with these sizes. */
function namedLike(arch: KnownArchitecture | undefined, sizes: VitSizesOf): KnownArchitecture | undefined {
  const same = (other: KnownArchitecture) =>
    other.family === sizes.family &&
    listSizes(other) === listSizes(sizes) &&
    other.heads === sizes.heads &&
    other.gelu === sizes.gelu;
  return arch && same(arch) ? arch : KNOWN_ARCHITECTURES.find(same);
}

/** Reads the sizes off some tensors, then checks the shape of every tensor against them. */
function checkedSizes(tensors: ReadonlyMap<string, Tensor>, file: string): VitSizes {
  const size = (name: string, axis: number, form: readonly string[], least: string) =>
    sizeOf(tensors.get(name)!, axis, form, least, file);
  const sizes = {
    dim: size('patch_embed.proj.weight', 0, ['dim', '3', 'P', 'P'], 'channel'),
    patchSize: size('patch_embed.proj.weight', 2, ['dim', '3', 'P', 'P'], 'pixel'),
    positions: size('pos_embed', 1, ['1', 'tokens', 'dim'], 'patch'),
    registers: tensors.has('reg_token') ? size('reg_token', 1, ['1', 'registers', 'dim'], 'register') : 0,
    mlpDim: size('blocks.0.mlp.fc1.weight', 0, ['mlp', 'dim'], 'row'),
    classes: tensors.has('head.weight') ? size('head.weight', 0, ['classes', 'dim'], 'class') : 0,
  };
  const { shape } = tensors.get('blocks.0.mlp.fc2.weight')!;
  if (shape[0] === sizes.dim && 2 * (shape[1] ?? 0) === sizes.mlpDim) {
    throw new CheckpointError(
      'CHECKPOINT_SHAPE',
      `${file}: this model is not supported: it has SwiGLU (mlp.fc1 is twice as wide as mlp.fc2)`,
    );
  }
  checkShapes(tensors, (name) => vitShape(name, sizes), file);
  return sizes;
}

/**
 * How many of the tokens before the patches have a position embedding: none, all but the registers,
 * or all. The number of the other rows must be a square, and fit the image size if it is known.
 */
function embeddedTokens(
  position: Tensor,
  choices: readonly number[],
  patchSize: number,
  { config, arch, file }: FloatSource,
): number {
  const rows = position.shape[1]!;
  const sideOf = (tokens: number) => Math.sqrt(rows - tokens);
  const fitting = [...new Set(choices)].filter((tokens) => sideOf(tokens) >= 1 && sideOf(tokens) % 1 === 0);
  const sizes = fitting.map((tokens) => patchSize * sideOf(tokens));
  if (fitting.length === 0) {
    refuseShape(
      position,
      `[1, ${choices.at(-1)} + n, dim] with a square number n of patches and ${choices.at(-1)} tokens before them`,
      file,
    );
  }
  if (config.image_size !== undefined) {
    const told = sizes.indexOf(config.image_size);
    if (told >= 0) return fitting[told]!;
    refuseConfig(
      `image_size: expected ${sizes.join(' or ')}, for which pos_embed was trained, found ${config.image_size}; ` +
        'resampling position embeddings is not supported',
      file,
    );
  }
  const named = arch ? sizes.indexOf(arch.imageSize) : -1;
  if (named >= 0) return fitting[named]!;
  if (fitting.length === 1) return fitting[0]!;
  return refuseConfig(
    `image_size: pos_embed has ${rows} rows, which fit images of ${sizes.join(' or ')} pixels: ` +
      'choose one in the config or with --arch or --image-size',
    file,
  );
}

/** What the head reads, according to the config, the timm name and the tensors. */
function poolOf({ config, arch, file }: FloatSource, { tokens, norm, heads }: VitParts): VitPool {
  const hasClass = tokens.includes('cls_token');
  const namesMean = arch?.family !== 'swin' && arch?.pool?.startsWith('mean');
  const pool = config.global_pool ?? (namesMean || norm === 'fc_norm' || !hasClass ? 'avg' : 'token');
  if (heads.length > 1) {
    if (tokens.includes('dist_token') && hasClass && pool === 'token') return 'two-tokens';
    refuseConfig(
      'expected a class token and a distillation token for the two heads, found other tokens or a mean',
      file,
    );
  }
  if (pool === 'token' && !hasClass)
    refuseConfig('global_pool: expected "avg", since there is no class token, found "token"', file);
  if (pool === 'token') return 'token';
  return norm === 'fc_norm' ? 'mean-before-norm' : 'mean';
}

/** Refuses a file without a name whose tensors also fit an unsupported model. */
function refuseSameTensors(alike: readonly LookAlike[], file: string): void {
  const other = alike.find(({ refused }) => refused !== undefined);
  if (!other) return;
  throw new CheckpointError(
    'CHECKPOINT_ARCHITECTURE',
    `${file}: pass a config or --arch to say which model this is: timm's ${other.name} has the same tensors, ` +
      `but is not supported: it has ${other.refused}`,
  );
}

/** The heads of the published models with the same tensors, if they agree. */
function headsOf(alike: readonly LookAlike[], dim: number, { file, warnings }: FloatSource): number {
  const choices = [...new Set(alike.map(({ heads }) => heads))];
  if (choices.length > 1) {
    const examples = choices.map((heads) => `${heads} (${alike.find((one) => one.heads === heads)!.name})`);
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: the number of heads is not in the file and may be ${examples.join(' or ')}: choose one with --heads or --arch`,
    );
  }
  const heads = choices[0] ?? headsOfWidth(dim);
  if (heads === undefined) {
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: the number of heads is not in the file (dim ${dim}): pass --heads, --arch or a config with num_heads`,
    );
  }
  if (choices.length === 0) {
    warnings.push(
      `the number of heads is not in the file: ${heads} is assumed, as in published models of dim ${dim}; choose another with --heads`,
    );
  }
  return heads;
}

/** The GELU of the published models with the same tensors, if they agree. */
function activationOf(alike: readonly LookAlike[], { file, warnings }: FloatSource): Gelu {
  const choices = [...new Set(alike.map(({ gelu = 'exact' }) => gelu))];
  const [activation = 'exact', other] = choices;
  if (other !== undefined) {
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: the GELU is not in the file and may be ${activation} or ${other} (${alike.map(({ name }) => name).join(', ')}): choose one with --arch`,
    );
  }
  if (activation !== 'exact') {
    warnings.push(`the GELU is not in the file: ${activation} is assumed, as in ${alike[0]!.name}`);
  }
  return activation;
}

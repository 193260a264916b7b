import { CheckpointError } from '../errors.js';
import type { VitPool } from './architecture.js';
import {
  checkChannels,
  checkNamed,
  checkPatches,
  checkShapes,
  type FloatReading,
  type FloatSource,
  geluOf,
  refuseConfig,
  refuseFamily,
  refuseShape,
  sizeOf,
} from './float-family.js';
import { takeTensors } from './naming-schemes.js';
import type { Tensor } from './safetensors.js';
import { FAMILY_CROP, headsOfWidth, KNOWN_VITS, listSizes } from './timm-architectures.js';
import { type VitParts, type VitSizes, vitNames, vitParts, vitShape } from './vit-names.js';

/** LayerNorm's epsilon in DeiT and ViT (PyTorch's own default, 1e-5, is not theirs). */
const LAYER_NORM_EPS = 1e-6;

/**
 * Reads a DeiT or ViT. The tensors tell all sizes but the heads; these and the family come from the config, then from a
 * timm name, then from published models.
 */
export function readVit(source: FloatSource): FloatReading {
  const { config, arch, file, warnings } = source;
  if (config.architecture === 'swin') refuseFamily('architecture', '"deit" or "vit"', 'swin', file);
  if (arch?.family === 'swin') refuseFamily('--arch', 'a DeiT or ViT', arch.name, file);
  const parts = vitParts([...source.named.tensors.keys()]);
  const { depth } = parts;
  const tensors = takeTensors(source.named, vitNames(parts), `a DeiT or ViT of depth ${depth}`, file);
  const { dim, patchSize, mlpDim, classes, registers, positions } = checkedSizes(tensors, file);
  const tokens = parts.tokens.length + Math.max(0, registers - 1);
  const embedded = embeddedTokens(tensors.get('pos_embed')!, [0, tokens - registers, tokens], file);
  const imageSize = patchSize * Math.sqrt(positions - embedded);
  const pool = poolOf(source, parts);
  const variant = {
    ...(tokens === 1 ? {} : { prefix: tokens }),
    ...(pool === 'token' ? {} : { pool }),
    ...geluOf(config),
  };
  const family = config.architecture ?? arch?.family ?? 'deit';
  const sizes = { family, imageSize, patchSize, dim, depth, mlpDim, ...variant };
  checkNamed(source, sizes);
  checkPatches(patchSize, config, file);
  if (config.image_size !== undefined && config.image_size !== imageSize) {
    refuseConfig(
      `image_size: expected ${imageSize}, for which pos_embed was trained, found ${config.image_size}; ` +
        'resampling position embeddings is not supported',
      file,
    );
  }
  if (config.architecture === undefined && !arch) {
    warnings.push(
      'neither the file nor --arch says whether this is a DeiT or a ViT, which differ in preprocessing: ' +
        'DeiT is assumed; for a ViT pass --arch, for example vit_tiny_patch16_224',
    );
  } else if (arch && arch.family !== family) {
    warnings.push(`--arch ${arch.name} was overruled: the config says ${family}`);
  }
  const list = listSizes(sizes);
  const known = KNOWN_VITS.find((other) => other.family === family && listSizes(other) === list);
  const heads = config.num_heads ?? arch?.heads ?? known?.heads ?? guessedHeads(dim, file, warnings);
  checkChannels({ dim, heads, mlpDim }, file);
  const name = config.name ?? known?.name ?? `${family}_custom`;
  const layerNormEps = config.layer_norm_eps ?? LAYER_NORM_EPS;
  return {
    architecture: {
      family,
      name,
      imageSize,
      patchSize,
      dim,
      depth,
      heads,
      mlpDim,
      classes,
      ...variant,
      layerNormEps,
    },
    tensors,
    cropPct: known?.cropPct ?? FAMILY_CROP[family],
  };
}

/** Reads the sizes off the tensors that show them, then holds every tensor against them. */
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
  checkShapes(tensors, (name) => vitShape(name, sizes), file);
  return sizes;
}

/**
 * How many of the tokens before the patches have a position embedding: none, those that are no registers, or all. What remains must
 * be a square number of patches; in grids above 7×7 only one choice leaves that, in smaller ones the first is taken.
 */
function embeddedTokens(position: Tensor, choices: readonly number[], file: string): number {
  const fits = (tokens: number) => {
    const side = Math.sqrt(position.shape[1]! - tokens);
    return side >= 1 && Number.isInteger(side);
  };
  const all = choices.at(-1);
  return (
    choices.find(fits) ??
    refuseShape(
      position,
      `[1, ${all} + n, dim] with a square number n of patches and ${all} tokens before them`,
      file,
    )
  );
}

/** What the tensors tell of it, and timm's `global_pool`. */
function poolOf({ config, file }: FloatSource, { tokens, norm, heads }: VitParts): VitPool {
  const hasClass = tokens.includes('cls_token');
  const pool = config.global_pool ?? (norm === 'fc_norm' || !hasClass ? 'avg' : 'token');
  if (heads.length > 1) {
    if (tokens.includes('dist_token') && hasClass && pool === 'token') return 'two-tokens';
    refuseConfig(
      'expected a class token and a distillation token for two heads, found other tokens or a mean',
      file,
    );
  }
  if (pool === 'token' && !hasClass)
    refuseConfig('global_pool: expected "avg", as there is no class token, found "token"', file);
  if (pool === 'token') return 'token';
  return norm === 'fc_norm' ? 'mean-before-norm' : 'mean';
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

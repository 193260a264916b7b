import { CheckpointError } from '../errors.js';
import {
  checkChannels,
  checkNamed,
  checkPatches,
  checkShapes,
  type FloatReading,
  type FloatSource,
  refuseConfig,
  refuseFamily,
  refuseShape,
  sizeOf,
} from './float-family.js';
import { takeTensors } from './naming-schemes.js';
import type { Tensor } from './safetensors.js';
import { FAMILY_CROP, headsOfWidth, KNOWN_VITS, listSizes } from './timm-architectures.js';
import { type VitSizes, vitDepth, vitNames, vitShape } from './vit-names.js';

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
  const depth = vitDepth(source.tensors.keys());
  const tensors = takeTensors(
    source.tensors,
    vitNames(depth),
    (name) => name,
    `a DeiT or ViT of depth ${depth}`,
    file,
  );
  const { dim, patchSize, patches, mlpDim, classes } = checkedSizes(tensors, file);
  const imageSize = patchSize * Math.sqrt(patches);
  const family = config.architecture ?? arch?.family ?? 'deit';
  const sizes = { family, imageSize, patchSize, dim, depth, mlpDim };
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
    architecture: { family, name, imageSize, patchSize, dim, depth, heads, mlpDim, classes, layerNormEps },
    tensors,
    cropPct: known?.cropPct ?? FAMILY_CROP[family],
  };
}

/** Reads the sizes off the tensors that show them, then holds every tensor against them. */
function checkedSizes(tensors: ReadonlyMap<string, Tensor>, file: string): VitSizes {
  const size = (name: string, axis: number, form: readonly string[], least: string) =>
    sizeOf(tensors.get(name)!, axis, form, least, file);
  const position = tensors.get('pos_embed')!;
  const sizes = {
    dim: size('cls_token', 2, ['1', '1', 'dim'], 'channel'),
    patchSize: size('patch_embed.proj.weight', 2, ['dim', '3', 'P', 'P'], 'pixel'),
    patches: size('pos_embed', 1, ['1', '1 + patches', 'dim'], 'patch') - 1,
    mlpDim: size('blocks.0.mlp.fc1.weight', 0, ['mlp', 'dim'], 'row'),
    classes: size('head.weight', 0, ['classes', 'dim'], 'class'),
  };
  checkShapes(tensors, (name) => vitShape(name, sizes), file);
  if (sizes.patches < 1 || !Number.isInteger(Math.sqrt(sizes.patches))) {
    refuseShape(position, '[1, 1 + n, dim] with a square number n of patches and one class token', file);
  }
  return sizes;
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

import { biasRows, SWIN_LIMITS, stageFault, swinStages } from '../../architecture/architecture.js';
import { FAMILY_CROP, KNOWN_ARCHITECTURES, listSizes } from '../../architecture/timm-architectures.js';
import { CheckpointError } from '../../errors.js';
import { formatValue } from '../../text/format-value.js';
import { quote } from '../../text/quote.js';
import { attentionParts } from '../names/common-names.js';
import { takeTensors } from '../names/naming-schemes.js';
import {
  biasTable,
  maskStage,
  type SwinSizes,
  swinDepths,
  swinNames,
  swinShape,
} from '../names/swin-names.js';
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

/** PyTorch's default, which Microsoft's code uses. */
const LAYER_NORM_EPS = 1e-5;

/**
 * Reads a Swin. The tensors show all sizes except, in most files, the image size. It comes from the
 * config, else from a bias table of a smaller window, else from a timm name, else from attention
 * masks, else it is a guess.
 */
export function readSwin(source: FloatSource): FloatReading {
  const { config, arch, file } = source;
  if (config.architecture !== undefined && config.architecture !== 'swin') {
    refuseFamily('architecture', '"swin"', config.architecture, file);
  }
  if (arch && arch.family !== 'swin') refuseFamily('--arch', 'a Swin', arch.name, file);
  const names = [...source.named.tensors.keys()];
  const depths = swinDepths(names);
  const deepest = Math.max(...depths);
  if (depths.length > SWIN_LIMITS.stages || deepest > SWIN_LIMITS.depth) {
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: expected at most ${SWIN_LIMITS.stages} stages of at most ${SWIN_LIMITS.depth} blocks, ` +
        `found ${depths.length} of up to ${deepest}`,
    );
  }
  const hasHead = names.some((name) => name.startsWith('head.'));
  const parts = { depths, attention: attentionParts(names), hasHead };
  checkParts(source, depths, parts.attention);
  const tensors = takeTensors(
    source.named,
    swinNames(parts),
    `a Swin of depths ${formatValue(depths)}`,
    file,
  );
  const { patchSize, dim, mlpDim, classes, heads, windows } = checkedSizes(tensors, depths.length, file);
  checkPatches(patchSize, config, file);
  if (config.num_heads !== undefined && config.num_heads !== heads[0]) {
    refuseConfig(`num_heads: expected ${heads[0]}, as in the first stage, found ${config.num_heads}`, file);
  }
  const told = config.image_size ?? foundImageSize(source, patchSize, windows);
  const imageSize = told ?? patchSize * windows[0]! * 2 ** (windows.length - 1);
  const family = 'swin';
  const window = windows[0]!;
  // a window cannot be larger than the map
  const clipped = (side: number, stage: number) => Math.min(side, imageSize / patchSize / 2 ** stage);
  const even = { family, imageSize, patchSize, dim, depths, heads, mlpDim, window } as const;
  const uneven = { ...even, windows };
  const isKnown = (list: string) => KNOWN_ARCHITECTURES.some((other) => listSizes(other) === list);
  const asked = config.window_size ?? window;
  const isList = typeof asked !== 'number';
  if (isList ? asked.map(clipped).join() !== windows.join() : clipped(asked, 0) !== window) {
    refuseConfig(
      `window_size: expected ${formatValue(isList ? windows : window)}, for which the bias tables were trained, found ${formatValue(asked)}; resampling them is not supported`,
      file,
    );
  }
  // tables alone could also be those of another image size
  const isUneven =
    windows.some((side, stage) => side !== clipped(window, stage)) &&
    (isList || arch?.windows !== undefined || isKnown(listSizes(uneven)));
  const sizes = isUneven ? uneven : even;
  // An image size that the config asks for may differ from the name's without a warning.
  checkNamed(source, { ...sizes, imageSize: (config.image_size && arch?.imageSize) ?? imageSize });
  checkStages(sizes, windows, tensors, file);
  const list = listSizes(sizes);
  const known = KNOWN_ARCHITECTURES.find((other) => listSizes(other) === list);
  if (told === undefined && !known) {
    source.warnings.push(
      `the image size is not in the file: ${imageSize} is assumed, where the last stage is one window; ` +
        'choose another with --arch or --image-size of `fqvit quantize`',
    );
  }
  const name = config.name ?? known?.name ?? `${family}_custom`;
  const layerNormEps = config.layer_norm_eps ?? arch?.layerNormEps ?? LAYER_NORM_EPS;
  return {
    architecture: {
      family,
      name,
      imageSize,
      patchSize,
      dim,
      depths,
      heads,
      mlpDim,
      window,
      ...(isUneven ? { windows } : {}),
      classes,
      ...geluOf(config.activation ?? arch?.gelu),
      layerNormEps,
    },
    tensors,
    prepared: arch ?? { cropPct: known?.cropPct ?? FAMILY_CROP.swin },
  };
}

/** Reads the sizes from some tensors, then checks the shape of every tensor against them. */
function checkedSizes(tensors: ReadonlyMap<string, Tensor>, stages: number, file: string): SwinSizes {
  const size = (name: string, axis: number, form: readonly string[], least: string) =>
    sizeOf(tensors.get(name)!, axis, form, least, file);
  const tables = Array.from({ length: stages }, (_, i) => biasTable(i));
  const tableForm = ['(2w-1)^2', 'heads'];
  const sizes = {
    dim: size('patch_embed.proj.weight', 0, ['dim', '3', 'P', 'P'], 'channel'),
    patchSize: size('patch_embed.proj.weight', 2, ['dim', '3', 'P', 'P'], 'pixel'),
    mlpDim: size('layers.0.blocks.0.mlp.fc1.weight', 0, ['mlp', 'dim'], 'row'),
    classes: tensors.has('head.weight') ? size('head.weight', 0, ['classes', 'dim'], 'class') : 0,
    heads: tables.map((name) => size(name, 1, tableForm, 'head')),
    windows: tables.map((name) => (Math.sqrt(size(name, 0, tableForm, 'row')) + 1) / 2),
  };
  const odd = sizes.windows.findIndex((window) => !Number.isInteger(window));
  if (odd >= 0) {
    refuseShape(tensors.get(tables[odd]!)!, '[(2w-1)^2, heads] of a window of w×w tokens', file);
  }
  checkShapes(tensors, (name) => swinShape(name, sizes), file);
  return sizes;
}

/** The image size from the bias tables, else from the timm name, else from attention masks. */
function foundImageSize(
  { tensors, arch }: FloatSource,
  patchSize: number,
  windows: readonly number[],
): number | undefined {
  const ofTables = sideOfTables(windows);
  if (ofTables === undefined && arch) return arch.imageSize;
  const side = ofTables ?? sideOfMasks(tensors, windows);
  return side === undefined ? undefined : patchSize * side;
}

/**
 * Side of the first map in tokens. In a stage whose window is smaller than the first stage's, one
 * window covers the whole map.
 */
function sideOfTables(windows: readonly number[]): number | undefined {
  const stage = windows.findIndex((window) => window < windows[0]!);
  return stage < 0 ? undefined : windows[stage]! * 2 ** stage;
}

/** Side of the first map in tokens. A mask has the shape [windows, tokens, tokens]. */
function sideOfMasks(tensors: ReadonlyMap<string, Tensor>, windows: readonly number[]): number | undefined {
  for (const [name, { shape }] of tensors) {
    const stage = maskStage(name) ?? -1;
    const window = windows[stage];
    if (window === undefined || shape.length !== 3 || shape[1] !== window ** 2) continue;
    const across = Math.sqrt(shape[0]!);
    if (across > 0 && Number.isInteger(across)) return across * window * 2 ** stage;
  }
  return undefined;
}

/**
 * Every map must divide into windows of the bias table's size; every layer must suit the kernels.
 */
function checkStages(
  sizes: Parameters<typeof swinStages>[0],
  windows: readonly number[],
  tensors: ReadonlyMap<string, Tensor>,
  file: string,
): void {
  const refuse = (message: string): never => {
    const { imageSize, patchSize, window } = sizes;
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: image ${imageSize}, patch ${patchSize}, window ${window}: ${message}`,
    );
  };
  const fault = stageFault(sizes);
  if (fault !== undefined) refuse(fault);
  for (const [i, stage] of swinStages(sizes).entries()) {
    const { name, shape } = tensors.get(biasTable(i))!;
    if (windows[i] !== stage.window) {
      refuse(
        `tensor ${quote(name)}: expected ${biasRows(stage.window)} rows, ` +
          `since the stage has windows of ${stage.window}×${stage.window} tokens, found ${shape[0]}`,
      );
    }
    checkChannels(stage, `${file}: stage ${i}`);
  }
}

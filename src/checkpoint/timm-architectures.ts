/** The models that timm names, with what tensors cannot tell: a DeiT's or ViT's family and heads, a Swin's image size, the crop. */

import type { Family, SwinArchitecture, VitArchitecture, VitFamily } from './architecture.js';
import { shown } from './shown.js';

interface Cropped {
  /** The side of the centre crop as a part of the resized short side. */
  readonly cropPct: number;
}

/** An architecture that has a timm name. */
export type KnownArchitecture = KnownVit | KnownSwin;
type KnownVit = Omit<VitArchitecture, 'classes'> & Cropped;
type KnownSwin = Omit<SwinArchitecture, 'classes'> & Cropped;

/** The sizes that a file and a name can be compared by. */
export type NamedSizes =
  | Omit<VitArchitecture, 'name' | 'classes' | 'heads'>
  | Omit<SwinArchitecture, 'name' | 'classes'>;

const VIT_SIZES = {
  tiny: { dim: 192, depth: 12, heads: 3 },
  small: { dim: 384, depth: 12, heads: 6 },
  base: { dim: 768, depth: 12, heads: 12 },
  large: { dim: 1024, depth: 24, heads: 16 },
} as const;

const SWIN_SIZES = {
  tiny: { dim: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24] },
  small: { dim: 96, depths: [2, 2, 18, 2], heads: [3, 6, 12, 24] },
  base: { dim: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32] },
  large: { dim: 192, depths: [2, 2, 18, 2], heads: [6, 12, 24, 48] },
} as const;

/** The crop of a family where its name says nothing else: DeiT as its authors evaluate (timm: 0.9), others as timm. */
export const FAMILY_CROP: Readonly<Record<Family, number>> = { deit: 0.875, vit: 0.9, swin: 0.9 };

function knownVit(
  family: VitFamily,
  size: keyof typeof VIT_SIZES,
  patchSize: number,
  imageSize: number,
  distilled = false,
): KnownVit {
  return {
    name: `${family}_${size}${distilled ? '_distilled' : ''}_patch${patchSize}_${imageSize}`,
    family,
    imageSize,
    patchSize,
    ...VIT_SIZES[size],
    mlpDim: 4 * VIT_SIZES[size].dim,
    ...(distilled ? { prefix: 2, pool: 'two-tokens' } : {}),
    cropPct: knownCrop(family, imageSize),
  };
}

function knownSwin(size: keyof typeof SWIN_SIZES, window: number, imageSize: number): KnownSwin {
  return {
    name: `swin_${size}_patch4_window${window}_${imageSize}`,
    family: 'swin',
    imageSize,
    patchSize: 4,
    window,
    ...SWIN_SIZES[size],
    mlpDim: 4 * SWIN_SIZES[size].dim,
    cropPct: knownCrop('swin', imageSize),
  };
}

/** timm evaluates its ViTs and Swins of 384 pixels without a border. */
function knownCrop(family: Family, imageSize: number): number {
  return family !== 'deit' && imageSize === 384 ? 1 : FAMILY_CROP[family];
}

/** Every DeiT and ViT whose name is understood. */
export const KNOWN_VITS: readonly KnownVit[] = [
  knownVit('deit', 'tiny', 16, 224),
  knownVit('deit', 'small', 16, 224),
  knownVit('deit', 'base', 16, 224),
  knownVit('deit', 'base', 16, 384),
  knownVit('deit', 'tiny', 16, 224, true),
  knownVit('deit', 'small', 16, 224, true),
  knownVit('deit', 'base', 16, 224, true),
  knownVit('deit', 'base', 16, 384, true),
  knownVit('vit', 'small', 8, 224),
  knownVit('vit', 'base', 8, 224),
  ...[224, 384].flatMap((imageSize) => [
    knownVit('vit', 'tiny', 16, imageSize),
    knownVit('vit', 'small', 16, imageSize),
    knownVit('vit', 'base', 16, imageSize),
    knownVit('vit', 'large', 16, imageSize),
    knownVit('vit', 'small', 32, imageSize),
    knownVit('vit', 'base', 32, imageSize),
    knownVit('vit', 'large', 32, imageSize),
  ]),
];

/** Every Swin whose name is understood. */
export const KNOWN_SWINS: readonly KnownSwin[] = [
  knownSwin('tiny', 7, 224),
  knownSwin('small', 7, 224),
  knownSwin('base', 7, 224),
  knownSwin('base', 12, 384),
  knownSwin('large', 7, 224),
  knownSwin('large', 12, 384),
];

/** Every architecture whose name is understood. */
export const KNOWN_ARCHITECTURES: readonly KnownArchitecture[] = [...KNOWN_VITS, ...KNOWN_SWINS];

/** The architecture of a timm name; a pretraining tag, as in `vit_base_patch16_224.augreg_in1k`, is ignored. */
export function findArchitecture(name: string): KnownArchitecture | undefined {
  const [base] = name.split('.', 1);
  return KNOWN_ARCHITECTURES.find((architecture) => architecture.name === base);
}

/** The sizes as a message shows them; equal sizes, equal text. */
export function listSizes(sizes: NamedSizes): string {
  const { imageSize, patchSize, dim, mlpDim } = sizes;
  const start = `image ${imageSize}, patch ${patchSize}`;
  if (sizes.family !== 'swin') {
    const heads = sizes.pool === 'two-tokens' ? ', a second head for distillation' : '';
    return `${start}, dim ${dim}, depth ${sizes.depth}, MLP ${mlpDim}${heads}`;
  }
  const [depths, heads] = [sizes.depths, sizes.heads].map(shown);
  return `${start}, window ${sizes.window}, dim ${dim}, depths ${depths}, heads ${heads}, MLP ${mlpDim}`;
}

/** The number of heads that every published DeiT and ViT of this width has: 64 channels each. */
export function headsOfWidth(dim: number): number | undefined {
  return Object.values(VIT_SIZES).find((size) => size.dim === dim)?.heads;
}

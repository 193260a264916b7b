/** The DeiT and ViT models that timm names, with what their tensors cannot tell: family, heads and crop. */

/** Plain vision transformers by how they were trained: the same tensors, other preprocessing. */
export type Family = 'deit' | 'vit';

/** An architecture that has a timm name. The hidden size of its MLP is 4 * dim. */
export interface KnownArchitecture {
  readonly name: string;
  readonly family: Family;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly dim: number;
  readonly depth: number;
  readonly heads: number;
  /** The side of the centre crop as a part of the resized short side. */
  readonly cropPct: number;
}

const SIZES = {
  tiny: { dim: 192, depth: 12, heads: 3 },
  small: { dim: 384, depth: 12, heads: 6 },
  base: { dim: 768, depth: 12, heads: 12 },
  large: { dim: 1024, depth: 24, heads: 16 },
} as const;

/** The crop of a family where its name says nothing else: DeiT as its authors evaluate (timm: 0.9), ViT as timm. */
export const FAMILY_CROP: Readonly<Record<Family, number>> = { deit: 0.875, vit: 0.9 };

function known(
  family: Family,
  size: keyof typeof SIZES,
  patchSize: number,
  imageSize: number,
): KnownArchitecture {
  return {
    name: `${family}_${size}_patch${patchSize}_${imageSize}`,
    family,
    imageSize,
    patchSize,
    ...SIZES[size],
    // timm evaluates its ViTs of 384 pixels without a border.
    cropPct: family === 'vit' && imageSize === 384 ? 1 : FAMILY_CROP[family],
  };
}

/** Every architecture whose name is understood. */
export const KNOWN_ARCHITECTURES: readonly KnownArchitecture[] = [
  known('deit', 'tiny', 16, 224),
  known('deit', 'small', 16, 224),
  known('deit', 'base', 16, 224),
  known('deit', 'base', 16, 384),
  known('vit', 'small', 8, 224),
  known('vit', 'base', 8, 224),
  ...[224, 384].flatMap((imageSize) => [
    known('vit', 'tiny', 16, imageSize),
    known('vit', 'small', 16, imageSize),
    known('vit', 'base', 16, imageSize),
    known('vit', 'large', 16, imageSize),
    known('vit', 'small', 32, imageSize),
    known('vit', 'base', 32, imageSize),
    known('vit', 'large', 32, imageSize),
  ]),
];

/** The architecture of a timm name; a pretraining tag, as in `vit_base_patch16_224.augreg_in1k`, is ignored. */
export function findArchitecture(name: string): KnownArchitecture | undefined {
  const [base] = name.split('.', 1);
  return KNOWN_ARCHITECTURES.find((architecture) => architecture.name === base);
}

/** The number of heads that every published model of this width has: 64 channels each. */
export function headsOfWidth(dim: number): number | undefined {
  return Object.values(SIZES).find((size) => size.dim === dim)?.heads;
}

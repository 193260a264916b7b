/** timm's tensor names for DeiT and ViT, and how they are told from the names that other libraries use. */

import { CheckpointError } from '../errors.js';
import { quoted } from './safetensors-header.js';

/** How libraries name the tensors of a vision transformer: by names that no other scheme of this list has. */
const SCHEMES = [
  {
    scheme: "timm's DeiT and ViT names",
    pattern: /^(cls_token|pos_embed)$|^blocks\.\d+\.(norm1|norm2|attn|mlp)\./,
  },
  {
    scheme: 'Swin names',
    pattern: /^(swin\.(embeddings|encoder)\.|layers\.\d+\.(blocks|downsample)\.|features\.\d+\.\d+\.attn\.)/,
  },
  {
    scheme: 'Hugging Face ViT and DeiT names',
    pattern:
      /^((vit|deit)\.)?(embeddings\.(cls_token|position_embeddings|patch_embeddings\.)|encoder\.layer\.\d+\.)/,
  },
  {
    scheme: 'torchvision ViT names',
    pattern: /^(class_token$|conv_proj\.|encoder\.layers\.encoder_layer_\d+\.)/,
  },
] as const;

const SUPPORTED = SCHEMES[0];

/** As many names as a message lists. */
const LISTED = 5;

const BLOCK_TENSORS = ['norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2'].flatMap((layer) => [
  `${layer}.weight`,
  `${layer}.bias`,
]);

/**
 * Checks that the names are exactly those of a timm DeiT or ViT of some depth.
 *
 * @returns the depth: the number of blocks
 * @throws CheckpointError `CHECKPOINT_SCHEME` where the names are of another scheme, of two, or of none that is known;
 *   `CHECKPOINT_MISSING`, `CHECKPOINT_EXTRA` where a tensor is missing or too many
 */
export function timmDepth(names: readonly string[], file: string): number {
  checkScheme(names, file);
  const blocks = new Set<string>();
  for (const name of names) {
    const block = /^blocks\.(\d+)\./.exec(name)?.[1];
    if (block !== undefined) blocks.add(block);
  }
  // A count and not the highest number, which a name could make as high as it likes. A gap shows as missing tensors.
  const depth = Math.max(1, blocks.size);
  const expected = timmNames(depth);
  const present = new Set(names);
  const wanted = new Set(expected);
  const missing = expected.filter((name) => !present.has(name));
  const extra = names.filter((name) => !wanted.has(name));
  const faults: string[] = [];
  if (missing.length > 0) faults.push(`${missing.length} missing: ${listed(missing)}`);
  if (extra.length > 0) faults.push(`${extra.length} not expected: ${listed(extra)}`);
  if (faults.length > 0) {
    throw new CheckpointError(
      missing.length > 0 ? 'CHECKPOINT_MISSING' : 'CHECKPOINT_EXTRA',
      `${file}: expected the ${expected.length} tensors of a DeiT or ViT of depth ${depth}, ` +
        `found ${names.length}; ${faults.join('; ')}`,
    );
  }
  return depth;
}

/** The names of a DeiT or ViT of this depth, in the order of the forward pass. */
export function timmNames(depth: number): string[] {
  const blocks = Array.from({ length: depth }, (_, n) => BLOCK_TENSORS.map((name) => `blocks.${n}.${name}`));
  return [
    ...['cls_token', 'pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias'],
    ...blocks.flat(),
    ...['norm.weight', 'norm.bias', 'head.weight', 'head.bias'],
  ];
}

/** The sizes that determine the shape of every tensor. */
export interface TimmSizes {
  readonly dim: number;
  readonly patchSize: number;
  readonly patches: number;
  readonly mlpDim: number;
  readonly classes: number;
}

/** The shape of a tensor of {@link timmNames}; a linear layer's weight is [out, in]. */
export function timmShape(
  name: string,
  { dim, patchSize, patches, mlpDim, classes }: TimmSizes,
): readonly number[] {
  const layer = name.replace(/^blocks\.\d+\./, '');
  switch (layer) {
    case 'cls_token':
      return [1, 1, dim];
    case 'pos_embed':
      return [1, 1 + patches, dim];
    case 'patch_embed.proj.weight':
      return [dim, 3, patchSize, patchSize];
    case 'attn.qkv.weight':
      return [3 * dim, dim];
    case 'attn.qkv.bias':
      return [3 * dim];
    case 'attn.proj.weight':
      return [dim, dim];
    case 'mlp.fc1.weight':
      return [mlpDim, dim];
    case 'mlp.fc1.bias':
      return [mlpDim];
    case 'mlp.fc2.weight':
      return [dim, mlpDim];
    case 'head.weight':
      return [classes, dim];
    case 'head.bias':
      return [classes];
    default:
      // LayerNorm parameters and the other biases.
      return [dim];
  }
}

function checkScheme(names: readonly string[], file: string): void {
  const found = SCHEMES.flatMap(({ scheme, pattern }) => {
    const example = names.find((name) => pattern.test(name));
    return example === undefined ? [] : [{ scheme, example }];
  });
  const known = `supported: ${SUPPORTED.scheme} (cls_token, pos_embed, blocks.0.attn.qkv.weight, ...)`;
  const [first, second] = found;
  if (!first) {
    const keys = names.length > 0 ? listed(names) : 'no tensors';
    const others = SCHEMES.slice(1).map(({ scheme }) => scheme);
    throw new CheckpointError(
      'CHECKPOINT_SCHEME',
      `${file}: unknown naming scheme; ${known}; recognised but not supported yet: ${others.join(', ')}; found ${keys}`,
    );
  }
  if (second) {
    throw new CheckpointError(
      'CHECKPOINT_SCHEME',
      `${file}: two naming schemes mixed: expected one, found ${first.scheme} (${quoted(first.example)}) ` +
        `and ${second.scheme} (${quoted(second.example)})`,
    );
  }
  if (first.scheme !== SUPPORTED.scheme) {
    throw new CheckpointError(
      'CHECKPOINT_SCHEME',
      `${file}: found ${first.scheme} (${quoted(first.example)}); this is not supported yet; ${known}`,
    );
  }
}

function listed(names: readonly string[]): string {
  const first = names.slice(0, LISTED).map(quoted).join(', ');
  return names.length > LISTED ? `${first}, ...` : first;
}

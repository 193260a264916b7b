/** How libraries name the tensors of vision transformers, and which of their names are read here. */

import { CheckpointError } from '../errors.js';
import type { Tensor } from './safetensors.js';
import { quoted } from './safetensors-header.js';

const VIT = "timm's DeiT and ViT names";
const SWIN = "Microsoft's and timm's Swin names";

/** By names that no other scheme of this list has. */
const SCHEMES = [
  { scheme: VIT, pattern: /^(cls_token|pos_embed)$|^blocks\.\d+\.(norm1|norm2|attn|mlp)\./ },
  { scheme: SWIN, pattern: /^layers\.\d+\.(blocks|downsample)\./ },
  {
    scheme: 'Hugging Face ViT and DeiT names',
    pattern:
      /^((vit|deit)\.)?(embeddings\.(cls_token|position_embeddings|patch_embeddings\.)|encoder\.layer\.\d+\.)/,
  },
  { scheme: 'Hugging Face Swin names', pattern: /^swin\.(embeddings|encoder)\./ },
  {
    scheme: 'torchvision ViT names',
    pattern: /^(class_token$|conv_proj\.|encoder\.layers\.encoder_layer_\d+\.)/,
  },
  { scheme: 'torchvision Swin names', pattern: /^features\.\d+\.\d+\.attn\./ },
] as const;

const SUPPORTED: readonly string[] = [VIT, SWIN];

/** As many names as a message lists. */
const LISTED = 5;

/**
 * Whether these are the names of a Swin; those of a DeiT or ViT otherwise.
 *
 * @throws CheckpointError `CHECKPOINT_SCHEME` where the names are of another scheme, of two, or of none that is known
 */
export function hasSwinNames(names: readonly string[], file: string): boolean {
  const found = SCHEMES.flatMap(({ scheme, pattern }) => {
    const example = names.find((name) => pattern.test(name));
    return example === undefined ? [] : [{ scheme, example }];
  });
  const refuse = (message: string): never => {
    throw new CheckpointError('CHECKPOINT_SCHEME', `${file}: ${message}`);
  };
  const supported =
    `supported: ${VIT} (cls_token, blocks.0.attn.qkv.weight, ...), ` +
    `${SWIN} (layers.0.blocks.0.attn.qkv.weight, ...)`;
  const [first, second] = found;
  if (!first) {
    const keys = names.length > 0 ? listed(names) : 'no tensors';
    const others = SCHEMES.map(({ scheme }) => scheme).filter((scheme) => !SUPPORTED.includes(scheme));
    return refuse(
      `unknown naming scheme; ${supported}; recognised but not supported yet: ${others.join(', ')}; found ${keys}`,
    );
  }
  if (second) {
    return refuse(
      `two naming schemes mixed: expected one, found ${first.scheme} (${quoted(first.example)}) ` +
        `and ${second.scheme} (${quoted(second.example)})`,
    );
  }
  if (!SUPPORTED.includes(first.scheme)) {
    return refuse(
      `found ${first.scheme} (${quoted(first.example)}); this is not supported yet; ${supported}`,
    );
  }
  return first.scheme === SWIN;
}

/**
 * The tensors under their canonical names, in the order of `names`.
 *
 * @param tensors of the file
 * @param names canonical ones
 * @param spelled a canonical name as the file has it
 * @param model what has these tensors, for messages
 * @throws CheckpointError `CHECKPOINT_MISSING`, `CHECKPOINT_EXTRA` where a tensor is missing or too many
 */
export function takeTensors(
  tensors: ReadonlyMap<string, Tensor>,
  names: readonly string[],
  spelled: (name: string) => string,
  model: string,
  file: string,
): Map<string, Tensor> {
  const expected = names.map(spelled);
  const wanted = new Set(expected);
  const missing = expected.filter((name) => !tensors.has(name));
  const extra = [...tensors.keys()].filter((name) => !wanted.has(name));
  const faults: string[] = [];
  if (missing.length > 0) faults.push(`${missing.length} missing: ${listed(missing)}`);
  if (extra.length > 0) faults.push(`${extra.length} not expected: ${listed(extra)}`);
  if (faults.length > 0) {
    throw new CheckpointError(
      missing.length > 0 ? 'CHECKPOINT_MISSING' : 'CHECKPOINT_EXTRA',
      `${file}: expected the ${expected.length} tensors of ${model}, found ${tensors.size}; ${faults.join('; ')}`,
    );
  }
  return new Map(names.map((name, i) => [name, tensors.get(expected[i]!)!]));
}

function listed(names: readonly string[]): string {
  const first = names.slice(0, LISTED).map(quoted).join(', ');
  return names.length > LISTED ? `${first}, ...` : first;
}

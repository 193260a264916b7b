/** Renames weights as in other libraries. */

import type { Tensor } from '../../src/checkpoint/safetensors/safetensors.js';

type Rule = readonly [pattern: RegExp, replacement: string | ((...groups: string[]) => string)];

/** How a library renames canonical tensors. */
export interface Renaming {
  /** Applied in this order. */
  readonly rules: readonly Rule[];
  /** Whether query, key and value are three separate layers. */
  readonly apart: boolean;
}

const huggingFaceAttention = (self: string): Rule[] => [
  [/\.attn\.q\./, `.attention.${self}.query.`],
  [/\.attn\.k\./, `.attention.${self}.key.`],
  [/\.attn\.v\./, `.attention.${self}.value.`],
  [/\.attn\.proj\./, '.attention.output.dense.'],
  [/\.attn\.relative/, `.attention.${self}.relative`],
];

const HUGGING_FACE_BLOCK: readonly Rule[] = [
  [/\.norm1\./, '.layernorm_before.'],
  [/\.norm2\./, '.layernorm_after.'],
  [/\.mlp\.fc1\./, '.intermediate.dense.'],
  [/\.mlp\.fc2\./, '.output.dense.'],
];

const huggingFaceVit = (root: string): Rule[] => [
  [/^blocks\./, `${root}encoder.layer.`],
  [/^cls_token$/, `${root}embeddings.cls_token`],
  [/^dist_token$/, `${root}embeddings.distillation_token`],
  [/^reg_token$/, `${root}embeddings.register_tokens`],
  [/^pos_embed$/, `${root}embeddings.position_embeddings`],
  [/^patch_embed\.proj\./, `${root}embeddings.patch_embeddings.projection.`],
  [/^norm\./, `${root}layernorm.`],
  ...huggingFaceAttention('attention'),
];

const TORCHVISION_MLP: readonly Rule[] = [
  [/\.mlp\.fc1\./, '.mlp.0.'],
  [/\.mlp\.fc2\./, '.mlp.3.'],
];

export const VIT_RENAMINGS = {
  'Hugging Face ViT': {
    apart: true,
    rules: [...HUGGING_FACE_BLOCK, ...huggingFaceVit('vit.'), [/^head\./, 'classifier.']],
  },
  'Hugging Face DeiT': {
    apart: true,
    rules: [
      ...HUGGING_FACE_BLOCK,
      ...huggingFaceVit('deit.'),
      [/^head\./, 'cls_classifier.'],
      [/^head_dist\./, 'distillation_classifier.'],
    ],
  },
  'Hugging Face DINOv2': {
    apart: true,
    rules: [...huggingFaceVit(''), [/\.ls([12])\.gamma$/, '.layer_scale$1.lambda1']],
  },
  torchvision: {
    apart: false,
    rules: [
      ...TORCHVISION_MLP,
      [/^blocks\.(\d+)\./, 'encoder.layers.encoder_layer_$1.'],
      [/\.norm1\./, '.ln_1.'],
      [/\.norm2\./, '.ln_2.'],
      [/\.attn\.qkv\./, '.self_attention.in_proj_'],
      [/\.attn\.proj\./, '.self_attention.out_proj.'],
      [/^cls_token$/, 'class_token'],
      [/^pos_embed$/, 'encoder.pos_embedding'],
      [/^patch_embed\.proj\./, 'conv_proj.'],
      [/^norm\./, 'encoder.ln.'],
      [/^head\./, 'heads.head.'],
    ],
  },
} as const satisfies Record<string, Renaming>;

export const SWIN_RENAMINGS = {
  'Hugging Face': {
    apart: true,
    rules: [
      ...HUGGING_FACE_BLOCK,
      ...huggingFaceAttention('self'),
      [/^layers\./, 'swin.encoder.layers.'],
      [/^patch_embed\.proj\./, 'swin.embeddings.patch_embeddings.projection.'],
      [/^patch_embed\.norm\./, 'swin.embeddings.norm.'],
      [/^norm\./, 'swin.layernorm.'],
      [/^head\./, 'classifier.'],
    ],
  },
  timm: {
    apart: false,
    rules: [
      [/^layers\.(\d+)\.downsample/, (_, i) => `layers.${Number(i) + 1}.downsample`],
      [/^head\./, 'head.fc.'],
    ],
  },
  torchvision: {
    apart: false,
    rules: [
      ...TORCHVISION_MLP,
      [/^layers\.(\d+)\.blocks\./, (_, i) => `features.${2 * Number(i) + 1}.`],
      [/^layers\.(\d+)\.downsample\./, (_, i) => `features.${2 * Number(i) + 2}.`],
      [/^patch_embed\.proj\./, 'features.0.0.'],
      [/^patch_embed\.norm\./, 'features.0.2.'],
    ],
  },
} as const satisfies Record<string, Renaming>;

/** Renames tensors from canonical names to those of another library. */
export function renamed(tensors: Iterable<Tensor>, { rules, apart }: Renaming): Tensor[] {
  const rename = (name: string) =>
    rules.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement as string), name);
  return [...tensors].flatMap((tensor) => {
    if (!apart || !tensor.name.includes('.attn.qkv.')) return { ...tensor, name: rename(tensor.name) };
    const [rows, ...rest] = tensor.shape as [number, ...number[]];
    const bytes = tensor.data.length / 3;
    return ['q', 'k', 'v'].map((part, i) => ({
      ...tensor,
      name: rename(tensor.name.replace('.qkv.', `.${part}.`)),
      shape: [rows / 3, ...rest],
      data: tensor.data.subarray(i * bytes, (i + 1) * bytes),
    }));
  });
}

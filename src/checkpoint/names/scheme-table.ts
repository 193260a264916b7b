/**
 * How libraries name the tensors of vision transformers. The canonical names are timm's for DeiT
 * and ViT and Microsoft's for Swin, with `attn.q`, `attn.k` and `attn.v` if these are separate
 * layers.
 */

import { NameTemplate } from './name-template.js';

/** A canonical name and the library's name, as templates. */
type NamePair = readonly [canonical: string, spelled: string];

interface SchemeNames {
  readonly title: string;
  readonly family: 'vit' | 'swin';
  /** Modules that contain the backbone in the library's classifiers; the head is their sibling. */
  readonly roots?: readonly string[];
  readonly backbone: readonly NamePair[];
  readonly head: readonly NamePair[];
  /** Tensors that are not weights and can be ignored: indices, masks. */
  readonly buffers: RegExp;
  /** Modules that a classifier does not run: decoders, poolers. */
  readonly unused?: RegExp;
}

export interface Scheme extends Omit<SchemeNames, 'backbone' | 'head'> {
  readonly pairs: readonly Pair[];
  /** The first parts of the names of head tensors. */
  readonly headModules: ReadonlySet<string>;
}

/** Translates between canonical names and the library's names, without prefixes. */
export class Pair {
  readonly #canonical: NameTemplate;
  readonly #spelled: NameTemplate;
  /** `NameTemplate.keyOf` of the library's names. */
  readonly keys: readonly string[];

  constructor([canonical, spelled]: NamePair) {
    this.#canonical = new NameTemplate(canonical);
    this.#spelled = new NameTemplate(spelled);
    this.keys = this.#spelled.keys;
  }

  /** The canonical form of a library's name; undefined for other tensors. */
  canonical(name: string): string | undefined {
    return this.#spelled.translate(name, this.#canonical);
  }

  /** The library's form of a canonical name; undefined for other tensors. */
  spelled(canonical: string): string | undefined {
    return this.#canonical.translate(canonical, this.#spelled);
  }
}

/** Whether a canonical name belongs to a head. */
export function isHead(canonical: string): boolean {
  return /^head(_dist)?\./.test(canonical);
}

function scheme({ backbone, head, ...rest }: SchemeNames): Scheme {
  return {
    ...rest,
    pairs: [...head, ...backbone].map((pair) => new Pair(pair)),
    headModules: new Set(head.map(([, spelled]) => spelled.split('.', 1)[0]!)),
  };
}

/** Pairs for names that are already canonical. */
const asTheyAre = (...names: string[]): NamePair[] => names.map((name) => [name, name]);

/** The layers of a block in the names of timm and Microsoft. */
const timmBlock = (block: string): NamePair[] =>
  asTheyAre(
    ...['norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2'].map(
      (layer) => `${block}.${layer}.*`,
    ),
  );

/** The layers of a block, by canonical name, with the names that a library uses. */
const renamedBlock = (block: string, spelled: string, layers: Readonly<Record<string, string>>): NamePair[] =>
  Object.entries(layers).map(([layer, name]) => [`${block}.${layer}`, `${spelled}.${name}`]);

const HUGGING_FACE_VIT_STEM: readonly NamePair[] = [
  ['cls_token', 'embeddings.cls_token'],
  ['dist_token', 'embeddings.distillation_token'],
  ['reg_token', 'embeddings.register_tokens'],
  ['pos_embed', 'embeddings.position_embeddings'],
  ['patch_embed.proj.*', 'embeddings.patch_embeddings.projection.*'],
  ['norm.*', 'layernorm.*'],
];

/** @param self the module that contains query, key and value */
const huggingFaceAttention = (self: string) => ({
  'attn.q.*': `attention.${self}.query.*`,
  'attn.k.*': `attention.${self}.key.*`,
  'attn.v.*': `attention.${self}.value.*`,
  'attn.proj.*': 'attention.output.dense.*',
});

const HUGGING_FACE_NORMS = { 'norm1.*': 'layernorm_before.*', 'norm2.*': 'layernorm_after.*' };
const HUGGING_FACE_MLP = { 'mlp.fc1.*': 'intermediate.dense.*', 'mlp.fc2.*': 'output.dense.*' };

/** The names in `state_dict()` of transformers 5; `save_pretrained` still writes older names. */
const HUGGING_FACE_5_ATTENTION = {
  'attn.q.*': 'attention.q_proj.*',
  'attn.k.*': 'attention.k_proj.*',
  'attn.v.*': 'attention.v_proj.*',
  'attn.proj.*': 'attention.o_proj.*',
};

const PLAIN_MLP = { 'mlp.fc1.*': 'mlp.fc1.*', 'mlp.fc2.*': 'mlp.fc2.*' };

/** @param downsample the module of the patch merging after a stage */
const swinScheme = (title: string, downsample: string): Scheme =>
  scheme({
    title,
    family: 'swin',
    backbone: [
      ...asTheyAre('patch_embed.proj.*', 'patch_embed.norm.*'),
      ...timmBlock('layers.{i}.blocks.{j}'),
      ...asTheyAre('layers.{i}.blocks.{j}.attn.relative_position_bias_table', 'norm.*'),
      ['layers.{i}.downsample.norm.*', `${downsample}.norm.*`],
      ['layers.{i}.downsample.reduction.weight', `${downsample}.reduction.weight`],
    ],
    head: [...asTheyAre('head.*'), ['head.*', 'head.fc.*']],
    buffers: /^layers\.\d+\.blocks\.\d+\.(attn\.relative_position_index|attn_mask)$/,
  });

export const SCHEMES: readonly Scheme[] = [
  scheme({
    title: "timm's DeiT and ViT names",
    family: 'vit',
    backbone: [
      ...asTheyAre('cls_token', 'dist_token', 'reg_token', 'pos_embed', 'patch_embed.proj.*'),
      ['reg_token', 'register_tokens'],
      ...timmBlock('blocks.{i}'),
      ...asTheyAre('blocks.{i}.attn.q_bias', 'blocks.{i}.attn.v_bias'),
      ...asTheyAre('blocks.{i}.ls1.gamma', 'blocks.{i}.ls2.gamma', 'norm.*', 'fc_norm.*'),
    ],
    head: asTheyAre('head.*', 'head_dist.*'),
    buffers: /^mask_token$/,
    unused: /^decoder_/,
  }),
  swinScheme("Microsoft's Swin names", 'layers.{i}.downsample'),
  swinScheme("timm's Swin names", 'layers.{i+1}.downsample'),
  scheme({
    title: 'Hugging Face ViT and DeiT names',
    family: 'vit',
    roots: ['vit', 'deit', 'ijepa'],
    backbone: [
      ...HUGGING_FACE_VIT_STEM,
      ...renamedBlock('blocks.{i}', 'encoder.layer.{i}', {
        ...HUGGING_FACE_NORMS,
        ...huggingFaceAttention('attention'),
        ...HUGGING_FACE_MLP,
      }),
      ...renamedBlock('blocks.{i}', 'layers.{i}', {
        ...HUGGING_FACE_NORMS,
        ...HUGGING_FACE_5_ATTENTION,
        ...PLAIN_MLP,
      }),
    ],
    head: [
      ['head.*', 'classifier.*'],
      ['head.*', 'cls_classifier.*'],
      ['head_dist.*', 'distillation_classifier.*'],
    ],
    buffers: /^embeddings\.mask_token$/,
    unused: /^(pooler|decoder)\./,
  }),
  scheme({
    title: 'Hugging Face DINOv2 names',
    family: 'vit',
    roots: ['dinov2', 'dinov2_with_registers'],
    backbone: [
      ...HUGGING_FACE_VIT_STEM,
      ...renamedBlock('blocks.{i}', 'encoder.layer.{i}', {
        'norm1.*': 'norm1.*',
        ...huggingFaceAttention('attention'),
        'ls1.gamma': 'layer_scale1.lambda1',
        'norm2.*': 'norm2.*',
        ...PLAIN_MLP,
        'ls2.gamma': 'layer_scale2.lambda1',
      }),
      ...renamedBlock('blocks.{i}', 'encoder.layer.{i}', HUGGING_FACE_5_ATTENTION),
    ],
    head: [],
    buffers: /^embeddings\.mask_token$/,
  }),
  scheme({
    title: 'Hugging Face Swin names',
    family: 'swin',
    roots: ['swin'],
    backbone: [
      ['patch_embed.proj.*', 'embeddings.patch_embeddings.projection.*'],
      ['patch_embed.norm.*', 'embeddings.norm.*'],
      ...renamedBlock('layers.{i}.blocks.{j}', 'encoder.layers.{i}.blocks.{j}', {
        ...HUGGING_FACE_NORMS,
        'attn.relative_position_bias_table': 'attention.self.relative_position_bias_table',
        ...huggingFaceAttention('self'),
        ...HUGGING_FACE_MLP,
      }),
      ...renamedBlock('layers.{i}.blocks.{j}', 'encoder.layers.{i}.blocks.{j}', {
        'attn.relative_position_bias_table': 'attention.relative_position_bias.relative_position_bias_table',
        ...HUGGING_FACE_5_ATTENTION,
        ...PLAIN_MLP,
      }),
      ['layers.{i}.downsample.norm.*', 'encoder.layers.{i}.downsample.norm.*'],
      ['layers.{i}.downsample.reduction.weight', 'encoder.layers.{i}.downsample.reduction.weight'],
      ['norm.*', 'layernorm.*'],
    ],
    head: [['head.*', 'classifier.*']],
    buffers: /^(embeddings\.mask_token|encoder\..*\.relative_position_index)$/,
    unused: /^decoder\./,
  }),
  scheme({
    title: "torchvision's ViT names",
    family: 'vit',
    backbone: [
      ['cls_token', 'class_token'],
      ['pos_embed', 'encoder.pos_embedding'],
      ['patch_embed.proj.*', 'conv_proj.*'],
      ...renamedBlock('blocks.{i}', 'encoder.layers.encoder_layer_{i}', {
        'norm1.*': 'ln_1.*',
        'attn.qkv.*': 'self_attention.in_proj_*',
        'attn.proj.*': 'self_attention.out_proj.*',
        'norm2.*': 'ln_2.*',
        'mlp.fc1.*': 'mlp.0.*',
        'mlp.fc2.*': 'mlp.3.*',
      }),
      ['blocks.{i}.mlp.fc1.*', 'encoder.layers.encoder_layer_{i}.mlp.linear_1.*'],
      ['blocks.{i}.mlp.fc2.*', 'encoder.layers.encoder_layer_{i}.mlp.linear_2.*'],
      ['norm.*', 'encoder.ln.*'],
    ],
    head: [['head.*', 'heads.head.*']],
    buffers: /^$/,
  }),
  scheme({
    title: "torchvision's Swin names",
    family: 'swin',
    backbone: [
      ['patch_embed.proj.*', 'features.0.0.*'],
      ['patch_embed.norm.*', 'features.0.2.*'],
      ...renamedBlock('layers.{i}.blocks.{j}', 'features.{2i+1}.{j}', {
        'norm1.*': 'norm1.*',
        'attn.relative_position_bias_table': 'attn.relative_position_bias_table',
        'attn.qkv.*': 'attn.qkv.*',
        'attn.proj.*': 'attn.proj.*',
        'norm2.*': 'norm2.*',
        'mlp.fc1.*': 'mlp.0.*',
        'mlp.fc2.*': 'mlp.3.*',
      }),
      ['layers.{i}.downsample.norm.*', 'features.{2i+2}.norm.*'],
      ['layers.{i}.downsample.reduction.weight', 'features.{2i+2}.reduction.weight'],
      ['norm.*', 'norm.*'],
    ],
    head: [['head.*', 'head.*']],
    buffers: /^features\.\d+\.\d+\.attn\.relative_position_index$/,
  }),
];

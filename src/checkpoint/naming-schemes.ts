/**
 * How libraries name the tensors of vision transformers. Names become canonical ones: timm's of a DeiT or ViT, Microsoft's of a
 * Swin, both with `attn.q`, `attn.k` and `attn.v` where the three are apart.
 */

import { CheckpointError } from '../errors.js';
import { NameTemplate } from './name-template.js';
import type { Tensor } from './safetensors.js';
import { quoted } from './safetensors-header.js';

/** A canonical name and the file's, as templates. */
type NamePair = readonly [canonical: string, spelled: string];

interface Scheme {
  readonly title: string;
  readonly family: 'vit' | 'swin';
  /** Matches a name that no other scheme has. */
  readonly pattern: RegExp;
  /** Of schemes with one pattern: whether it is this one. */
  readonly holds?: (names: readonly string[]) => boolean;
  /** What may stand before the names of `backbone`. */
  readonly roots?: readonly string[];
  readonly backbone: readonly NamePair[];
  readonly head: readonly NamePair[];
  /** Names without their root that are there beside the weights: buffers, decoders, poolers. */
  readonly ignored: RegExp;
}

/** Names that are the canonical ones. */
const asTheyAre = (...names: string[]): NamePair[] => names.map((name) => [name, name]);

/** The blocks of timm and of Microsoft. */
const timmBlock = (block: string): NamePair[] =>
  asTheyAre(
    ...['norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2'].map(
      (layer) => `${block}.${layer}.*`,
    ),
  );

/** The canonical layers of a block, under the names that a library has for them, q, k and v apart or not. */
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

const HUGGING_FACE_ATTENTION = {
  'attn.q.*': 'attention.attention.query.*',
  'attn.k.*': 'attention.attention.key.*',
  'attn.v.*': 'attention.attention.value.*',
  'attn.proj.*': 'attention.output.dense.*',
} as const;

/** @param downsample where the patch merging behind a stage is  @param holds tells the two libraries apart */
const swinScheme = (title: string, downsample: string, holds: NonNullable<Scheme['holds']>): Scheme => ({
  title,
  family: 'swin',
  pattern: SWIN_LAYERS,
  holds,
  backbone: [
    ...asTheyAre('patch_embed.proj.*', 'patch_embed.norm.*'),
    ...timmBlock('layers.{i}.blocks.{j}'),
    ...asTheyAre('layers.{i}.blocks.{j}.attn.relative_position_bias_table', 'norm.*'),
    ['layers.{i}.downsample.norm.*', `${downsample}.norm.*`],
    ['layers.{i}.downsample.reduction.weight', `${downsample}.reduction.weight`],
  ],
  head: [...asTheyAre('head.*'), ['head.*', 'head.fc.*']],
  ignored: /^layers\.\d+\.blocks\.\d+\.(attn\.relative_position_index|attn_mask)$/,
});

const SWIN_LAYERS = /^layers\.(\d+)\.(blocks|downsample)\./;

/** Whether the layers that merge patches bear the number of the stage behind them, so that the last stage has one and not the first. */
function mergesComeFirst(names: readonly string[]): boolean {
  const stages = new Set(names.map((name) => SWIN_LAYERS.exec(name)?.[1]));
  stages.delete(undefined);
  const merges = (stage: number) => names.some((name) => name.startsWith(`layers.${stage}.downsample.`));
  return merges(stages.size - 1) && !merges(0);
}

const SCHEMES: readonly Scheme[] = [
  {
    title: "timm's DeiT and ViT names",
    family: 'vit',
    pattern: /^(cls_token|pos_embed)$|^blocks\.\d+\.(norm1|norm2|attn|mlp)\./,
    backbone: [
      ...asTheyAre('cls_token', 'dist_token', 'reg_token', 'pos_embed', 'patch_embed.proj.*'),
      ['reg_token', 'register_tokens'],
      ...timmBlock('blocks.{i}'),
      ...asTheyAre('blocks.{i}.attn.q_bias', 'blocks.{i}.attn.v_bias'),
      ...asTheyAre('blocks.{i}.ls1.gamma', 'blocks.{i}.ls2.gamma', 'norm.*', 'fc_norm.*'),
    ],
    head: asTheyAre('head.*', 'head_dist.*'),
    ignored: /^(mask_token$|decoder_)/,
  },
  swinScheme("Microsoft's Swin names", 'layers.{i}.downsample', (names) => !mergesComeFirst(names)),
  swinScheme("timm's Swin names", 'layers.{i+1}.downsample', mergesComeFirst),
  {
    title: 'Hugging Face ViT and DeiT names',
    family: 'vit',
    pattern: /^(\w+\.)?encoder\.layer\.\d+\.(layernorm_before|layernorm_after|intermediate)\./,
    roots: ['vit', 'deit'],
    backbone: [
      ...HUGGING_FACE_VIT_STEM,
      ...renamedBlock('blocks.{i}', 'encoder.layer.{i}', {
        'norm1.*': 'layernorm_before.*',
        ...HUGGING_FACE_ATTENTION,
        'norm2.*': 'layernorm_after.*',
        'mlp.fc1.*': 'intermediate.dense.*',
        'mlp.fc2.*': 'output.dense.*',
      }),
    ],
    head: [
      ['head.*', 'classifier.*'],
      ['head.*', 'cls_classifier.*'],
      ['head_dist.*', 'distillation_classifier.*'],
    ],
    ignored: /^(embeddings\.mask_token$|pooler\.|decoder\.)/,
  },
  {
    title: 'Hugging Face DINOv2 names',
    family: 'vit',
    pattern: /^(\w+\.)?encoder\.layer\.\d+\.(norm1|norm2|layer_scale1|layer_scale2|mlp)\./,
    roots: ['dinov2', 'dinov2_with_registers'],
    backbone: [
      ...HUGGING_FACE_VIT_STEM,
      ...renamedBlock('blocks.{i}', 'encoder.layer.{i}', {
        'norm1.*': 'norm1.*',
        ...HUGGING_FACE_ATTENTION,
        'ls1.gamma': 'layer_scale1.lambda1',
        'norm2.*': 'norm2.*',
        'mlp.fc1.*': 'mlp.fc1.*',
        'mlp.fc2.*': 'mlp.fc2.*',
        'ls2.gamma': 'layer_scale2.lambda1',
      }),
    ],
    head: [],
    ignored: /^embeddings\.mask_token$/,
  },
  {
    title: 'Hugging Face Swin names',
    family: 'swin',
    pattern: /^(\w+\.)?encoder\.layers\.\d+\.(blocks|downsample)\./,
    roots: ['swin'],
    backbone: [
      ['patch_embed.proj.*', 'embeddings.patch_embeddings.projection.*'],
      ['patch_embed.norm.*', 'embeddings.norm.*'],
      ...renamedBlock('layers.{i}.blocks.{j}', 'encoder.layers.{i}.blocks.{j}', {
        'norm1.*': 'layernorm_before.*',
        'attn.relative_position_bias_table': 'attention.self.relative_position_bias_table',
        'attn.q.*': 'attention.self.query.*',
        'attn.k.*': 'attention.self.key.*',
        'attn.v.*': 'attention.self.value.*',
        'attn.proj.*': 'attention.output.dense.*',
        'norm2.*': 'layernorm_after.*',
        'mlp.fc1.*': 'intermediate.dense.*',
        'mlp.fc2.*': 'output.dense.*',
      }),
      ['layers.{i}.downsample.norm.*', 'encoder.layers.{i}.downsample.norm.*'],
      ['layers.{i}.downsample.reduction.weight', 'encoder.layers.{i}.downsample.reduction.weight'],
      ['norm.*', 'layernorm.*'],
    ],
    head: [['head.*', 'classifier.*']],
    ignored: /^(embeddings\.mask_token|encoder\..*\.relative_position_index)$|^decoder\./,
  },
  {
    title: "torchvision's ViT names",
    family: 'vit',
    pattern: /^(class_token$|conv_proj\.|encoder\.layers\.encoder_layer_\d+\.)/,
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
    ignored: /^$/,
  },
  {
    title: "torchvision's Swin names",
    family: 'swin',
    pattern: /^features\.\d+\.\d+\.attn\./,
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
    ignored: /^features\.\d+\.\d+\.attn\.relative_position_index$/,
  },
];

/** As many names as a message lists. */
const LISTED = 5;

/** A file's tensors under canonical names. */
export interface NamedTensors {
  readonly family: 'vit' | 'swin';
  /** Each still has the file's own name in it. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The tensors whose names the scheme does not know. */
  readonly unknown: readonly string[];
  /** A canonical name as the file has it or would have it. */
  readonly spelled: (canonical: string) => string;
}

/**
 * Recognises whose names these are, and translates them.
 *
 * @throws CheckpointError `CHECKPOINT_SCHEME` where the names are of no scheme that is known, or of two, or say one thing twice
 */
export function canonicalNames(tensors: ReadonlyMap<string, Tensor>, file: string): NamedTensors {
  const names = [...tensors.keys()];
  const scheme = recognisedScheme(names, file);
  const root = scheme.roots?.find((one) => names.some((name) => name.startsWith(`${one}.`)));
  const pairs = [
    ...scheme.head.map((pair) => new Pair(pair)),
    ...scheme.backbone.map((pair) => new Pair(pair, root && `${root}.`)),
  ];
  const found = new Map<string, Tensor>();
  const unknown: string[] = [];
  const used = new Set<Pair>();
  for (const [name, tensor] of tensors) {
    if (scheme.ignored.test(root && name.startsWith(`${root}.`) ? name.slice(root.length + 1) : name))
      continue;
    const translated = translate(name, pairs);
    if (translated === undefined) {
      unknown.push(name);
      continue;
    }
    const { pair, canonical } = translated;
    const twin = found.get(canonical);
    if (twin) {
      throw new CheckpointError(
        'CHECKPOINT_SCHEME',
        `${file}: expected one tensor that is ${canonical}, found ${quoted(twin.name)} and ${quoted(name)}`,
      );
    }
    found.set(canonical, tensor);
    used.add(pair);
  }
  const spelled = (canonical: string) => {
    const fitting = pairs.filter((pair) => pair.spelled(canonical) !== undefined);
    const pair = fitting.find((one) => used.has(one)) ?? fitting[0];
    return pair?.spelled(canonical) ?? canonical;
  };
  return { family: scheme.family, tensors: found, unknown, spelled };
}

/** The canonical form of the file's name, and the first pair that has it. */
function translate(name: string, pairs: readonly Pair[]): { pair: Pair; canonical: string } | undefined {
  for (const pair of pairs) {
    const canonical = pair.canonical(name);
    if (canonical !== undefined) return { pair, canonical };
  }
  return undefined;
}

class Pair {
  readonly #canonical: NameTemplate;
  readonly #spelled: NameTemplate;

  constructor([canonical, spelled]: NamePair, root = '') {
    this.#canonical = new NameTemplate(canonical);
    this.#spelled = new NameTemplate(root + spelled);
  }

  /** The canonical form of the file's name; undefined where it is another tensor. */
  canonical(name: string): string | undefined {
    return this.#spelled.translate(name, this.#canonical);
  }

  /** And back. */
  spelled(canonical: string): string | undefined {
    return this.#canonical.translate(canonical, this.#spelled);
  }
}

function recognisedScheme(names: readonly string[], file: string): Scheme {
  const found = SCHEMES.flatMap((scheme) => {
    const example = names.find((name) => scheme.pattern.test(name));
    return example === undefined || scheme.holds?.(names) === false ? [] : [{ scheme, example }];
  });
  const refuse = (message: string): never => {
    throw new CheckpointError('CHECKPOINT_SCHEME', `${file}: ${message}`);
  };
  const [first, second] = found;
  if (!first) {
    const titles = SCHEMES.map(({ title }) => title).join(', ');
    return refuse(
      `unknown naming scheme; known: ${titles}; found ${names.length > 0 ? listed(names) : 'no tensors'}`,
    );
  }
  if (second) {
    return refuse(
      `two naming schemes mixed: expected one, found ${first.scheme.title} (${quoted(first.example)}) ` +
        `and ${second.scheme.title} (${quoted(second.example)})`,
    );
  }
  return first.scheme;
}

/**
 * The tensors under their canonical names, in the order of `names`.
 *
 * @param names canonical ones
 * @param model what has these tensors, for messages
 * @throws CheckpointError `CHECKPOINT_MISSING`, `CHECKPOINT_EXTRA` where a tensor is missing or too many
 */
export function takeTensors(
  { tensors, unknown, spelled }: NamedTensors,
  names: readonly string[],
  model: string,
  file: string,
): Map<string, Tensor> {
  const wanted = new Set(names);
  const missing = names.filter((name) => !tensors.has(name)).map(spelled);
  const unused = [...tensors].flatMap(([name, tensor]) => (wanted.has(name) ? [] : [tensor.name]));
  const extra = [...unused, ...unknown];
  const faults: string[] = [];
  if (missing.length > 0) faults.push(`${missing.length} missing: ${listed(missing)}`);
  if (extra.length > 0) faults.push(`${extra.length} not expected: ${listed(extra)}`);
  if (faults.length > 0) {
    throw new CheckpointError(
      missing.length > 0 ? 'CHECKPOINT_MISSING' : 'CHECKPOINT_EXTRA',
      `${file}: expected the ${names.length} tensors of ${model}, found ${tensors.size + unknown.length}; ${faults.join('; ')}`,
    );
  }
  return new Map(names.map((name) => [name, tensors.get(name)!]));
}

function listed(names: readonly string[]): string {
  const first = names.slice(0, LISTED).map(quoted).join(', ');
  return names.length > LISTED ? `${first}, ...` : first;
}
